"""Who is believed to be a leg's party, and to whom packets go."""

from typing import Literal

import pytest

from b2bua.relay.addresses import Address, reachable
from b2bua.relay.control import CloseLeg, ForeignPackets, LegMeasured
from tests.unit.relay.relay_scene import INNER, Party, Scene, rtp

pytestmark = pytest.mark.unit

NAT: Address = ("198.51.100.7", 61_000)
STRANGER: Address = ("203.0.113.9", 9)


def speaks_from(party: Party, source: Address, packets: int, *, kind: int = 8, step: int = 1) -> None:
    for _ in range(packets):
        party.seq += step
        party.ts += 160
        party.brings(rtp(kind, party.seq, party.ts, party.ssrc), source)


def test_a_party_behind_nat_is_learned_from_its_third_packet() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    speaks_from(a, NAT, 2)
    assert a.worker_heard == []
    speaks_from(a, NAT, 1)
    assert len(a.worker_heard) == 1
    a.worker_says()
    assert scene.sent[-1][0] == NAT
    assert a.lines.outer.hears == NAT


def test_it_moves_once() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    speaks_from(a, NAT, 3)
    speaks_from(a, STRANGER, 5)
    a.says()
    a.worker_says()
    assert scene.sent[-1][0] == NAT


def test_nobody_is_learned_once_the_stated_address_has_spoken() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    a.says()
    speaks_from(a, STRANGER, 5)
    assert len(a.worker_heard) == 1
    assert a.lines.outer.hears == a.at


@pytest.mark.parametrize(
    ("kind", "step"), [(18, 1), (8, 2), (8, 0), (8, -1)], ids=["other format", "holes", "same", "backward"]
)
def test_what_is_no_stream_of_the_agreed_formats_is_not_learned(kind: int, step: int) -> None:
    scene = Scene()
    a = scene.party("a").describe()
    speaks_from(a, STRANGER, 50, kind=kind, step=step)
    assert a.worker_heard == []
    a.worker_says()
    assert scene.sent[-1][0] == a.at


@pytest.mark.parametrize(("ts_step", "ssrc_step"), [(0, 0), (-160, 0), (1 << 20, 0), (160, 1)])
def test_what_has_no_time_or_no_ssrc_of_its_own_is_not_learned(ts_step: int, ssrc_step: int) -> None:
    scene = Scene()
    a = scene.party("a").describe()
    for n in range(50):
        a.brings(rtp(8, n, 90_000 + n * ts_step, 7 + n * ssrc_step), STRANGER)
    assert a.worker_heard == []


def test_learning_begins_anew_with_a_description() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    speaks_from(a, NAT, 2)
    a.at = ("192.0.2.77", 7000)
    a.describe()
    speaks_from(a, NAT, 1)
    assert a.lines.outer.hears is None


def test_a_sprayer_does_not_keep_the_party_from_being_learned() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    for n in range(3):
        speaks_from(a, NAT, 1)
        for port in range(5):
            a.brings(rtp(8, 1000 * n, n, 1), (STRANGER[0], port + 1))
    assert a.lines.outer.hears == NAT


def test_nobody_is_learned_before_a_description() -> None:
    scene = Scene()
    a = scene.party("a")
    speaks_from(a, STRANGER, 10)
    a.describe()
    assert a.lines.outer.hears is None
    scene.passes(1.1)
    assert scene.told(ForeignPackets) == []


def test_a_new_description_moves_the_party_and_stragglers_are_no_strangers() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    a.says()
    old, a.at = a.at, ("192.0.2.77", 7000)
    a.describe()
    assert a.lines.outer.hears is None
    speaks_from(a, old, 20)
    assert len(a.worker_heard) == 1
    a.says()
    assert len(a.worker_heard) == 2
    scene.passes(1.1)
    assert scene.told(ForeignPackets) == []


def test_the_same_description_again_leaves_a_learned_party_where_it_is() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    speaks_from(a, NAT, 3)
    a.describe()
    a.worker_says()
    assert scene.sent[-1][0] == NAT


def test_a_party_that_announces_where_it_was_learned_is_not_asked_again() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    speaks_from(a, NAT, 3)
    a.describe(host=NAT[0], port=NAT[1])
    speaks_from(a, NAT, 1)
    assert len(a.worker_heard) == 2


def test_a_party_that_is_back_at_a_former_address_is_heard() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    first = a.at
    a.says()
    a.at = ("192.0.2.77", 7000)
    a.describe()
    a.says()
    a.at = first
    a.describe()
    a.says()
    assert len(a.worker_heard) == 3


def test_nothing_is_sent_to_a_party_on_hold_in_the_old_form_or_without_audio() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    a.says()
    for change in ({"host": "0.0.0.0"}, {"port": 0}):
        a.describe(**change)
        a.worker_says()
        assert a.heard == []
        a.says()
    a.describe()
    a.worker_says()
    assert len(a.heard) == 1
    assert len(a.worker_heard) == 3


