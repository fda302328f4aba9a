"""Sockets of the edge: they turn datagrams and streams into messages with their flow.

All state that a peer can make us keep is bounded: message size, time to complete a message, idle time,
connections, unsent bytes.
Source: RFC 3261 §18, RFC 5626 §3.5.1 (keep-alive), RFC 5923 (connection reuse).

Thread: the edge's loop.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, cast

from msgspec import structs

from b2bua.core.errors import PeerError
from b2bua.ipc.dscp import SIGNALLING, mark
from b2bua.sip.flow import Flow, Send, Side, Transport
from b2bua.sip.message import frame_length
from b2bua.sip.tls import HANDSHAKE_LIMIT_S, SHUTDOWN_LIMIT_S, Contexts

__all__ = ["Datagrams", "Streams"]

log = logging.getLogger(__name__)

CONNECT_LIMIT_S: Final = 5.0
PARTIAL_LIMIT_S: Final = 10.0
IDLE_LIMIT_S: Final = 600.0
FIRST_LIMIT_S: Final = 32.0
"""How long a peer that has connected may stay silent."""
MAX_CONNECTIONS: Final = 1000
MAX_OF_ONE_ADDRESS: Final = 250
"""Part of ``MAX_CONNECTIONS``: a single address cannot lock out the others."""
MAX_UNSENT: Final = 1 << 20
MAX_QUEUED: Final = 64
"""Messages that may wait for one connection to open."""

Receive = Callable[[bytes, Flow], None]
Key = tuple[Side, Transport, str, int, str]


class Datagrams(asyncio.DatagramProtocol):
    """One UDP socket."""

    def __init__(self, side: Side, listener: int, receive: Receive) -> None:
        self._side = side
        self._listener = listener
        self._receive = receive
        self._transport: asyncio.DatagramTransport | None = None
        self._failed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note that the socket is open."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Receive a message; ignore a keep-alive, which is too short to be one."""
        if len(data) > 20:
            self._receive(data, Flow(self._side, "udp", addr[0], addr[1], self._listener))

    def error_received(self, exc: Exception) -> None:
        """Note that the kernel refused a datagram, reported during ``send``.

        A later call reports an ICMP error, which does not name its datagram; transactions time out anyway.
        """
        self._failed = True

    def send(self, data: bytes, to: Flow) -> bool:
        """Send a message; return False if the kernel has no route, or if the message is too large."""
        if self._transport is None:
            return False
        self._failed = False
        self._transport.sendto(data, (to.host, to.port))
        return not self._failed


class StreamConnection(asyncio.Protocol):
    """One TCP or TLS connection; made by ``Streams``.

    Args:
        streams: the table of connections that it belongs to.
        kind: its flow without the far end's address; with a name if we opened it to the owner of that name.
    """

    def __init__(self, streams: "Streams", kind: Flow) -> None:
        self._streams = streams
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self.flow = kind
        self.own = ("", 0)
        self.used_at = self.partial_since = 0.0
        self.silent = True
        """Whether nothing has been received yet."""

    @property
    def origin(self) -> Flow:
        """The flow that its messages come from."""
        return structs.replace(self.flow, name="") if self.flow.name else self.flow

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note that the connection is open, and its TLS handshake done."""
        self._transport = cast(asyncio.Transport, transport)
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if peer is None or own is None:
            self._transport.abort()
            return
        self.flow = structs.replace(self.flow, host=peer[0], port=peer[1])
        self.own = (own[0], own[1])
        if self.flow.side == "outer":
            mark(transport.get_extra_info("socket"), SIGNALLING)
        self.used_at = self._streams.now()
        if not self._streams.opened(self):
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is closed."""
        self._streams.closed(self)

    def data_received(self, data: bytes) -> None:
        """Cut messages from the stream (RFC 3261 §18.3)."""
        self.silent = False
        self.used_at = self._streams.now()
        self._buffer += data
        try:
            while self._take_one():
                pass
        except PeerError as error:
            log.info("connection closed", extra={"text": str(error), "pii_source": self.flow.source})
            self.abort()

    def _take_one(self) -> bool:
        buffer = self._buffer
        if buffer.startswith(b"\r\n\r\n"):
            self.write(b"\r\n")  # RFC 5626 §3.5.1: pong
            del buffer[:4]
            return True
        if buffer.startswith(b"\r\n") and len(buffer) > 2:
            if buffer[2:4] == b"\r":
                return False  # may become a ping: CRLF CRLF
            del buffer[:2]
            return True
        length = frame_length(buffer) if len(buffer) > 2 else None
        if length is None:
            waiting = len(buffer.strip(b"\r\n")) > 0
            self.partial_since = (self.partial_since or self.used_at) if waiting else 0.0
            return False
        message = bytes(buffer[:length])
        del buffer[:length]
        self.partial_since = 0.0
        self._streams.receive(message, self.origin)
        return True

    def write(self, data: bytes) -> None:
        """Send bytes; a peer that does not read is disconnected."""
        if self._transport is None or self._transport.is_closing():
            return
        self.used_at = self._streams.now()
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            log.info("connection closed", extra={"text": "unread", "pii_source": self.flow.source})
            self.abort()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


