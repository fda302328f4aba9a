"""From a name to targets, with tables instead of name servers."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import dns.exception
import dns.rdata
import pytest

from b2bua.sip.outbound import Target
from b2bua.sip.resolve import NO_ANSWER, TOO_LATE, Resolver, Service, order_services, read_hosts
from b2bua.sip.uri import parse_uri

pytestmark = pytest.mark.unit

ZONE: dict[tuple[str, str], list[str]] = {
    ("plain.example", "A"): ["192.0.2.1", "192.0.2.2"],
    ("plain.example", "AAAA"): ["2001:db8::1"],
    ("_sip._udp.srv.example", "SRV"): ["20 0 5082 b.example.", "10 0 5081 a.example."],
    ("_sip._tcp.srv.example", "SRV"): ["10 0 5091 a.example."],
    ("a.example", "A"): ["192.0.2.10"],
    ("b.example", "A"): ["192.0.2.11"],
    ("tcp.example", "NAPTR"): [
        '20 10 "s" "SIP+D2U" "" _sip._udp.srv.example.',
        '10 10 "s" "SIP+D2T" "" _sip._tcp.srv.example.',
        '5 10 "s" "SIPS+D2T" "" _sips._tcp.srv.example.',
    ],
    ("_sips._tcp.srv.example", "SRV"): ["10 0 5061 a.example."],
    ("_sips._tcp.tls.example", "SRV"): ["10 0 5071 a.example."],
    ("_sip._tcp.onlytcp.example", "SRV"): ["10 0 5091 a.example."],
    ("onlytcp.example", "A"): ["192.0.2.12"],
    ("_sip._udp.closed.example", "SRV"): ["0 0 0 ."],
    ("closed.example", "A"): ["192.0.2.13"],
}


class TableResolver(Resolver):
    """Answers from ``ZONE``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(("127.0.0.1",), **options)
        self.asked: list[tuple[str, str]] = []

    async def _ask(self, name: str, kind: str) -> list[Any]:
        self.asked.append((name, kind))
        return [dns.rdata.from_text("IN", kind, text) for text in ZONE.get((name, kind), [])]


@pytest.fixture
def resolver(tmp_path: Path) -> TableResolver:
    hosts = tmp_path / "hosts"
    hosts.write_text("10.1.1.1 PBX pbx.local # the exchange\n::1 localhost\nnonsense\n")
    return TableResolver(hosts=hosts)


async def targets(resolver: Resolver, uri: str) -> list[tuple[str, str, int]] | str:
    found = await resolver.resolve(parse_uri(uri))
    return found if isinstance(found, str) else [(t.transport, t.host, t.port) for t in found]


class TestTls:
    async def test_a_service_of_its_own(self, resolver: TableResolver) -> None:
        assert await targets(resolver, "sips:tls.example") == [("tls", "192.0.2.10", 5071)]
        assert await targets(resolver, "sip:tls.example;transport=tls") == [("tls", "192.0.2.10", 5071)]

    async def test_a_port_of_its_own(self, resolver: TableResolver) -> None:
        assert await targets(resolver, "sips:onlytcp.example") == [("tls", "192.0.2.12", 5061)]

    async def test_the_certificate_has_to_name_what_was_asked_for(self, resolver: TableResolver) -> None:
        found = await resolver.resolve(parse_uri("sips:tls.example"))
        assert [target.name for target in found if isinstance(target, Target)] == ["tls.example"]

    async def test_is_preferred_where_the_other_side_says_so(self, tmp_path: Path) -> None:
        resolver = TableResolver(hosts=tmp_path / "none", tls=True)
        assert (await targets(resolver, "sip:tcp.example"))[0][0] == "tls"