def test_foreign_packets_are_reported_once_a_second() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    for _ in range(7):
        a.brings(b"\x80nonsense-nonsense", STRANGER)
    scene.passes(1.1)
    speaks_from(a, ("2001:db8::1", 5), 1)
    scene.passes(0.5)
    assert scene.told(ForeignPackets) == [ForeignPackets(leg=a.key, source="203.0.113.9:9", count=7)]
    scene.passes(0.6)
    assert scene.told(ForeignPackets)[1:] == [ForeignPackets(leg=a.key, source="[2001:db8::1]:5", count=1)]


@pytest.mark.parametrize("by", ["edge", "controller"])
def test_those_of_its_last_second_are_reported_before_the_end_of_the_leg(
    by: Literal["edge", "controller"],
) -> None:
    scene = Scene()
    a = scene.party("a").describe()
    scene.passes(0.1)
    a.brings(b"\x80nonsense-nonsense", STRANGER)
    scene.relay.obey(CloseLeg(leg=a.key), by, scene.now)
    told = scene.relay.to_controller[-2:]
    assert told[0] == ForeignPackets(leg=a.key, source="203.0.113.9:9", count=1)
    assert isinstance(told[1], LegMeasured)


def test_only_the_worker_is_believed_inside() -> None:
    scene = Scene()
    a = scene.party("a")
    a.lines.inner.settle = lambda address: a.lines.inner.aim(address)  # type: ignore[method-assign]
    a.describe()
    for source in ((a.worker_at[0], a.worker_at[1] + 1), ("127.0.0.1", a.worker_at[1])):
        a.worker_brings(rtp(8, 1, 1, 1), source)
    assert a.heard == []
    a.worker_says()
    assert len(a.heard) == 1


def test_a_worker_with_a_new_port_is_heard_at_once() -> None:
    scene = Scene()
    a = scene.party("a").describe()
    a.worker_says()
    a.worker_at = (a.worker_at[0], 23_456)
    a.describe()
    a.worker_says()
    assert len(a.heard) == 2


def test_reports_are_taken_from_the_stated_address_or_the_party_itself() -> None:
    scene = Scene()
    report = b"\x80\xc9\x00\x01\x00\x00\x00\x07"
    a = scene.party("a").describe()
    a.brings_report(report, STRANGER)
    assert scene.sent == []
    speaks_from(a, NAT, 3)
    a.brings_report(report, (NAT[0], 61_001))
    assert scene.sent[-1] == (a.worker_at, report)
    assert a.lines.control.hears == (NAT[0], 61_001)


def test_a_party_that_takes_no_reports_gets_none() -> None:
    scene = Scene()
    a = scene.party("a").describe(rtcp_port=0)
    a.worker_says()
    count = len(scene.sent)
    a.worker_brings(b"\x80\xc9\x00\x01\x00\x00\x00\x07")
    assert len(scene.sent) == count


def test_addresses_are_written_as_the_kernel_does() -> None:
    assert reachable("192.0.2.1", 5, 4, INNER) == ("192.0.2.1", 5)
    assert reachable("192.0.2.1", 5, 6, INNER) == ("::ffff:192.0.2.1", 5)
    assert reachable("::FFFF:192.0.2.1", 5, 4, INNER) == ("192.0.2.1", 5)
    assert reachable("2001:DB8:0:0::1", 5, 6, INNER) == ("2001:db8::1", 5)
    assert reachable("2001:db8::1", 5, 4, INNER) is None
    for host in ("", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "phone.example.com", "1.2.3", "127.0.0.1%1"):
        assert reachable(host, 5, 4, INNER) is None
        assert reachable(host, 5, 6, INNER) is None
    for port in (0, -1, 65536):
        assert reachable("192.0.2.1", port, 4, INNER) is None


NOWHERE = (
    *("0.0.0.0", "::", "::ffff:0.0.0.0"),
    *("224.0.0.1", "239.255.255.250", "ff02::1", "::ffff:224.0.0.1"),
    *("255.255.255.255", "::ffff:255.255.255.255", "::ffff:ffff:ffff"),
    *(INNER, f"::ffff:{INNER}", "::FFFF:7f40:1"),
)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("host", NOWHERE)
def test_what_is_nobodys_own_address_is_never_sent_to(host: str, version: Literal[4, 6]) -> None:
    assert reachable(host, 4000, version, INNER) is None
    scene = Scene()
    a = scene.party("a")
    a.lines.version = version
    a.describe()
    a.worker_says()
    scene.sent.clear()
    a.describe(host=host, rtcp_host=host)  # as a re-INVITE would
    a.worker_says()
    a.worker_brings(b"\x80\xc9\x00\x01\x00\x00\x00\x07")
    assert scene.sent == []
