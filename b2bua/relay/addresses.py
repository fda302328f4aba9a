"""Addresses of packets: an IP address, as the kernel writes it, and a port."""

import ipaddress
from typing import Final, Literal

__all__ = ["Address", "own_host", "reachable"]

_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_BROADCAST: Final = ipaddress.IPv4Address("255.255.255.255")

Address = tuple[str, int]
"""As ``recvfrom`` reports it, without the flow and scope of IPv6."""


def own_host(bind: str) -> str:
    """Return the address at which sockets that are bound to ``bind`` reach each other."""
    return _ANY.get(bind, bind)


def reachable(host: str, port: int, version: Literal[4, 6], inner_host: str) -> Address | None:
    """Return the address that a socket of IP ``version`` sends to; None if it cannot or must not.

    Args:
        host: from a session description; ``0.0.0.0`` and ``::`` are the old form of hold (RFC 3264 §8.4).
        port: 0 if nothing is to be sent.
        version: of the address that the socket is bound to.
        inner_host: the node's own loopback address: a party that names it would reach workers.
    """
    if not 0 < port < 65536:
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified or address.is_multicast or address == _BROADCAST or str(address) == inner_host:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return (str(address) if version == 4 else f"::ffff:{address}"), port
    return (address.compressed, port) if version == 6 else None
