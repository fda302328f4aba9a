"""The loop around the machine: drains all media sockets once a tick, and sleeps on the control sockets.

A process that wakes for each packet pays for the wake-up; this one wakes 200 times a second for all legs.
Parties that only a room hears are *patient*: their sockets are drained when the room is mixed, every 20 ms,
and while all parties are patient it wakes no more often. Nothing that comes from a socket may end it.
"""

import gc
import logging
import os
import select
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from typing import Final, cast

import msgspec

from b2bua.core.errors import B2buaError, ConfigError
from b2bua.ipc.channel import BlockingChannel
from b2bua.relay.addresses import own_host
from b2bua.relay.control import (
    CloseLeg,
    DescribeLeg,
    EdgeHello,
    LegClosed,
    LegKey,
    LegLost,
    LegReplaced,
    OpenLeg,
    PairsGranted,
    RelayConfig,
    RelayReady,
    ToRelay,
)
from b2bua.relay.leg import Leg
from b2bua.relay.machine import Client, Relay
from b2bua.relay.packet import Packet
from b2bua.relay.ports import PairPool, Port, PortPair
from b2bua.relay.raw_files import RawFiles
from b2bua.relay.room_loader import RoomLoader
from b2bua.relay.ways import InsideLines

__all__ = ["Loop"]

log = logging.getLogger(__name__)

GRANTED: Final = 48
"""Pairs that the edge has in hand, at most."""
_GRANTED_LEAST: Final = 40
"""Pairs are granted when it has fewer: one message for each leg would wake both processes as often."""
_EVENTS_MOST: Final = 8192
"""Without it ``epoll.poll`` returns 1,023 at most."""
_ROUNDS_MOST: Final = 4
"""Packets of one socket that are read in one tick."""
_EARLY_S: Final = 0.001
"""Epoll waits for whole milliseconds; so a tick may be early by one."""
_LAST_MOST: Final = 64
"""Packets of one socket that are read before it is closed; it can hold fewer of audio."""
_FLUSH_S: Final = 0.5
_IDLE_S: Final = 1.0
_FAULTS_LOGGED: Final = 20
_QUIET_EDGE_S: Final = 0.02
"""An edge that connects names its legs at once; pairs are granted when it has named all."""


class _Client:
    def __init__(self, sock: socket.socket) -> None:
        decoder = msgspec.msgpack.Decoder(ToRelay)
        self.channel = cast(BlockingChannel[msgspec.Struct], BlockingChannel(sock, decoder))
        self.kind: Client | None = None
        self.granted = False
        """It has been given pairs, and has named all legs that it had."""


