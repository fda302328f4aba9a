"""Limits of connections, with a clock that the test moves and a fake socket."""

import socket
from typing import Any
from unittest import mock

import pytest

from b2bua.sip import transport
from b2bua.sip.flow import Flow, Send
from b2bua.sip.transport import Datagrams, StreamConnection, Streams

pytestmark = pytest.mark.unit


class FakeTransport:
    """The parts of an asyncio transport that a connection needs."""

    def __init__(self, port: int = 1, unsent: int = 0, host: str = "192.0.2.1") -> None:
        self.peer: tuple[str, int] | None = (host, port)
        self.written = b""
        self.aborted = False
        self.unsent = unsent

    def get_extra_info(self, name: str) -> Any:
        if name == "socket":
            return mock.Mock(family=socket.AF_INET)
        return self.peer if name == "peername" else ("127.0.0.1", 5060)

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


class Scene:
    def __init__(self) -> None:
        self.now = 100.0
        self.received: list[bytes] = []
        self.resent: list[Send] = []
        self.own: set[tuple[str, int]] = set()
        self.streams = Streams(
            lambda data, flow: self.received.append(data), self.resent.append, self.own, lambda: self.now
        )

    def connect(
        self, port: int = 1, unsent: int = 0, side: Any = "outer", host: str = "192.0.2.1"
    ) -> tuple[StreamConnection, FakeTransport]:
        fake = FakeTransport(port, unsent, host)
        connection = self.streams.accept(side, 0)()
        connection.connection_made(fake)  # type: ignore[arg-type]
        return connection, fake


@pytest.fixture
def scene() -> Scene:
    return Scene()


class TestTime:
    def test_an_unfinished_message_has_ten_seconds(self, scene: Scene) -> None:
        connection, fake = scene.connect()
        connection.data_received(b"OPTIONS")
        scene.now += 9
        connection.data_received(b" sip:h")
        scene.streams.tick()
        assert not fake.aborted
        scene.now += 1.5
        scene.streams.tick()
        assert fake.aborted

    def test_a_finished_one_starts_it_anew(self, scene: Scene) -> None:
        connection, fake = scene.connect()
        connection.data_received(b"OPTIONS")
        connection.data_received(b" sip:h SIP/2.0\r\nl: 0\r\n\r\n")
        scene.now += 30
        scene.streams.tick()
        assert (len(scene.received), fake.aborted) == (1, False)

    def test_an_idle_connection_is_closed_after_ten_minutes(self, scene: Scene) -> None:
        connection, fake = scene.connect()
        scene.now += 599
        connection.data_received(b"\r\n\r\n")
        scene.now += 599
        scene.streams.tick()
        assert (fake.aborted, fake.written) == (False, b"\r\n")
        scene.now += 2
        scene.streams.tick()
        assert fake.aborted


class TestAmounts:
    def test_a_peer_that_does_not_read_is_cut_off(self, scene: Scene) -> None:
        _, fake = scene.connect(unsent=transport.MAX_UNSENT + 1)
        scene.streams.send(Send(b"x", Flow("outer", "tcp", "192.0.2.1", 1)))
        assert fake.aborted

    def test_there_are_at_most_so_many_connections(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(transport, "MAX_CONNECTIONS", 2)
        first, _ = scene.connect(1)
        scene.connect(2)
        refused, fake = scene.connect(3)
        assert fake.aborted
        refused.connection_lost(None)
        assert not scene.connect(9, side="inner")[1].aborted
        first.connection_lost(None)
        assert not scene.connect(4)[1].aborted

    def test_one_address_cannot_take_them_all(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transport, "MAX_OF_ONE_ADDRESS", 2)
        scene.connect(1)
        scene.connect(2)
        assert scene.connect(3)[1].aborted
        assert not scene.connect(3, host="192.0.2.2")[1].aborted

    def test_a_connection_whose_peer_is_gone_already_is_dropped(self, scene: Scene) -> None:
        fake = FakeTransport()
        fake.peer = None
        connection = scene.streams.accept("outer", 0)()
        connection.connection_made(fake)  # type: ignore[arg-type]
        connection.connection_lost(None)
        assert fake.aborted


class TestSending:
    def test_what_may_not_connect_is_replaced(self, scene: Scene) -> None:
        instead = Send(b"instead", Flow("outer", "udp", "192.0.2.1", 5060))
        gone = Flow("outer", "tcp", "192.0.2.9", 1)
        scene.streams.send(Send(b"x", gone, connect=False, otherwise=instead))
        scene.streams.send(Send(b"x", gone, connect=False))
        assert scene.resent == [instead]

    def test_a_newer_connection_from_the_same_address_survives_the_end_of_the_older(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(transport, "MAX_CONNECTIONS", 2)
        old, _ = scene.connect(7)
        _, fake = scene.connect(7)
        old.connection_lost(None)
        scene.streams.send(Send(b"x", Flow("outer", "tcp", "192.0.2.1", 7)))
        assert fake.written == b"x"
        assert not scene.connect(8)[1].aborted

    def test_nothing_is_written_after_the_end(self, scene: Scene) -> None:
        connection, fake = scene.connect()
        connection.abort()
        connection.write(b"x")
        assert fake.written == b""


class TestDatagrams:
    def test_keep_alives_are_no_messages(self) -> None:
        received: list[tuple[bytes, Flow]] = []
        datagrams = Datagrams("outer", 1, lambda data, flow: received.append((data, flow)))
        datagrams.datagram_received(b"\r\n\r\n", ("192.0.2.1", 5060))
        datagrams.datagram_received(b"\0\0\0\0", ("192.0.2.1", 5060))
        datagrams.datagram_received(b"OPTIONS sip:h SIP/2.0\r\n", ("192.0.2.1", 5060))
        assert [flow for _, flow in received] == [Flow("outer", "udp", "192.0.2.1", 5060, 1)]
        datagrams.error_received(OSError())
        datagrams.send(b"before it is open", received[0][1])
