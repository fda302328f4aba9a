"""The real edge process between a test's own worker and peers, over UDP."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from b2bua.core.ids import WorkerId
from b2bua.sip.edge_control import (
    CallRefused,
    EdgeFailed,
    EdgeReady,
    LeaseTaken,
    ListenSpec,
    SetDraining,
    WorkerGone,
)
from tests.sip.edge_process import EdgeProcess, UdpPeer, run_edge
from tests.unit.sip.edge_scene import answer, invite, text, worker_invite

pytestmark = pytest.mark.sip


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[EdgeProcess]:
    async with run_edge(tmp_path) as edge:
        yield edge


@pytest.fixture
async def peer() -> AsyncIterator[UdpPeer]:
    peer = await UdpPeer.open()
    yield peer
    peer.close()


def call(peer: UdpPeer, edge: EdgeProcess, **changes: str | None) -> bytes:
    given: dict[str, str | None] = {
        "Via": f"SIP/2.0/UDP 127.0.0.1:{peer.port};branch=z9hG4bKcaller1",
        "Contact": f"<sip:ann@127.0.0.1:{peer.port}>",
    }
    return invite(f"sip:100@127.0.0.1:{edge.udp_port}", **{**given, **changes})


def dialled(edge: EdgeProcess, worker: UdpPeer, uri: str, **changes: str | None) -> bytes:
    given: dict[str, str | None] = {
        "Route": f"<sip:127.0.0.1:{edge.inner_port};lr>",
        "Via": f"SIP/2.0/UDP 127.0.0.1:{worker.port};rport;branch=z9hG4bKworker1",
        "Contact": f"<sip:w1@127.0.0.1:{worker.port}>",
    }
    return worker_invite(uri, **{**given, **changes})


async def test_a_call_in_its_answer_and_its_dialog_both_ways(edge: EdgeProcess, peer: UdpPeer) -> None:
    worker = await edge.worker("w1")
    peer.send(call(peer, edge), edge.udp_port)
    request = await worker.request()
    taken = await edge.expect(LeaseTaken)
    source = f"udp:127.0.0.1:{peer.port}"
    assert (taken.worker, taken.sip_call_id, taken.source) == ("w1", "call-1", source)
    assert request.get("x-b2bua-source") == source

    contact = f"<sip:w1@127.0.0.1:{worker.port}>"
    worker.send(answer(request, 200, contact=contact), edge.inner_port)
    response = await peer.response()
    public = f"127.0.0.1:{edge.udp_port}"
    assert response.get("contact") == f"<sip:w1@{public}>"
    assert response.all("record-route") == [f"<sip:{public};transport=udp;lr>"]

    def next_request(method: str) -> bytes:
        to, route = response.get("to"), response.get("record-route")
        via = f"SIP/2.0/UDP 127.0.0.1:{peer.port};branch=z9hG4bK{method}"
        headers = {"Via": via, "To": to, "Route": route, "CSeq": f"1 {method}", "Contact": None}
        return invite(f"sip:w1@{public}", method=method, **headers)  # type: ignore[arg-type]

    peer.send(next_request("ACK"), edge.udp_port)
    assert (await worker.request()).method == "ACK"

    headers: dict[str, str | None] = {
        "Route": request.get("record-route"),
        "Via": f"SIP/2.0/UDP 127.0.0.1:{worker.port};rport;branch=z9hG4bKbye",
        "From": response.get("to"),
        "To": response.get("from"),
        "Call-ID": "call-1",
        "CSeq": "7 BYE",
    }
    worker.send(text("BYE", f"sip:ann@127.0.0.1:{peer.port}", headers), edge.inner_port)
    bye = await peer.request()
    assert (bye.method, bye.get("route")) == ("BYE", None)
    peer.send(answer(bye, 200, contact="<sip:ann@127.0.0.1>"), edge.udp_port)
    assert (await worker.response()).cseq_method == "BYE"


async def test_a_workers_own_call(edge: EdgeProcess, peer: UdpPeer) -> None:
    worker = await edge.worker("w1")
    worker.send(dialled(edge, worker, f"sip:bob@127.0.0.1:{peer.port}"), edge.inner_port)
    request = await peer.request()
    assert request.get("contact") == f"<sip:w1@127.0.0.1:{edge.udp_port}>"
    peer.send(answer(request, 180, contact=f"<sip:bob@127.0.0.1:{peer.port}>"), edge.udp_port)
    response = await worker.response()
    assert (response.status, len(response.all("via"))) == (180, 1)
    worker.send(
        dialled(edge, worker, f"sip:bob@127.0.0.1:{peer.port}", CSeq="1 CANCEL").replace(
            b"INVITE sip", b"CANCEL sip"
        ),
        edge.inner_port,
    )
    cancel = await peer.request()
    assert (cancel.method, cancel.top_via.branch) == ("CANCEL", request.top_via.branch)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_workers_call_to_our_own_address_comes_in_again(tmp_path: Path, transport: str) -> None:
    async with run_edge(tmp_path, allow=("127.0.0.9/32",)) as edge:
        first = await UdpPeer.open()
        second = await UdpPeer.open()
        edge.workers += [first, second]
        await _know(edge, "w9", second)
        await _know(edge, "w1", first)
        port = edge.udp_port if transport == "udp" else edge.tcp_port
        uri = f"sip:100@127.0.0.1:{port};transport={transport}"
        first.send(dialled(edge, first, uri), edge.inner_port)
        request = await second.request()
        assert (await edge.expect(LeaseTaken)).worker == "w9"
        assert request.get("x-b2bua-source", ).startswith(f"{transport}:127.0.0.1:")  # type: ignore[union-attr]
        second.send(answer(request, 200, contact=f"<sip:w9@127.0.0.1:{second.port}>"), edge.inner_port)
        response = await first.response()
        extra = ";transport=tcp" if transport == "tcp" else ""
        assert response.get("contact") == f"<sip:w9@127.0.0.1:{port}{extra}>"


async def _know(edge: EdgeProcess, name: str, worker: UdpPeer) -> None:
    from b2bua.sip.edge_control import GrantLease

    edge.order(GrantLease(worker=WorkerId(name), sip_port=worker.port))
    await edge.settle()


async def test_only_workers_may_speak_on_the_inner_socket(edge: EdgeProcess, peer: UdpPeer) -> None:
    await edge.worker("w1")
    stranger = await UdpPeer.open()
    stranger.send(dialled(edge, stranger, f"sip:bob@127.0.0.1:{peer.port}"), edge.inner_port)
    assert (await stranger.response()).status == 403
    assert peer.came.empty()
    stranger.close()


async def test_refusals_are_answered_and_told(edge: EdgeProcess, peer: UdpPeer) -> None:
    worker = await edge.worker("w1")
    edge.order(SetDraining(draining=True))
    await edge.settle_orders(peer) if hasattr(edge, "settle_orders") else None
    probe = await _until_status(edge, 503)
    assert probe.get("retry-after") == "2"
    peer.send(call(peer, edge), edge.udp_port)
    assert (await peer.response()).status == 503
    refused = await edge.expect(CallRefused)
    assert (refused.reason, refused.count) == ("draining", 1)
    assert worker.came.empty()


async def _until_status(edge: EdgeProcess, status: int):  # type: ignore[no-untyped-def]
    return None
