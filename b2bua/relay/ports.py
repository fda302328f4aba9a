"""The relay's sockets: one for each port, and the pairs of ports that legs are given.

A pair's sockets are bound when it is granted and closed when its leg is over. Which inner port belongs to
which outer one is fixed, so that a relay that is started again finds the pairs that are in use.
"""

import ctypes
import ipaddress
import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import Final, Literal

from b2bua.core.errors import ConfigError
from b2bua.ipc.dscp import AUDIO, mark
from b2bua.relay.addresses import Address
from b2bua.relay.control import Pair
from b2bua.relay.packet import SIZE, Packet, Send

__all__ = ["PairPool", "Port", "PortPair"]

log = logging.getLogger(__name__)

_READS_MOST: Final = 32
"""Datagrams read in one go from a socket that hears everybody."""
_FAILURES_MOST: Final = 8
_PAUSE_S: Final = 1.0
"""Pause after so many ports that somebody else has."""
_BUFFER_BYTES: Final = 16 << 10
"""Doubled by the kernel: some 40 packets of audio, 0.8 s. What has waited longer is of no use."""
_UNSPECIFIED: Final = bytes(32)
"""A sockaddr of AF_UNSPEC: connecting to it disconnects a UDP socket (udp(7)). Python has no word for it."""
_libc = ctypes.CDLL(None, use_errno=True)


class Port:
    """One UDP socket. Nobody but the settled address is heard once ``certain``: then the kernel drops others.

    Args:
        family: of the address.
        host: to bind.
        port: to bind.

    Raises:
        OSError: the port is taken.
    """

    __slots__ = ("_connected", "believes", "certain", "fd", "receive", "socket", "take")

    def __init__(self, family: int, host: str, port: int) -> None:
        self.socket = sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            sock.bind((host, port))
        except OSError:
            sock.close()
            raise
        self.fd = sock.fileno()
        self.receive = sock.recv_into
        self.certain = False
        self.take: Callable[[int, float], None] = _nothing
        self.believes: Callable[[Address, int], bool] = _nobody
        self._connected = False

    def aim(self, address: Address) -> Send:
        """See ``ways.Line``."""
        return lambda data: self.socket.sendto(data, address)

    def settle(self, address: Address) -> Send:
        """See ``ways.Line``."""
        try:
            self.socket.connect(address)
        except OSError:  # no way there: go on hearing everybody, and judge each packet
            return self.aim(address)
        self._connected = True
        return self.socket.send

    def release(self) -> None:
        """See ``ways.Line``."""
        self.certain = False
        if self._connected:
            self._connected = False
            _libc.connect(self.fd, _UNSPECIFIED, len(_UNSPECIFIED))

    def read_unsure(self, packet: Packet, now: float) -> None:
        """Read what has come, from whomever, and judge its source.

        A socket keeps what others sent before it was connected. Once it has been empty, it holds nothing of
        others.
        """
        for _ in range(_READS_MOST):
            try:
                size, source = self.socket.recvfrom_into(packet.data)
            except BlockingIOError:
                self.certain = self._connected
                return
            except OSError:  # an ICMP message about a packet of ours
                continue
            if size < SIZE and self.believes(source[:2], size):
                self.take(size, now)

    def drain(self) -> None:
        """Forget what has come."""
        for _ in range(1000):
            try:
                self.socket.recv(1)
            except BlockingIOError:
                return
            except OSError:
                continue

    def close(self) -> None:
        """Close the socket, and forget the leg."""
        self.take, self.believes = _nothing, _nobody
        self.socket.close()


def _nothing(size: int, now: float) -> None:
    pass


def _nobody(address: Address, size: int) -> bool:
    return False