class Loop:
    """The relay process.

    Args:
        path: of the Unix socket for edge and controller.
        life: descriptor of the life line; None: the life of the process that started this one.
    """

    def __init__(self, path: Path, life: int | None = None) -> None:
        self._packet = Packet()
        self._wake_read, self._wake_write = socket.socketpair()
        for sock in (self._wake_read, self._wake_write):
            sock.setblocking(False)
        self._files = RawFiles(self._wake)
        self._relay = Relay(self._files, self._packet, RoomLoader(), SystemRandom(), self._hear_rooms)
        self._pool: PairPool | None = None
        self._lines: dict[Leg, PortPair] = {}
        self._far: dict[Leg, Port] = {}
        """Where the audio of each leg's party comes: the outer port, or a link leg's inner one."""
        self._ports: dict[int, Port] = {}
        self._lost: set[LegKey] = set()
        """The edge's names of legs without ports, until it names its legs again."""
        self._media = select.epoll()
        self._rooms = select.epoll()
        """Of the ports of ``_patient``."""
        self._patient: dict[Leg, Port] = {}
        """Legs whose parties' packets wait until the rooms are mixed."""
        self._control = select.epoll()
        self._clients: dict[int, _Client] = {}
        self._edge: _Client | None = None
        self._controller: _Client | None = None
        self._edge_heard_at = 0.0
        self._early: list[tuple[_Client, msgspec.Struct]] = []
        """What the edge said before the controller has said where to listen."""
        self._tick_s = 0.005
        self._ending = False
        self._status = 0
        self._faults = 0
        self._parent = os.getppid()
        self._life = life
        with suppress(FileNotFoundError):
            path.unlink()
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.setblocking(False)
        self._server.bind(str(path))
        path.chmod(0o600)
        self._server.listen(8)
        for fd in (self._server.fileno(), self._wake_read.fileno()):
            self._control.register(fd, select.EPOLLIN)
        if life is not None:
            self._control.register(life, select.EPOLLIN)

    def run(self) -> int:
        """Serve until the life line ends; without one, until SIGTERM or the end of the parent.

        Returns:
            Exit status; 1 if the addresses or ports cannot be used.
        """
        signal.signal(signal.SIGTERM, self._end if self._life is None else signal.SIG_IGN)
        gc.collect()
        gc.freeze()
        gc.disable()  # packets make no cycles, and a leg's are broken when it is closed
        clock = time.monotonic
        wait = self._control.poll
        next_tick = next_flush = next_check = clock()
        while not self._ending:
            busy = self._lines or (self._edge is not None and not self._edge.granted)
            delay_ms = ((next_tick if busy else next_check) - clock()) * 1000
            try:
                events = wait(int(delay_ms) / 1000 if delay_ms >= 1 else 0)
                now = clock()
                if events:
                    self._serve(events)
                    now = clock()
                    next_tick = min(next_tick, now + self._tick_s)
                if busy and now < next_tick - _EARLY_S:
                    continue
                late = now >= next_tick + self._tick_s
                next_tick = now + self._tick_s if late else next_tick + self._tick_s
                if self._relay.patience_changed():
                    self._sort_ports()
                self._drain(self._media, now, _ROUNDS_MOST if late else 1)
                self._relay.tick(now)
                if self._patient and len(self._patient) == len(self._lines):
                    next_tick = max(next_tick, self._relay.rests_until)
                if now >= next_flush:
                    next_flush = now + _FLUSH_S
                    self._drain(self._media, now, _ROUNDS_MOST)  # for those that send a packet each tick
                    self._relay.flush()
                    self._say(now)
                if now >= next_check:
                    next_check = now + _IDLE_S
                    parted = self._life is None and os.getppid() != self._parent
                    self._ending = self._ending or parted
                if self._relay.to_controller or self._files.results or not self._lines:
                    self._say(now)
            except Exception:  # a bug that concerns one leg must not end the calls of all
                self._note_fault("a tick is cut short")
        self._relay.flush()
        self._files.close()
        return self._status

    def _end(self, *_: object) -> None:
        self._ending = True
        self._wake()

    def _wake(self) -> None:
        with suppress(OSError):  # full: it wakes anyway
            self._wake_write.send(b"\0")

    # -- media ----------------------------------------------------------------------------------------

    def _hear_rooms(self, at: float, last: bool) -> None:
        """Take what the patient parties have sent, for the tick at ``at``.

        A loop that is late has missed ticks, and makes up for them: each gets one packet of a party, as if it
        had been in time, so that a stall of this process is no jitter of theirs. The last gets all others.
        """
        self._drain(self._rooms, at, _ROUNDS_MOST if last else 1)

    def _sort_ports(self) -> None:
        """Read the sockets of patient parties only when the rooms are mixed, and all others at each tick."""
        patient = set(self._relay.patient())
        for leg in self._patient.keys() - patient:
            port = self._patient.pop(leg)
            self._rooms.unregister(port.fd)
            self._media.register(port.fd, select.EPOLLIN)
        for leg in patient - self._patient.keys():
            port = self._patient[leg] = self._far[leg]
            self._media.unregister(port.fd)
            self._rooms.register(port.fd, select.EPOLLIN)

    def _drain(self, sockets: select.epoll, now: float, rounds: int) -> None:
        """Take so many packets from each socket, as far as they have come."""
        ports, packet, data, poll = self._ports, self._packet, self._packet.data, sockets.poll
        # Called as variables: Python is slower with ``port.take(…)``, which it takes for a method first.
        for _ in range(rounds):
            events = poll(0, _EVENTS_MOST)
            if not events:
                return
            for fd, _ in events:
                port = ports[fd]
                try:
                    if port.certain:
                        receive, take = port.receive, port.take
                        take(receive(data), now)
                    else:
                        port.read_unsure(packet, now)
                except OSError:  # nothing there after all, or an ICMP message about a packet of ours
                    continue
                except Exception:
                    self._note_fault("a packet is lost")

    def _note_fault(self, lost: str) -> None:
        """Log a bug that has been met, unless many were."""
        self._faults += 1
        if self._faults <= _FAULTS_LOGGED:
            log.exception(lost)

    # -- control --------------------------------------------------------------------------------------

    def _serve(self, events: list[tuple[int, int]]) -> None:
        """Take orders. What follows from them is said with the next tick: each message wakes a process."""
        now = time.monotonic()
        for fd, _ in events:
            if fd == self._server.fileno():
                self._accept()
            elif fd == self._life:
                self._ending = True
            elif fd == self._wake_read.fileno():
                with suppress(OSError):
                    self._wake_read.recv(4096)
            else:
                self._receive(fd, now)

    def _accept(self) -> None:
        try:
            sock, _ = self._server.accept()
        except OSError:
            return
        self._clients[sock.fileno()] = _Client(sock)
        self._control.register(sock.fileno(), select.EPOLLIN)

    def _receive(self, fd: int, now: float) -> None:
        client = self._clients[fd]
        try:
            orders = client.channel.receive()
        except (B2buaError, msgspec.DecodeError):
            log.exception("a client speaks otherwise than the relay")
            client.channel.closed, orders = True, []
        for order in orders:
            try:
                self._obey(client, order, now)
            except ConfigError as error:
                log.error("the relay cannot start", extra={"error": str(error)})
                self._ending, self._status = True, 1
            except Exception:  # a failure with one order must not end the calls
                log.exception("an order is lost", extra={"kind": type(order).__name__})
        if client.channel.closed:
            self._drop(fd, client)

    def _drop(self, fd: int, client: _Client) -> None:
        self._control.unregister(fd)
        del self._clients[fd]
        client.channel.socket.close()
        if client is self._edge:
            self._edge = None
        if client is self._controller:
            self._controller = None

    def _obey(self, client: _Client, order: msgspec.Struct, now: float) -> None:
        if isinstance(order, RelayConfig):
            client.kind, self._controller = "controller", client
            self._configure(order)
            early, self._early = self._early, []
            for other, said in early:
                self._obey(other, said, now)
        elif self._pool is None:
            self._early.append((client, order))
        elif isinstance(order, EdgeHello):
            client.kind, self._edge = "edge", client
            self._edge_heard_at = now
            self._lost.clear()
            self._pool.recall(set(order.free))
            for pair in order.free:
                self._pool.keep(pair)
        elif client.kind is None:
            log.error("a client has not said who it is", extra={"kind": type(order).__name__})
            client.channel.closed = True
        elif isinstance(order, OpenLeg):
            self._edge_heard_at = now
            self._open(self._pool, order, now)
        elif isinstance(order, LegReplaced) and order.leg in self._lost:
            self._relay.to_controller.append(LegLost(leg=order.old))  # which has no other name for it
        else:
            if isinstance(order, CloseLeg) and (leg := self._relay.known(order.leg, client.kind)):
                self._take_last(leg, now)
            leg = self._relay.obey(order, client.kind, now)
            if leg is not None:
                self._close(leg)
            elif isinstance(order, DescribeLeg):
                self._hear_worker(order)

    def _configure(self, config: RelayConfig) -> None:
        self._tick_s = max(config.tick_ms / 1000, _EARLY_S)
        self._relay.silence_after_s = config.silence_after_ms / 1000
        self._relay.rtp_timeout_s = config.rtp_timeout_s
        self._relay.passages.own_host = own_host(config.bind)
        if self._pool is None:
            start = SystemRandom().getrandbits(32)
            self._pool = PairPool(config.bind, config.ports, config.inner_host, config.inner_ports, start)
        self._relay.to_controller.append(RelayReady(pairs=self._pool.size))
        self._relay.repeat()

    def _open(self, pool: PairPool, order: OpenLeg, now: float) -> None:
        if order.leg in self._relay.legs or order.leg in self._lost:
            return
        lines = pool.take(order.pair)
        if lines is None:
            self._lose(order.leg)
            return
        leg = self._relay.open_leg(order, InsideLines(lines) if order.inside else lines, now)
        self._lines[leg] = lines
        self._far[leg] = lines.inner if order.inside else lines.outer
        if order.inside:
            lines.inner.take, lines.inner.believes = leg.from_far, leg.ways.believes_far
            self._hear(lines.inner)
            return
        lines.outer.take, lines.outer.believes = leg.from_far, leg.ways.believes_far
        lines.control.take, lines.control.believes = leg.report_from_far, leg.ways.believes_control
        lines.inner.take, lines.inner.believes = leg.from_worker, leg.ways.believes_worker
        for port in (lines.outer, lines.control):
            self._hear(port)

    def _hear_worker(self, order: DescribeLeg) -> None:
        """Read what the worker sends, now that it is known who is to hear it.

        A worker speaks as soon as it has answered, perhaps before the edge has read the answer: until then
        its packets wait in the kernel.
        """
        leg = self._relay.legs.get(order.leg)
        if leg is not None and order.near.port:
            port = self._lines[leg].inner
            if port.fd not in self._ports:
                self._hear(port)

    def _hear(self, port: Port) -> None:
        self._ports[port.fd] = port
        self._media.register(port.fd, select.EPOLLIN)

    def _lose(self, key: LegKey) -> None:
        """Let the call of a leg end for which there are no ports: it would be silent."""
        log.error("a leg is lost, because its ports cannot be bound", extra={"sip_call_id": key.call_id})
        self._lost.add(key)
        self._relay.to_edge.append(LegClosed(leg=key))
        self._relay.to_controller.append(LegLost(leg=key))

    def _take_last(self, leg: Leg, now: float) -> None:
        """Pass on what has come for a leg that is over: a relay that is late reads the order first."""
        for port in self._lines[leg].ports:
            for _ in range(_LAST_MOST if port.certain else 1):
                try:
                    if port.certain:
                        port.take(port.receive(self._packet.data), now)
                    else:
                        port.read_unsure(self._packet, now)
                except BlockingIOError:
                    break
                except OSError:  # an ICMP message about a packet of ours
                    continue
                except Exception:
                    self._note_fault("a packet is lost")

    def _close(self, leg: Leg) -> None:
        lines = self._lines.pop(leg)
        del self._far[leg]
        patient = self._patient.pop(leg, None)
        for port in lines.ports:
            if self._ports.pop(port.fd, None) is not None:
                (self._rooms if port is patient else self._media).unregister(port.fd)
        assert self._pool is not None
        self._pool.give_back(lines)

    def _say(self, now: float) -> None:
        """Send what is to be said; what is for a client that is not there is lost."""
        relay, results = self._relay, self._files.results
        while results:
            relay.to_controller.append(results.popleft())
        edge = self._edge
        if edge is not None and self._pool is not None:
            edge.granted = edge.granted or now - self._edge_heard_at >= _QUIET_EDGE_S
            short = edge.granted and self._pool.in_hand < _GRANTED_LEAST
            if short and (granted := self._pool.grant(GRANTED, now)):
                relay.to_edge.append(PairsGranted(pairs=tuple(granted)))
        for client, said in ((self._controller, relay.to_controller), (self._edge, relay.to_edge)):
            if client is not None and said:
                client.channel.send(said)
            elif client is not None:
                client.channel.flush()
            said.clear()
