"""The real edge process queries a real name server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from tests.sip.edge_process import EdgeProcess, UdpPeer, run_edge
from tests.unit.sip.edge_scene import worker_invite

pytestmark = pytest.mark.sip


class NameServer(asyncio.DatagramProtocol):
    """Answers from ``zone``; does not respond to names in ``silent``."""

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], list[str]] = {}
        self.silent: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), question.rdtype.name
        self.asked.append((name, kind))
        if name in self.silent or self._transport is None:
            return
        response = dns.message.make_response(query)
        records = self.zone.get((name, kind))
        if records is not None:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *records))
        elif not any(name == known for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(response.to_wire(), addr)


@pytest.fixture
async def names() -> AsyncIterator[tuple[NameServer, int]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    yield server, transport.get_extra_info("sockname")[1]
    transport.close()


@pytest.fixture
async def edge(tmp_path: Path, names: tuple[NameServer, int]) -> AsyncIterator[EdgeProcess]:
    async with run_edge(tmp_path, nameservers=(f"127.0.0.1:{names[1]}",)) as edge:
        yield edge


def dialled(edge: EdgeProcess, worker: UdpPeer, host: str, branch: str = "one") -> bytes:
    return worker_invite(
        f"sip:bob@{host}",
        Route=edge.inside,
        Via=f"SIP/2.0/UDP 127.0.0.1:{worker.port};rport;branch=z9hG4bK{branch}",
        Contact=f"<sip:w1@127.0.0.1:{worker.port}>",
    )


async def test_srv_leads_to_the_callee_and_is_kept(edge: EdgeProcess, names: tuple[NameServer, int]) -> None:
    server, _ = names
    callee, worker = await UdpPeer.open(), await edge.worker("w1")
    server.zone = {
        ("_sip._udp.carrier.example", "SRV"): [f"10 5 {callee.port} gw.carrier.example."],
        ("gw.carrier.example", "A"): ["127.0.0.1"],
    }
    worker.send(dialled(edge, worker, "carrier.example"), edge.inner_port)
    assert (await callee.request()).uri == "sip:bob@carrier.example"
    asked = len(server.asked)
    worker.send(dialled(edge, worker, "carrier.example", "two"), edge.inner_port)
    await callee.request()
    assert len(server.asked) == asked
    callee.close()


async def test_a_name_that_does_not_exist_is_a_503(edge: EdgeProcess) -> None:
    worker = await edge.worker("w1")
    worker.send(dialled(edge, worker, "nobody.example"), edge.inner_port)
    response = await worker.response()
    assert (response.status, response.reason) == (503, "Next Hop Has No Address")


async def test_a_silent_name_server_is_a_503_in_time_and_stops_nobody(
    edge: EdgeProcess, names: tuple[NameServer, int]
) -> None:
    server, _ = names
    server.silent.add("slow.example")
    server.zone = {("quick.example", "A"): ["127.0.0.1"]}
    worker, callee = await edge.worker("w1"), await UdpPeer.open()
    worker.send(dialled(edge, worker, "slow.example"), edge.inner_port)
    worker.send(dialled(edge, worker, f"quick.example:{callee.port}", "two"), edge.inner_port)
    assert (await callee.request()).uri.startswith("sip:bob@quick.example")
    response = await worker.response()
    assert (response.status, response.reason) == (503, "Name Resolution Timed Out")
    callee.close()


async def test_localhost_needs_no_name_server(edge: EdgeProcess, names: tuple[NameServer, int]) -> None:
    worker, callee = await edge.worker("w1"), await UdpPeer.open()
    worker.send(dialled(edge, worker, f"localhost:{callee.port}"), edge.inner_port)
    await callee.request()
    assert names[0].asked == []
    callee.close()
