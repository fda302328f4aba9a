"""Resolution of a next hop's name to addresses: NAPTR, SRV, A and AAAA (RFC 3263, RFC 2782).

``/etc/hosts`` takes precedence over DNS. A failure is returned as a value: the reason phrase of the response
to the request that cannot be sent.

Thread: the edge's loop.
"""

import asyncio
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver

from b2bua.sip.addresses import transport_of
from b2bua.sip.flow import Transport
from b2bua.sip.outbound import Target
from b2bua.sip.uri import Uri, default_port

__all__ = ["Resolver", "order_services", "read_hosts"]

LIMIT_S: Final = 3.0
TRY_S: Final = 1.0
CACHED_ANSWERS: Final = 2000
HOSTS_FRESH_S: Final = 5.0

NO_ANSWER: Final = "Next Hop Has No Address"
TOO_LATE: Final = "Name Resolution Timed Out"

_NAPTR_SERVICES: Final[dict[str, Transport]] = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
_SRV_NAMES: Final[dict[Transport, str]] = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}
_WITHOUT_NAPTR: Final[tuple[Transport, ...]] = ("udp", "tcp")


@dataclass(frozen=True, slots=True)
class Service:
    """An SRV record."""

    priority: int
    weight: int
    port: int
    host: str


def order_services(services: Iterable[Service], chance: random.Random) -> list[Service]:
    """Order services by priority, and within one priority by weighted chance (RFC 2782 "Usage rules")."""
    ordered: list[Service] = []
    # Weight 0 sorts first within a priority, so that it has a small chance where others have weights.
    left = sorted(services, key=lambda service: (service.priority, service.weight))
    while left:
        group = [service for service in left if service.priority == left[0].priority]
        mark = chance.randint(0, sum(service.weight for service in group))
        running = 0
        for service in group:
            running += service.weight
            if running >= mark:
                break
        ordered.append(service)
        left.remove(service)
    return ordered