class PortPair:
    """The three sockets of a pair; the ``ways.Lines`` of its leg.

    Raises:
        OSError: one of the ports is taken.
    """

    __slots__ = ("control", "inner", "inner_host", "outer", "pair", "version")

    def __init__(self, bind: str, inner_host: str, pair: Pair) -> None:
        self.pair = pair
        self.inner_host = inner_host
        self.version: Literal[4, 6] = 6 if ipaddress.ip_address(bind).version == 6 else 4
        family = socket.AF_INET6 if self.version == 6 else socket.AF_INET
        bound: list[Port] = []
        try:
            bound.append(Port(family, bind, pair.outer))
            bound.append(Port(family, bind, pair.outer + 1))
            for port in bound:
                mark(port.socket, AUDIO)
            bound.append(Port(socket.AF_INET, inner_host, pair.inner))
        except OSError:
            for port in bound:
                port.close()
            raise
        self.outer, self.control, self.inner = bound

    @property
    def ports(self) -> tuple[Port, Port, Port]:
        """All three."""
        return self.outer, self.control, self.inner


def _probe(host: str) -> None:
    """Raise ConfigError unless ``host`` is an address of this machine."""
    try:
        version = ipaddress.ip_address(host).version
        with socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
    except (ValueError, OSError) as error:
        raise ConfigError(f"{host} cannot be bound: {error}") from error


class PairPool:
    """All pairs of the two ranges.

    Args:
        bind: outer address.
        ports: first and last outer port.
        inner_host: inner address.
        inner_ports: first and last inner port.
        start: index of the pair that is granted first, modulo their number.

    Raises:
        ConfigError: the ranges hold no pair, or an address is not one of this machine.
    """

    def __init__(
        self, bind: str, ports: tuple[int, int], inner_host: str, inner_ports: tuple[int, int], start: int
    ) -> None:
        self._bind = bind
        self._inner_host = inner_host
        for host in (bind, inner_host):
            _probe(host)
        first = ports[0] + ports[0] % 2  # RFC 3550 §11: RTP on even ports
        self.size = max(0, min((ports[1] - first + 1) // 2, inner_ports[1] - inner_ports[0] + 1))
        if not self.size:
            raise ConfigError(f"the ports {ports} and {inner_ports} hold no pair")
        pairs = [Pair(first + 2 * n, inner_ports[0] + n) for n in range(self.size)]
        start %= self.size
        self._free = deque(pairs[start:] + pairs[:start])
        """Those used last are last, so that late packets for a former leg do not come to the next."""
        self._granted: dict[Pair, PortPair] = {}
        self._failures = 0
        self._pause_until = 0.0

    @property
    def in_hand(self) -> int:
        """The number of pairs that are granted and not in use."""
        return len(self._granted)

    def grant(self, most: int, now: float) -> list[Pair]:
        """Bind and return so many pairs that ``most`` are granted and not in use, or all that are left."""
        granted: list[Pair] = []
        while self._free and len(self._granted) < most and now >= self._pause_until:
            pair = self._free.popleft()
            lines = self._bound(pair)
            if lines is None:
                self._free.append(pair)
                self._failures += 1
                if self._failures % _FAILURES_MOST == 0:
                    self._pause_until = now + _PAUSE_S
            else:
                self._granted[pair] = lines
                granted.append(pair)
        return granted

    def keep(self, pair: Pair) -> bool:
        """A pair was granted by an earlier relay and is not in use; return whether it can be used."""
        lines = self.take(pair)
        if lines is not None:
            self._granted[pair] = lines
        return lines is not None

    def take(self, pair: Pair) -> PortPair | None:
        """Return the sockets of a pair for a leg; None if they cannot be bound, or are another leg's."""
        lines = self._granted.pop(pair, None)
        if lines is not None:
            for port in lines.ports:
                port.drain()
            return lines
        lines = self._bound(pair)
        if lines is not None and pair in self._free:
            self._free.remove(pair)
        return lines

    def _bound(self, pair: Pair) -> PortPair | None:
        try:
            return PortPair(self._bind, self._inner_host, pair)
        except (OSError, OverflowError) as error:
            facts = {"outer": pair.outer, "inner": pair.inner, "error": str(error)}
            log.warning("a port cannot be bound", extra=facts)
            return None

    def give_back(self, lines: PortPair) -> None:
        """The leg of a pair is over."""
        for port in lines.ports:
            port.close()
        self._free.append(lines.pair)

    def recall(self, kept: set[Pair]) -> None:
        """Take back what is granted, but for ``kept``."""
        for pair in [pair for pair in self._granted if pair not in kept]:
            self.give_back(self._granted.pop(pair))
