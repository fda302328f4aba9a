"""A real edge process; the test plays controller and peers."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from b2bua.core.ids import WorkerId
from b2bua.ipc.channel import Channel
from b2bua.ipc.connecting import connect
from b2bua.sip.edge_control import EdgeConfig, EdgeFailed, EdgeReady, FromEdge, GrantLease, ListenSpec
from b2bua.sip.inside import edge_route
from b2bua.sip.listening import bind
from b2bua.sip.message import Request, Response, frame_length, parse_message
from tests.peer.ladder import PATIENCE_S

SECRET = "5ec7e7" * 5

Told = TypeVar("Told", bound=msgspec.Struct)


class UdpPeer(asyncio.DatagramProtocol):
    """A socket that keeps the datagrams received."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[bytes] = asyncio.Queue()
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls) -> "UdpPeer":
        loop = asyncio.get_running_loop()
        _, peer = await loop.create_datagram_endpoint(cls, local_addr=("127.0.0.1", 0))
        return peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.came.put_nowait(data)

    @property
    def port(self) -> int:
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def send(self, data: bytes, port: int) -> None:
        assert self._transport is not None
        self._transport.sendto(data, ("127.0.0.1", port))

    async def request(self) -> Request:
        message = await self._message()
        assert isinstance(message, Request), message.to_bytes().decode()
        return message

    async def response(self) -> Response:
        message = await self._message()
        assert isinstance(message, Response), message.to_bytes().decode()
        return message

    async def _message(self) -> Request | Response:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                data = await self.came.get()
                if (
                    data[0] < 0x80
                ):  # not RTP or RTCP, which a leg of another test sends to who had the port before
                    return parse_message(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class TcpPeer:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._buffer = b""

    @classmethod
    async def connect(cls, port: int) -> "TcpPeer":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    @property
    def port(self) -> int:
        return int(self.writer.get_extra_info("sockname")[1])

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def message(self) -> Request | Response:
        async with asyncio.timeout(PATIENCE_S):
            while (length := frame_length(self._buffer)) is None:
                data = await self.reader.read(65536)
                assert data, "the edge has closed the connection"
                self._buffer += data
        data, self._buffer = self._buffer[:length], self._buffer[length:]
        return parse_message(data)

    async def closed(self, within_s: float = PATIENCE_S) -> None:
        async with asyncio.timeout(within_s):
            with contextlib.suppress(ConnectionError):
                assert await self.reader.read(65536) == b""


class EdgeProcess:
    """The edge and the controller's end of its channel; created by ``run_edge``."""

    def __init__(self, config: EdgeConfig) -> None:
        self.config = config
        self.told: asyncio.Queue[FromEdge] = asyncio.Queue()
        self.ready: EdgeReady | EdgeFailed | None = None
        self.process: asyncio.subprocess.Process | None = None
        self.channel: Channel[FromEdge] | None = None
        self.workers: list[UdpPeer] = []
        self._connected = asyncio.Event()

    async def control(self, path: Path) -> None:
        """Connect to the edge as its controller, and keep what it says."""
        self.channel, _ = await connect(path, FromEdge, PATIENCE_S)
        self.channel.send(self.config)
        async for message in self.channel:
            self.told.put_nowait(message)

    async def expect(self, kind: type[Told]) -> Told:
        async with asyncio.timeout(PATIENCE_S):
            message = await self.told.get()
        assert isinstance(message, kind), message
        return message

    def order(self, message: msgspec.Struct) -> None:
        assert self.channel is not None
        self.channel.send(message)

    @property
    def udp_port(self) -> int:
        return self._port("udp")

    @property
    def tcp_port(self) -> int:
        return self._port("tcp")

    @property
    def inner_port(self) -> int:
        assert isinstance(self.ready, EdgeReady)
        return self.ready.inner_port

    @property
    def inside(self) -> str:
        """The edge as its workers have it in Route."""
        return edge_route(self.inner_port, SECRET)

    def _port(self, transport: str) -> int:
        assert isinstance(self.ready, EdgeReady)
        return next(listen.port for listen in self.ready.listening if listen.transport == transport)

    async def worker(self, name: str) -> UdpPeer:
        """A worker with a lease; returns when the edge knows it."""
        peer = await UdpPeer.open()
        self.workers.append(peer)
        self.order(GrantLease(worker=WorkerId(name), sip_port=peer.port))
        await self.settle()
        return peer

    async def settle(self) -> None:
        """Wait until the edge has read the orders so far.

        One loop serves the channel and the sockets, in turns; a turn ends after 32 datagrams of a socket
        (libuv) at the latest, so what is asked after that is answered after the orders were obeyed.
        """
        probe = await UdpPeer.open()
        for n in range(40):
            probe.send(options(f"settle-{n}-{probe.port}"), self.udp_port)
            await probe.response()
        probe.close()


def options(call_id: str) -> bytes:
    return (
        f"OPTIONS sip:edge SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK{call_id}\r\n"
        f"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\n"
        f"X-Pad: {'x' * 300}\r\n\r\n"  # strangers get no more than they send
    ).encode()


@contextlib.asynccontextmanager
async def run_edge(folder: Path, **changes: Any) -> AsyncIterator[EdgeProcess]:
    """Start an edge; when its life line is closed it must end by itself, with status 0."""
    given: dict[str, Any] = {
        "secret": SECRET,
        "listen": (ListenSpec("udp", "127.0.0.1", 0), ListenSpec("tcp", "127.0.0.1", 0)),
        "advertise": "127.0.0.1",
        "domain": "sip.example.com",
        "allow": ("127.0.0.0/8",),
        "trunks": (),
        "invite_rate_per_s": 1000.0,
        "nameservers": ("127.0.0.1:9",),
        "max_calls": 100,
    }
    edge = EdgeProcess(EdgeConfig(**{**given, **changes}))
    path = folder / "edge.sock"
    sockets = bind(edge.config.listen)
    fds = [sock.fileno() for sock in (*sockets.outer, *sockets.inner)]
    life, ours = os.pipe()
    log_path = folder / "edge.log"
    command = ["-m", "b2bua.sip.edge", "--control", str(path), "--log-format", "json"]
    command += ["--sockets", ",".join(map(str, fds)), "--life", str(life)]
    with log_path.open("wb") as log:
        edge.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=log,
            env={**os.environ, "PYTHONASYNCIODEBUG": ""},
            pass_fds=[*fds, life],
        )
    os.close(life)
    control = asyncio.ensure_future(edge.control(path))
    try:
        async with asyncio.timeout(PATIENCE_S):
            edge.ready = cast(EdgeReady | EdgeFailed, await edge.told.get())
        yield edge
    finally:
        for worker in edge.workers:
            worker.close()
        os.close(ours)
        sockets.close()
        try:
            async with asyncio.timeout(PATIENCE_S):
                status = await edge.process.wait()
        except TimeoutError:
            edge.process.kill()
            raise AssertionError("the edge did not end with its life line") from None
        finally:
            control.cancel()
            await asyncio.gather(control, return_exceptions=True)
            if edge.channel is not None:
                edge.channel.close()
    assert status == 0, log_path.read_text()
    assert '"level": "error"' not in log_path.read_text(), log_path.read_text()
