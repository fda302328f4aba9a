"""A socket for SIP, UDP or TCP, with a log of everything, and rules to lose or delay messages."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from . import wire
from .ladder import Address, Log
from .stream import Streams, Tls
from .wire import Message, new_branch

Match = Callable[[Message], bool]

_INSIDE = re.compile(rb"\b127\.(?:6[4-9]|[7-9]\d|1\d\d|2[0-4]\d|250)\.\d{1,3}\.1\b")
"""The address at which a node's workers and relay meet, which nobody outside may see."""


@dataclass
class _Rule:
    """An action for the next messages that match."""

    direction: str
    left: int
    matches: Match
    delay_s: float | None
    """Seconds to delay the message; None drops it."""


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, link: Link) -> None:
        self.link = link

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.link.datagram_received(data, (addr[0], addr[1]))


class Link:
    """The peer's part on the wire; the peer itself decides in `arrived` what to do with a message."""

    def __init__(self, name: str, host: str, transport: str = "udp", tls: Tls | None = None) -> None:
        self.name, self.host, self.transport = name, host, transport
        self.log = Log(name)
        """Every message with its direction and monotonic time."""
        self.faults: list[str] = []
        """Messages received that violate RFC 3261, or show an address of the node's inner side."""
        self.crashes: list[BaseException] = []
        """Errors that ended tasks of our own."""
        self._rules: list[_Rule] = []
        self._timers: set[asyncio.TimerHandle] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None
        self.streams: Streams | None = None
        """The connections of a peer that speaks TCP or TLS."""
        if transport != "udp":
            self.streams = Streams(self.datagram_received, tls)

    async def open(self) -> None:
        """Bind a free port."""
        if self.streams is not None:
            await self.streams.open(self.host)
            return
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.bind((self.host, 0))
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: _Socket(self), sock=sock)

    async def close(self) -> None:
        """Forget delayed messages, end our tasks and free the port."""
        for timer in self._timers:
            timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.streams is not None:
            await self.streams.close()
        if self._transport is not None:
            self._transport.close()
        await asyncio.sleep(0)  # lets the transports close their sockets

    @property
    def port(self) -> int:
        """Our SIP port."""
        if self.streams is not None:
            return self.streams.port
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    @property
    def address(self) -> Address:
        """Where to send SIP to this peer."""
        return self.host, self.port

    def uri(self, user: str = "") -> str:
        """A SIP URI that leads to this peer."""
        parameter = f";transport={self.transport}" if self.streams is not None else ""
        return f"sip:{user or self.name}@{self.host}:{self.port}{parameter}"

    def ladder(self) -> str:
        """Everything sent and received so far, for people."""
        return self.log.ladder()

    def failure(self, what: str) -> AssertionError:
        """An error that shows the ladder."""
        return self.log.failure(what)

    def fault(self, what: str, message: Message) -> None:
        """Note a violation by the other side."""
        self.faults.append(f"{what}: {message.summary}")

    def arrived(self, message: Message, source: Address) -> None:
        """A message has arrived and no rule withheld it."""
        raise NotImplementedError

    def send(self, message: Message, address: Address) -> None:
        """Put a message on the wire as it is; rules to drop or delay apply."""
        rule = self._rule("out", message)
        if rule is None:
            self._put(message, address)
        elif rule.delay_s is None:
            self.log.note("lost", message, address)
        else:
            self._later(rule.delay_s, lambda: self._put(message, address))

    def send_raw(self, data: bytes, address: Address) -> None:
        """Put any bytes on the wire."""
        if self.streams is not None:
            self.streams.send(data, address)
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, address)

    def send_new(self, message: Message, address: Address) -> tuple[Message, Address]:
        """Send a request without a transaction (ACK, or one without awaited response), with its own Via."""
        self.add_via(message)
        self.send(message, address)
        return message, address

    def retransmit(self, message: Message) -> None:
        """Send a message again to the same address."""
        entry = next(e for e in reversed(self.log) if e.message is message and e.direction == "out")
        self._put(message, entry.address)

    def drop_next(self, count: int = 1, *, direction: str = "in", matches: Match = lambda m: True) -> None:
        """Lose the next matching messages, as the network would."""
        self._rules.append(_Rule(direction, count, matches, None))

    def delay_next(
        self, delay_s: float, count: int = 1, *, direction: str = "out", matches: Match = lambda m: True
    ) -> None:
        """Delay the next matching messages."""
        self._rules.append(_Rule(direction, count, matches, delay_s))

    def add_via(self, message: Message) -> None:
        """Put our Via with a new branch on top."""
        via = f"SIP/2.0/{self.transport.upper()} {self.host}:{self.port};branch={new_branch()};rport"
        message.headers.insert(0, ("Via", via))

    def start_task(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task whose failure must fail the test."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def datagram_received(self, data: bytes, source: Address) -> None:
        """A datagram, or a message from a stream, has arrived (called by the socket)."""
        if data and 128 <= data[0] <= 191:
            return  # RFC 7983 §7: RTCP, for a neighbour whose RTP port happens to be just below ours
        if not data.strip(b"\r\n\x00"):
            return  # a keep-alive (RFC 5626 §3.5.1 and its like)
        try:
            message = wire.parse(data)
            broken = wire.faults(message)
        except wire.WireError as err:
            self.faults.append(f"{err}: {data[:80]!r}")
            return
        if _INSIDE.search(data):
            broken.append("an address of the node's inner side")
        for what in broken:
            self.fault(what, message)
        if not {"via", "from", "to", "call-id", "cseq"} <= {
            wire.canonical(name) for name, _ in message.headers
        }:
            return
        rule = self._rule("in", message)
        if rule is None:
            self._accept(message, source)
        elif rule.delay_s is None:
            self.log.note("dropped", message, source)
        else:
            self._later(rule.delay_s, lambda: self._accept(message, source))

    def _accept(self, message: Message, source: Address) -> None:
        self.log.note("in", message, source)
        self.arrived(message, source)

    def _put(self, message: Message, address: Address) -> None:
        self.log.note("out", message, address)
        self.send_raw(message.to_bytes(), address)

    def _rule(self, direction: str, message: Message) -> _Rule | None:
        for rule in self._rules:
            if rule.direction == direction and rule.left and rule.matches(message):
                rule.left -= 1
                return rule
        return None

    def _later(self, delay_s: float, act: Callable[[], None]) -> None:
        self._timers.add(asyncio.get_running_loop().call_later(delay_s, act))

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.crashes.append(error)