def read_hosts(text: str) -> dict[str, list[str]]:
    """Read ``/etc/hosts``; return the addresses by name in lower case."""
    hosts: dict[str, list[str]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        try:
            ip_address(address)
        except ValueError:
            continue
        for name in names:
            hosts.setdefault(name.lower(), []).append(address)
    return hosts


class Resolver:
    """Resolves next hops.

    Args:
        nameservers: ``ADDRESS`` or ``ADDRESS:PORT``; empty for the system's.
        v6: whether there is a listening point to send IPv6 from.
        tls: whether TLS is available.
        hosts: the file of local names.
        chance: random source for SRV weights.
    """

    def __init__(
        self,
        nameservers: tuple[str, ...],
        *,
        v6: bool = False,
        tls: bool = False,
        hosts: Path = Path("/etc/hosts"),
        chance: random.Random | None = None,
    ) -> None:
        self._resolver = _make_resolver(nameservers)
        self._v6 = v6
        self._tls = tls
        self._hosts_path = hosts
        self._hosts: dict[str, list[str]] = {}
        self._hosts_read_at = -HOSTS_FRESH_S
        self._chance = chance or random.Random()

    async def resolve(self, uri: Uri) -> tuple[Target, ...] | str:
        """Return targets in the order to try them, or the reason why there are none."""
        try:
            async with asyncio.timeout(LIMIT_S):
                targets = await self._resolve(uri)
                # RFC 5922 §4: whatever DNS says, the certificate must have the requested name.
                name = uri.host.rstrip(".")
                named = (replace(each, name=name) if each.transport == "tls" else each for each in targets)
                return tuple(named) or NO_ANSWER
        except (TimeoutError, dns.exception.Timeout):
            return TOO_LATE
        except (dns.exception.DNSException, OSError, UnicodeError):
            return NO_ANSWER

    async def _resolve(self, uri: Uri) -> list[Target]:
        host = uri.host.rstrip(".").lower()
        wanted = uri.param("transport")
        if wanted not in (None, "udp", "tcp", "tls"):
            return []
        transport = transport_of(uri)
        port = uri.port or default_port(transport)
        local = self._local(host)
        if local or uri.port is not None:
            # RFC 3263 §4.1, §4.2: with a port there is no SRV lookup; UDP unless the URI says otherwise.
            addresses = local or await self._addresses(host)
            return [Target(transport, address, port) for address in addresses]
        if wanted is not None or uri.secure:
            services = await self._services(f"{_SRV_NAMES[transport]}.{host}")
            found = await self._of_services(services, transport)
        else:
            found = await self._discover(host)
        if found is None:
            return [Target(transport, address, port) for address in await self._addresses(host)]
        return found

    async def _discover(self, host: str) -> list[Target] | None:
        """Discover the transport (RFC 3263 §4.1): by NAPTR, else by the first existing SRV record."""
        choices = await self._naptr(host)
        choices = choices or [(each, f"{_SRV_NAMES[each]}.{host}") for each in _WITHOUT_NAPTR]
        found: list[Target] | None = None
        for transport, name in choices:
            of_this = await self._of_services(await self._services(name), transport)
            if of_this:
                return of_this
            found = found if of_this is None else of_this
        return found

    async def _naptr(self, host: str) -> list[tuple[Transport, str]]:
        records = sorted(await self._ask(host, "NAPTR"), key=lambda record: (record.order, record.preference))
        choices: list[tuple[Transport, str]] = []
        for record in records:
            transport = _NAPTR_SERVICES.get(record.service.decode("ascii", "replace").upper())
            if transport == "tls" and not self._tls:
                continue
            if transport is not None and record.flags.lower() == b"s":
                choices.append((transport, record.replacement.to_text(omit_final_dot=True)))
        return choices

    async def _services(self, name: str) -> list[Service]:
        return [
            Service(
                record.priority,
                record.weight,
                record.port,
                record.target.to_text(omit_final_dot=True).lower(),
            )
            for record in await self._ask(name, "SRV")
        ]

    async def _of_services(self, services: list[Service], transport: Transport) -> list[Target] | None:
        """Return the targets of SRV records; None if there are no records."""
        if not services:
            return None
        targets: list[Target] = []
        for service in order_services(services, self._chance):
            if service.host in (".", ""):  # RFC 2782: the service is decidedly not available
                continue
            for address in self._local(service.host) or await self._addresses(service.host):
                targets.append(Target(transport, address, service.port))
        return targets

    async def _addresses(self, host: str) -> list[str]:
        addresses = [record.address for record in await self._ask(host, "A")]
        if self._v6:
            addresses += [record.address for record in await self._ask(host, "AAAA")]
        return addresses

    async def _ask(self, name: str, kind: str) -> list[Any]:
        try:
            answer = await self._resolver.resolve(dns.name.from_text(name), kind)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.resolver.NoNameservers):
            # NoNameservers: refused or failed, as some servers do for types unknown to them, such as NAPTR.
            return []
        return list(answer)

    def _local(self, host: str) -> list[str]:
        now = time.monotonic()
        if now - self._hosts_read_at >= HOSTS_FRESH_S:
            self._hosts_read_at = now
            try:
                self._hosts = read_hosts(self._hosts_path.read_text(errors="replace"))
            except OSError:
                self._hosts = {}
        addresses = self._hosts.get(host, ["127.0.0.1"] if host == "localhost" else [])
        return [address for address in addresses if self._v6 or ":" not in address]


def _make_resolver(nameservers: tuple[str, ...]) -> dns.asyncresolver.Resolver:
    try:
        resolver = dns.asyncresolver.Resolver(configure=not nameservers)
    except dns.resolver.NoResolverConfiguration:
        resolver = dns.asyncresolver.Resolver(configure=False)
    if nameservers:
        resolver.nameservers = [_nameserver(text) for text in nameservers]
    resolver.lifetime = LIMIT_S
    resolver.timeout = TRY_S
    resolver.cache = dns.resolver.LRUCache(CACHED_ANSWERS)
    return resolver


def _nameserver(text: str) -> str | dns.nameserver.Nameserver:
    try:
        ip_address(text)
        return text
    except ValueError:
        host, _, port = text.rpartition(":")
        return dns.nameserver.Do53Nameserver(host.strip("[]"), int(port))
