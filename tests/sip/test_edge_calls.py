"""The real edge process with the test's worker and peers, over UDP."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from b2bua.core.admission import Lease, Origin
from b2bua.core.errors import ConfigError
from b2bua.core.ids import SipCallId, WorkerId
from b2bua.sip.edge_control import (
    CallRefused,
    EdgeReady,
    LeaseTaken,
    ListenSpec,
    SetDraining,
    WorkerGone,
)
from b2bua.sip.listening import bind
from tests.sip.edge_process import EdgeProcess, UdpPeer, run_edge
from tests.unit.sip.edge_scene import answer, invite, text, worker_invite

pytestmark = [pytest.mark.sip, pytest.mark.measured]


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
        "Route": edge.inside,
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
    assert (taken.worker, taken.lease) == (
        "w1",
        Lease(sip_call_id=SipCallId("call-1"), origin=Origin(source=source)),
    )
    assert request.get("x-b2bua-source") is None

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
        second = await edge.worker("w2")
        first = await edge.worker("w1")
        port = edge.udp_port if transport == "udp" else edge.tcp_port
        uri = f"sip:100@127.0.0.1:{port};transport={transport}"
        first.send(dialled(edge, first, uri), edge.inner_port)
        request = await second.request()
        taken = await edge.expect(LeaseTaken)
        assert (taken.worker, taken.lease.sip_call_id) == ("w2", request.call_id)
        assert taken.lease.origin.source.startswith(f"{transport}:127.0.0.1:")
        second.send(answer(request, 200, contact=f"<sip:w2@127.0.0.1:{second.port}>"), edge.inner_port)
        response = await first.response()
        extra = ";transport=tcp" if transport == "tcp" else ""
        assert response.get("contact") == f"<sip:w2@127.0.0.1:{port}{extra}>"


async def test_a_workers_call_to_where_no_datagram_can_go_is_503_at_once(edge: EdgeProcess) -> None:
    worker = await edge.worker("w1")
    worker.send(dialled(edge, worker, "sip:bob@240.0.0.1"), edge.inner_port)
    response = await worker.response()
    assert (response.status, response.reason) == (503, "Next Hop Not Reachable")
    assert len(response.all("via")) == 1 and response.to_tag
    worker.send(
        dialled(edge, worker, "sip:bob@240.0.0.1", CSeq="1 ACK", To=response.get("to") or "").replace(
            b"INVITE sip", b"ACK sip"
        ),
        edge.inner_port,
    )
    await edge.settle()
    assert worker.came.empty()


async def test_only_workers_may_speak_on_the_inner_socket(edge: EdgeProcess, peer: UdpPeer) -> None:
    await edge.worker("w1")
    stranger = await UdpPeer.open()
    stranger.send(dialled(edge, stranger, f"sip:bob@127.0.0.1:{peer.port}"), edge.inner_port)
    assert (await stranger.response()).status == 403
    assert peer.came.empty()
    stranger.close()


async def test_a_node_that_drains_refuses_and_tells(edge: EdgeProcess, peer: UdpPeer) -> None:
    worker = await edge.worker("w1")
    edge.order(SetDraining(draining=True))
    await edge.settle()
    peer.send(call(peer, edge), edge.udp_port)
    response = await peer.response()
    assert (response.status, response.get("retry-after")) == (503, "2")
    refused = await edge.expect(CallRefused)
    assert (refused.reason, refused.count) == ("draining", 1)
    assert worker.came.empty()


async def test_the_lease_of_a_worker_that_is_gone_is_void(edge: EdgeProcess, peer: UdpPeer) -> None:
    await edge.worker("w1")
    other = await edge.worker("w2")
    edge.order(WorkerGone(worker=WorkerId("w1")))
    await edge.settle()
    peer.send(call(peer, edge), edge.udp_port)
    await other.request()
    assert (await edge.expect(LeaseTaken)).worker == "w2"


async def test_another_configuration_changes_admission(edge: EdgeProcess, peer: UdpPeer) -> None:
    await edge.worker("w1")
    edge.order(msgspec.structs.replace(edge.config, allow=("10.0.0.0/8",)))
    await edge.settle()
    peer.send(call(peer, edge), edge.udp_port)
    assert (await peer.response()).status == 401


async def test_junk_is_survived(edge: EdgeProcess, peer: UdpPeer) -> None:
    worker = await edge.worker("w1")
    good = call(peer, edge)
    junk = [b"\r\n\r\n", b"\0" * 100, b"x" * 60000, good[:150], good.replace(b"SIP/2.0", b"SIP/9.9")]
    junk += [good.replace(b"Via: ", b"Via: \xff\xfe"), good.replace(b"call-1", b"\xff")]
    for data in junk[:-1]:
        peer.send(data, edge.udp_port)
        worker.send(data, edge.inner_port)
    peer.send(call(peer, edge, Content_Length="77777"), edge.udp_port)
    assert (await peer.response()).status == 400
    peer.send(good, edge.udp_port)
    assert (await worker.request()).method == "INVITE"


async def test_an_address_in_use_is_an_error_of_the_configuration() -> None:
    taken = await UdpPeer.open()
    with pytest.raises(ConfigError, match=f"udp://127.0.0.1:{taken.port}"):
        bind((ListenSpec("tcp", "127.0.0.1", 0), ListenSpec("udp", "127.0.0.1", taken.port)))
    taken.close()


async def test_signals_do_not_end_it(edge: EdgeProcess) -> None:
    assert edge.process is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        edge.process.send_signal(number)
    await edge.settle()
    assert edge.process.returncode is None
    assert isinstance(edge.ready, EdgeReady)


async def test_a_small_register_of_a_stranger_gets_both_challenges(tmp_path: Path, peer: UdpPeer) -> None:
    async with run_edge(tmp_path, allow=()) as edge:
        register = (
            f"REGISTER sip:127.0.0.1:{edge.udp_port} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{peer.port};rport;branch=z9hG4bKsmall\r\n"
            "From: <sip:alice@sip.example.com>;tag=1\r\nTo: <sip:alice@sip.example.com>\r\n"
            "Call-ID: small\r\nCSeq: 1 REGISTER\r\n\r\n"
        ).encode()
        peer.send(register, edge.udp_port)
        response = await peer.response()
        assert response.status == 401
        algorithms = [h.text.partition("algorithm=")[2] for h in response.headers if "Digest" in h.text]
        assert [each.partition(",")[0] for each in algorithms] == ["SHA-256", "MD5"]
        assert len(response.to_bytes()) <= 3 * len(register)
