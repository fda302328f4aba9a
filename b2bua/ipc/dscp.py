"""The class of service of the node's packets on the network (RFC 4594): routers and switches that know it let
audio pass first, and signalling before the rest.
"""

import socket
from asyncio.trsock import TransportSocket
from contextlib import suppress
from typing import Final

__all__ = ["AUDIO", "SIGNALLING", "mark"]

AUDIO: Final = 46
"""EF, expedited forwarding (RFC 3246)."""
SIGNALLING: Final = 24
"""CS3, as is usual for SIP beside audio that is EF."""


def mark(sock: socket.socket | TransportSocket, dscp: int) -> None:
    """Let what a socket sends be of a class; never an error.

    Args:
        sock: of IPv4 or IPv6; one of IPv6 may also send IPv4.
        dscp: 0 to 63.
    """
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
    if sock.family == socket.AF_INET6:
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