class TestWays:
    """RFC 3263 §4."""

    @pytest.mark.parametrize(
        ("uri", "expected"),
        [
            ("sip:plain.example", [("udp", "192.0.2.1", 5060), ("udp", "192.0.2.2", 5060)]),
            ("sip:plain.example:5099", [("udp", "192.0.2.1", 5099), ("udp", "192.0.2.2", 5099)]),
            ("sip:a.example;transport=tcp", [("tcp", "192.0.2.10", 5060)]),
            ("sip:srv.example", [("udp", "192.0.2.10", 5081), ("udp", "192.0.2.11", 5082)]),
            ("sip:srv.example;transport=tcp", [("tcp", "192.0.2.10", 5091)]),
            ("sip:tcp.example", [("tcp", "192.0.2.10", 5091)]),
            ("sip:onlytcp.example", [("tcp", "192.0.2.10", 5091)]),
            ("sip:onlytcp.example:5060", [("udp", "192.0.2.12", 5060)]),
            ("sip:A.Example.", [("udp", "192.0.2.10", 5060)]),
        ],
    )
    async def test_to_targets(self, resolver: TableResolver, uri: str, expected: object) -> None:
        assert await targets(resolver, uri) == expected

    async def test_a_port_asks_for_addresses_only(self, resolver: TableResolver) -> None:
        await targets(resolver, "sip:plain.example:5060")
        assert resolver.asked == [("plain.example", "A")]

    async def test_ipv6_only_where_it_can_be_sent_from(self, tmp_path: Path) -> None:
        resolver = TableResolver(v6=True, hosts=tmp_path / "none")
        found = await targets(resolver, "sip:plain.example:5060")
        assert found[-1] == ("udp", "2001:db8::1", 5060)


class TestFailures:
    @pytest.mark.parametrize(
        "uri", ["sip:nobody.example", "sip:closed.example", "sip:srv.example;transport=ws"]
    )
    async def test_no_answer(self, resolver: TableResolver, uri: str) -> None:
        assert await targets(resolver, uri) == NO_ANSWER

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (dns.exception.Timeout(), TOO_LATE),
            (OSError(), NO_ANSWER),
            (dns.exception.DNSException(), NO_ANSWER),
        ],
    )
    async def test_are_reasons(
        self, resolver: TableResolver, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
    ) -> None:
        async def fail(name: str, kind: str) -> list[Any]:
            raise error

        monkeypatch.setattr(resolver, "_ask", fail)
        assert await targets(resolver, "sip:plain.example") == reason

    async def test_a_label_too_long_for_dns_is_no_answer(self, tmp_path: Path) -> None:
        resolver = Resolver(("127.0.0.1:9",), hosts=tmp_path / "none")
        assert await targets(resolver, f"sip:{'x' * 80}.example") == NO_ANSWER


class TestHosts:
    async def test_come_before_dns(self, resolver: TableResolver) -> None:
        assert await targets(resolver, "sip:Pbx.Local;transport=tcp") == [("tcp", "10.1.1.1", 5060)]
        assert resolver.asked == []

    async def test_localhost_needs_no_file(self, tmp_path: Path) -> None:
        resolver = TableResolver(hosts=tmp_path / "none")
        assert await targets(resolver, "sip:localhost:5070") == [("udp", "127.0.0.1", 5070)]

    def test_are_read_by_name(self) -> None:
        assert read_hosts("1.2.3.4 A b\n# 5.6.7.8 c\nx y\n\n::1 a") == {
            "a": ["1.2.3.4", "::1"],
            "b": ["1.2.3.4"],
        }


class TestServices:
    """RFC 2782."""

    def test_priority_comes_before_weight(self) -> None:
        services = [Service(2, 100, 1, "c"), Service(1, 0, 1, "a"), Service(1, 5, 1, "b")]
        for seed in range(20):
            assert order_services(services, random.Random(seed))[-1].host == "c"

    def test_weights_share_the_calls(self) -> None:
        services = [Service(1, 30, 1, "a"), Service(1, 10, 1, "b"), Service(1, 0, 1, "z")]
        chance = random.Random(7)
        first = Counter(order_services(services, chance)[0].host for _ in range(4000))
        assert 2.4 < first["a"] / first["b"] < 3.6
        assert 0 < first["z"] < 250

    def test_every_service_is_in_the_order_once(self) -> None:
        services = [Service(n % 3, n, n, str(n)) for n in range(10)]
        ordered = order_services(services, random.Random(1))
        assert sorted(ordered, key=lambda s: s.port) == services
