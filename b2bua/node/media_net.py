"""Where media are received: the relay's public side, and the loopback address between relay and workers.

Workers send and receive media only there; the relay has the public ports. Each node has an address in
127.0.0.0/8 that was picked at random, so that nodes on one machine do not meet.
"""

import asyncio
import socket
from dataclasses import dataclass
from pathlib import Path

from b2bua.core.errors import ConfigError
from b2bua.relay.control import RelayConfig
from b2bua.run_folder import RunFolder
from b2bua.settings import Settings

__all__ = ["InnerPorts", "MediaNet", "bind_error", "divide_ports", "ephemeral_ports"]

_FIRST, _LAST = 1024, 65535
_A_BLOCK = 64
"""Ports for a worker, where there are enough (``engine.port_blocks``)."""
_LEAST = 64
"""Fewer ports in a row are not enough for workers and relay."""
_USUAL_EPHEMERAL = (32768, 60999)
_EPHEMERAL_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")

Ports = tuple[int, int]
"""First and last."""


@dataclass(frozen=True, slots=True)
class InnerPorts:
    """The ports of the node's loopback address."""

    workers: Ports
    """To be divided into one block for each worker."""
    relay: Ports
    """One for each leg."""


@dataclass(frozen=True, slots=True)
class MediaNet:
    """Addresses and ports of a node's media."""

    relay: Path
    """The relay's control socket."""
    host: str
    """IP address at which parties reach the relay."""
    inner_host: str
    """The node's own loopback address, ``127.x.y.1``."""
    inner_ports: InnerPorts

    @classmethod
    async def chosen(cls, settings: Settings, run: RunFolder) -> "MediaNet":
        """Divide the ports of the inner address, and look up the public address if it is a name.

        Args:
            settings: the configuration.
            run: the node's run folder, which has its inner address.

        Raises:
            ConfigError: too few ports are left, the name has no address, or ``rtp.bind`` is not ours.
        """
        if error := bind_error(settings.rtp.bind):
            raise ConfigError(f"rtp.bind: {settings.rtp.bind} is no address of this machine: {error}")
        return cls(
            relay=run.relay,
            host=await _address_of(settings.rtp_address, settings.rtp.bind),
            inner_host=run.inner_host,
            inner_ports=divide_ports(settings.rtp.ports, ephemeral_ports(), settings.workers.max),
        )

    def relay_config(self, settings: Settings) -> RelayConfig:
        """Return the configuration of the relay."""
        return RelayConfig(
            bind=settings.rtp.bind,
            ports=settings.rtp.ports,
            inner_host=self.inner_host,
            inner_ports=self.inner_ports.relay,
            tick_ms=settings.relay.tick_ms,
            silence_after_ms=settings.relay.silence_after_ms,
            rtp_timeout_s=settings.relay.rtp_timeout_s,
        )


def bind_error(host: str) -> str:
    """Return why media cannot be received on this address, whatever the port; empty if they can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
    except OSError as error:
        return error.strerror or str(error)
    return ""


async def _address_of(host: str, bind: str) -> str:
    """Return an IP address of the family that media are received on."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise ConfigError(
            f"{host}, which peers are to send media to, has no address: {error.strerror}"
        ) from None
    addresses = [each[4][0] for each in found if each[0] == family] or [each[4][0] for each in found]
    return str(addresses[0])


def divide_ports(rtp_ports: Ports, ephemeral: Ports, workers: int) -> InnerPorts:
    """Divide the largest range that is neither public nor ephemeral between workers and relay.

    The kernel gives ephemeral ports to whoever asks for none in particular, on all addresses, so a port of
    that range could be taken at the moment when a leg needs it.

    Args:
        rtp_ports: first and last of the public ports.
        ephemeral: first and last of those that the kernel chooses from.
        workers: the most workers that there will be.

    Raises:
        ConfigError: too few ports are left.
    """
    first, last = max(_gaps(rtp_ports, ephemeral), key=lambda gap: gap[1] - gap[0])
    first += first % 2  # RFC 3550 §11: RTP on even ports
    total = last - first + 1
    if total < _LEAST:
        raise ConfigError(
            "rtp.ports and the system's ephemeral ports (net.ipv4.ip_local_port_range) leave too few others"
        )
    legs = min(total // 4, (rtp_ports[1] - rtp_ports[0] + 1) // 2)
    size = min(total - legs, workers * _A_BLOCK) // 2 * 2
    return InnerPorts(workers=(first, first + size - 1), relay=(first + size, first + size + legs - 1))


def ephemeral_ports() -> Ports:
    """Return the first and last of the ports that the kernel chooses from."""
    try:
        first, last = _EPHEMERAL_FILE.read_text().split()
        return int(first), int(last)
    except (OSError, ValueError):
        return _USUAL_EPHEMERAL


def _gaps(*taken: Ports) -> list[Ports]:
    """Return the ranges outside all ``taken`` ones; some may be empty."""
    gaps: list[Ports] = []
    start = _FIRST
    for first, last in sorted(taken):
        gaps.append((start, first - 1))
        start = max(start, last + 1)
    return [*gaps, (start, _LAST)]
