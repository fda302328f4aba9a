"""The real edge process over TCP: framing, connections reused and opened, limits."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from b2bua.sip.edge_control import LeaseTaken
from b2bua.sip.message import Request, Response
from tests.peer.ladder import PATIENCE_S
from tests.sip.edge_process import EdgeProcess, TcpPeer, UdpPeer, options, run_edge
from tests.unit.sip.edge_scene import answer, invite, worker_invite

pytestmark = pytest.mark.sip


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[EdgeProcess]:
    async with run_edge(tmp_path) as edge:
        yield edge


@pytest.fixture
async def phone(edge: EdgeProcess) -> AsyncIterator[TcpPeer]:
    phone = await TcpPeer.connect(edge.tcp_port)
    yield phone
    phone.writer.close()


def whole(data: bytes) -> bytes:
    """With the Content-Length that a stream requires."""
    return data.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n")


def call(phone: TcpPeer, edge: EdgeProcess, *, port: int | None = None, **changes: str | None) -> bytes:
    given: dict[str, str | None] = {
        "Via": f"SIP/2.0/TCP 127.0.0.1:{port or 5999};branch=z9hG4bKcaller1",
        "Contact": f"<sip:ann@127.0.0.1:{phone.port};transport=tcp>",
    }
    return invite(f"sip:100@127.0.0.1:{edge.tcp_port};transport=tcp", **{**given, **changes})


class TestFraming:
    async def test_a_message_in_single_bytes_and_two_in_one_piece(
        self, edge: EdgeProcess, phone: TcpPeer
    ) -> None:
        one = whole(options("one"))
        for place in range(len(one)):
            phone.send(one[place : place + 1])
            await phone.writer.drain()
        assert (await phone.message()).call_id == "one"
        phone.send(whole(options("two")) + b"\r\n" + whole(options("three")))
        assert [(await phone.message()).call_id for _ in range(2)] == ["two", "three"]

    async def test_a_ping_gets_its_pong_also_in_pieces(self, edge: EdgeProcess, phone: TcpPeer) -> None:
        for piece in (b"\r\n\r\n", b"\r\n", b"\r", b"\n"):
            phone.send(piece)
            await phone.writer.drain()
        async with asyncio.timeout(PATIENCE_S):
            assert await phone.reader.readexactly(4) == b"\r\n\r\n"
        phone.send(whole(options("after")))
        assert (await phone.message()).call_id == "after"

    @pytest.mark.parametrize(
        "data", [options("no-length"), b"x" * 70000, b"OPTIONS sip:h SIP/2.0\r\nl: 99999\r\n\r\n"]
    )
    async def test_what_cannot_be_framed_closes_the_connection(
        self, edge: EdgeProcess, phone: TcpPeer, data: bytes
    ) -> None:
        phone.send(data)
        await phone.closed()
        await edge.settle()

    async def test_a_malformed_message_is_answered_and_the_next_one_too(
        self, edge: EdgeProcess, phone: TcpPeer
    ) -> None:
        await edge.worker("w1")
        phone.send(call(phone, edge, CSeq="1 BYE"))
        response = await phone.message()
        assert isinstance(response, Response) and response.status == 400
        phone.send(whole(options("next")))
        assert (await phone.message()).call_id == "next"


class TestCalls:
    async def test_the_answer_comes_on_the_connection_of_the_call(
        self, edge: EdgeProcess, phone: TcpPeer
    ) -> None:
        worker = await edge.worker("w1")
        phone.send(call(phone, edge))
        request = await worker.request()
        assert (await edge.expect(LeaseTaken)).lease.origin.source == f"tcp:127.0.0.1:{phone.port}"
        worker.send(answer(request, 200, contact=f"<sip:w1@127.0.0.1:{worker.port}>"), edge.inner_port)
        response = await phone.message()
        assert response.get("contact") == f"<sip:w1@127.0.0.1:{edge.tcp_port};transport=tcp>"
        assert response.get("content-length") == "0"

    async def test_the_answer_makes_a_connection_when_that_of_the_call_is_gone(
        self, edge: EdgeProcess
    ) -> None:
        worker = await edge.worker("w1")
        async with listening() as (port, accepted):
            phone = await TcpPeer.connect(edge.tcp_port)
            phone.send(call(phone, edge, port=port))
            request = await worker.request()
            phone.writer.close()
            await phone.writer.wait_closed()
            await edge.settle()
            worker.send(answer(request, 200, contact=f"<sip:w1@127.0.0.1:{worker.port}>"), edge.inner_port)
            assert (await (await accepted.get()).message()).call_id == "call-1"

    async def test_a_workers_requests_share_one_connection(self, edge: EdgeProcess) -> None:
        worker = await edge.worker("w1")
        async with listening() as (port, accepted):
            for call_id in ("one", "two", "three"):
                worker.send(dialled(edge, worker, port, Call_ID=call_id), edge.inner_port)
            callee = await accepted.get()
            first = await callee.message()
            assert [first.call_id, *[(await callee.message()).call_id for _ in range(2)]] == [
                "one",
                "two",
                "three",
            ]
            assert isinstance(first, Request)
            callee.send(answer(first, 180, contact="<sip:b@127.0.0.1>"))
            assert (await worker.response()).status == 180
            assert accepted.empty()

    async def test_a_callee_that_refuses_the_connection_is_a_503(self, edge: EdgeProcess) -> None:
        worker = await edge.worker("w1")
        async with listening() as (port, _):
            pass
        worker.send(dialled(edge, worker, port), edge.inner_port)
        response = await worker.response()
        assert (response.status, response.reason) == (503, "Next Hop Not Reachable")

    async def test_a_call_to_a_caller_over_its_own_connection(
        self, edge: EdgeProcess, phone: TcpPeer
    ) -> None:
        worker = await edge.worker("w1")
        phone.send(whole(options("hello")))
        await phone.message()
        worker.send(dialled(edge, worker, phone.port), edge.inner_port)
        assert (await phone.message()).call_id == "leg-1"


class TestWorkers:
    async def test_a_large_request_comes_over_tcp_and_its_response_goes_back_there(
        self, edge: EdgeProcess
    ) -> None:
        worker = await edge.worker("w1")
        callee = await UdpPeer.open()
        stream = await TcpPeer.connect(edge.inner_port)
        via = "SIP/2.0/TCP 127.0.0.1:45999;rport;branch=z9hG4bKw;alias"
        headers = {"Route": edge.inside, "Via": via}
        contact = f"<sip:w1@127.0.0.1:{worker.port}>"
        uri = f"sip:b@127.0.0.1:{callee.port}"
        stream.send(worker_invite(uri, **headers, X_Long="x" * 1500, Contact=contact))
        request = await callee.request()
        callee.send(answer(request, 180, contact="<sip:b@127.0.0.1>"), edge.udp_port)
        response = await stream.message()
        assert isinstance(response, Response) and response.status == 180
        stream.send(worker_invite(uri, method="CANCEL", **headers, Contact=None))
        assert (await callee.request()).method == "CANCEL"
        stream.writer.close()
        callee.close()

    async def test_who_only_says_in_via_and_contact_that_it_is_one_is_refused(
        self, edge: EdgeProcess, phone: TcpPeer
    ) -> None:
        worker = await edge.worker("w1")
        stream = await TcpPeer.connect(edge.inner_port)
        stream.send(
            worker_invite(
                f"sip:b@127.0.0.1:{phone.port};transport=tcp",
                Route=f"<sip:127.0.0.1:{edge.inner_port};lr>",
                Via=f"SIP/2.0/TCP 127.0.0.1:{worker.port};rport;branch=z9hG4bKw",
                Contact=f"<sip:w1@127.0.0.1:{worker.port}>",
            )
        )
        response = await stream.message()
        assert isinstance(response, Response) and response.status == 403
        stream.writer.close()


def dialled(edge: EdgeProcess, worker: UdpPeer, port: int, **changes: str | None) -> bytes:
    given: dict[str, str | None] = {
        "Route": edge.inside,
        "Via": f"SIP/2.0/UDP 127.0.0.1:{worker.port};rport;branch=z9hG4bKworker1",
        "Contact": f"<sip:w1@127.0.0.1:{worker.port}>",
    }
    return worker_invite(f"sip:bob@127.0.0.1:{port};transport=tcp", **{**given, **changes})


class listening:
    """A callee's TCP socket and its connections."""

    async def __aenter__(self) -> tuple[int, "asyncio.Queue[TcpPeer]"]:
        accepted: asyncio.Queue[TcpPeer] = asyncio.Queue()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writers.append(writer)
            accepted.put_nowait(TcpPeer(reader, writer))

        self._writers: list[asyncio.StreamWriter] = []
        self._server = await asyncio.start_server(accept, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1], accepted

    async def __aexit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.close()
        self._server.close()
        await self._server.wait_closed()
