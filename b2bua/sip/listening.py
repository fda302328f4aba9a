"""The edge's listening sockets: bound once for the life of the node, and inherited by each edge process."""

import socket
from collections.abc import Sequence
from typing import Final

from b2bua.core.errors import ConfigError
from b2bua.ipc.dscp import SIGNALLING, mark
from b2bua.sip.addresses import LOOPBACK
from b2bua.sip.edge_control import ListenSpec

__all__ = ["Sockets", "bind"]

_SAME_PORT_TRIES: Final = 50
_UDP_BUFFER: Final = 4 << 20
"""Bytes that the kernel may buffer for a socket that is briefly not read, or whose edge is starting anew."""


class Sockets:
    """Bound sockets: the public ones in the order of the configuration, and an inner pair of UDP and TCP."""

    def __init__(self) -> None:
        self.outer: list[socket.socket] = []
        self.inner: list[socket.socket] = []

    @classmethod
    def inherited(cls, fds: Sequence[int]) -> "Sockets":
        """Return the sockets with these file descriptors, the inner pair last."""
        sockets = cls()
        bound = [socket.socket(fileno=fd) for fd in fds]
        sockets.outer, sockets.inner = bound[:-2], bound[-2:]
        return sockets

    @property
    def inner_port(self) -> int:
        """The port of the inner pair."""
        return int(self.inner[0].getsockname()[1])

    def listening(self, listen: tuple[ListenSpec, ...]) -> tuple[ListenSpec, ...]:
        """Return the configured listening points with their actual ports."""
        return tuple(
            ListenSpec(spec.transport, spec.host, sock.getsockname()[1])
            for spec, sock in zip(listen, self.outer, strict=True)
        )

    def close(self) -> None:
        """Close all of them."""
        for sock in (*self.outer, *self.inner):
            sock.close()


def bind(listen: tuple[ListenSpec, ...]) -> Sockets:
    """Bind all sockets; those of connections listen at once, so that none is refused before there is an edge.

    Raises:
        ConfigError: an address cannot be listened on.
    """
    sockets = Sockets()
    try:
        for spec in listen:
            try:
                sock = _bound(spec.transport, spec.host, spec.port)
                sockets.outer.append(sock)
                mark(sock, SIGNALLING)
            except OSError as error:
                raise ConfigError(
                    f"cannot listen on {spec.transport}://{spec.host}:{spec.port}: {error.strerror}"
                ) from error
        sockets.inner = _inner_pair()
    except ConfigError:
        sockets.close()
        raise
    return sockets


def _bound(transport: str, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if transport != "udp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UDP_BUFFER)
        sock.bind((host, port))
        if transport != "udp":
            sock.listen(256)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _inner_pair() -> list[socket.socket]:
    """Bind UDP and TCP on the same free loopback port."""
    for _ in range(_SAME_PORT_TRIES):
        datagram = _bound("udp", LOOPBACK, 0)
        try:
            return [datagram, _bound("tcp", LOOPBACK, datagram.getsockname()[1])]
        except OSError:
            datagram.close()
    raise ConfigError("no port of 127.0.0.1 is free for both UDP and TCP")