class Streams:
    """All TCP and TLS connections, by the address of their far end.

    Args:
        receive: called with each message.
        resend: called with the ``otherwise`` of a message that could not be sent.
        own: the set of local ends of connections that we have opened, maintained here.
        now: the clock.
        tls: contexts for TLS connections that we open; None: none can be opened.
    """

    def __init__(
        self,
        receive: Receive,
        resend: Callable[[Send], None],
        own: set[tuple[str, int]],
        now: Callable[[], float],
        tls: Contexts | None = None,
    ) -> None:
        self.receive = receive
        self.now = now
        self._resend = resend
        self._own = own
        self._tls = tls
        self._open: dict[Key, StreamConnection] = {}
        """By flow, with its name and without: a peer that has proved a name is also found by its address."""
        self._all: set[StreamConnection] = set()
        self._outer: set[StreamConnection] = set()
        self._opening: dict[Key, list[Send]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(
        self, side: Side, listener: int, transport: Transport = "tcp"
    ) -> Callable[[], StreamConnection]:
        """Return a protocol factory for a listening socket."""
        return lambda: StreamConnection(self, Flow(side, transport, "", 0, listener))

    def opened(self, connection: StreamConnection) -> bool:
        """Add a new connection to the table; return False if there are too many."""
        if connection.flow.side == "outer":
            of_this = sum(other.flow.host == connection.flow.host for other in self._outer)
            if len(self._outer) >= MAX_CONNECTIONS or of_this >= MAX_OF_ONE_ADDRESS:
                log.warning("too many connections", extra={"of_this_address": of_this})
                return False
            self._outer.add(connection)
        self._all.add(connection)
        for flow in {connection.flow, connection.origin}:
            self._open[_key(flow)] = connection
        return True

    def closed(self, connection: StreamConnection) -> None:
        """Forget a connection; another one from the same address may have replaced it."""
        self._own.discard(connection.own)
        self._outer.discard(connection)
        self._all.discard(connection)
        for flow in {connection.flow, connection.origin}:
            if self._open.get(_key(flow)) is connection:
                del self._open[_key(flow)]

    def send(self, message: Send) -> None:
        """Write to the existing connection, or open one if that is allowed."""
        key = _key(message.to)
        connection = self._open.get(key)
        if connection is not None:
            connection.write(message.data)
        elif key in self._opening:
            if len(self._opening[key]) < MAX_QUEUED:
                self._opening[key].append(message)
        elif message.connect:
            self._opening[key] = [message]
            task = asyncio.get_running_loop().create_task(self._connect(message.to))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif message.otherwise is not None:
            self._resend(message.otherwise)

    async def _connect(self, to: Flow) -> None:
        connection: StreamConnection | None = None
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                connection = await self._opened_to(to)
            connection.silent = False
            self._own.add(connection.own)
        except OSError as error:  # includes TimeoutError and ssl.SSLError
            log.info("no connection", extra={"pii_target": to.source, "text": str(error) or "timed out"})
        waiting = self._opening.pop(_key(to), [])
        for message in waiting:
            if connection is not None:
                connection.write(message.data)
            elif message.otherwise is not None:
                self._resend(message.otherwise)

    async def _opened_to(self, to: Flow) -> StreamConnection:
        loop = asyncio.get_running_loop()
        if to.transport != "tls":
            plain = self.accept(to.side, to.listener, to.transport)
            return (await loop.create_connection(plain, to.host, to.port))[1]
        if self._tls is None:
            raise OSError("there are no TLS listening points")
        name = to.name or to.host
        kind = Flow(to.side, "tls", "", 0, to.listener, name)
        return (
            await loop.create_connection(
                lambda: StreamConnection(self, kind),
                to.host,
                to.port,
                ssl=self._tls.client,
                server_hostname=name.strip("[]"),
                ssl_handshake_timeout=HANDSHAKE_LIMIT_S,
                ssl_shutdown_timeout=SHUTDOWN_LIMIT_S,
            )
        )[1]

    def tick(self) -> None:
        """Run once a second: close connections with an unfinished message, and idle ones."""
        now = self.now()
        for connection in list(self._all):
            partial = connection.partial_since
            if partial and now - partial > PARTIAL_LIMIT_S:
                log.info("connection closed", extra={"text": "unfinished message"})
                connection.abort()
            elif now - connection.used_at > (FIRST_LIMIT_S if connection.silent else IDLE_LIMIT_S):
                connection.abort()


def _key(flow: Flow) -> Key:
    return flow.side, flow.transport, flow.host, flow.port, flow.name
