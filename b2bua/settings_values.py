"""The types of values in a configuration, and how each is read from its text.

Every reader takes a value from TOML or the environment and either returns the parsed value or raises
ValueError with a readable text that contains the offending value. Secrets never pass through here.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

__all__ = [
    "Address",
    "Database",
    "Host",
    "HostPort",
    "HttpUrl",
    "Listen",
    "ListenAddress",
    "Network",
    "SipUri",
    "Transport",
    "WebAddress",
    "is_wildcard",
]

Transport = Literal["udp", "tcp", "tls"]
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.?")
_SIP_URI = re.compile(
    r"sips?:(?:[^\s@;?<>\"]+@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s@:;?<>\"\[\]]+)(?::(?P<port>\d{1,5}))?"
    r"(?:;[^\s;?=<>\"]+(?:=[^\s;?<>\"]+)?)*"
)


@dataclass(frozen=True, slots=True)
class HostPort:
    """An address to listen on."""

    host: str
    """An IP address, without brackets."""
    port: int
    """0: any free port, chosen when the socket is bound."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Listen:
    """A SIP listening point."""

    transport: Transport
    host: str
    """An IP address, without brackets; ``0.0.0.0`` or ``::`` for all."""
    port: int
    """0: any free port, chosen when the socket is bound."""

    def __str__(self) -> str:
        return f"{self.transport}://{HostPort(self.host, self.port)}"


def is_wildcard(host: str) -> bool:
    """Whether the address stands for all addresses of this machine."""
    return host in ("0.0.0.0", "::")


def _read_host_port(text: str) -> HostPort:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:]+)):(\d{1,5})", text)
    if match is None:
        raise ValueError(f"{text!r} is not ADDRESS:PORT")
    host = match[1] or match[2]
    _read_address(host)
    if int(match[3]) > 65535:
        raise ValueError(f"there is no port {match[3]}")
    return HostPort(host, int(match[3]))


def _read_web_address(value: Any) -> HostPort:
    return value if isinstance(value, HostPort) else _read_host_port(_text(value))


def _read_listen(value: Any) -> Listen:
    if isinstance(value, Listen):
        return value
    transport, separator, rest = _text(value).partition("://")
    if not separator or transport not in get_args(Transport):
        raise ValueError(f"{value!r} is not udp://ADDRESS:PORT, tcp://… or tls://…")
    place = _read_host_port(rest)
    return Listen(transport, place.host, place.port)  # type: ignore[arg-type]


def _read_address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError as err:
        raise ValueError(f"{value!r} is not an IP address") from err
    return value


def _read_host(value: str) -> str:
    try:
        return _read_address(value)
    except ValueError:
        # A name that ends in digits is a mistyped address: no top-level domain is numeric (RFC 3696 §2).
        if not _HOST_NAME.fullmatch(value) or value.rstrip(".").rpartition(".")[2].isdigit():
            raise ValueError(f"{value!r} is neither an IP address nor a host name") from None
        return value


def _read_network(value: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    try:
        return ipaddress.ip_network(_text(value))
    except ValueError as err:
        # The library's own text distinguishes an address with host bits set from an invalid one.
        raise ValueError(f"not a network like 192.0.2.0/24: {err}") from err


def _read_http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"\s", value):
        raise ValueError(f"{value!r} is not an http:// or https:// URL")
    return value


def _read_optional_http_url(value: str) -> str:
    return _read_http_url(value) if value else value


def _read_sip_uri(value: str) -> str:
    match = _SIP_URI.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is not a SIP URI like sip:192.0.2.10:5060;transport=udp")
    _read_host(match["host"].strip("[]"))
    if match["port"] and not 1 <= int(match["port"]) <= 65535:
        raise ValueError(f"there is no port {match['port']}")
    return value


def _read_database(value: str) -> str:
    if not re.match(r"(sqlite|postgresql)://", value):
        # An invalid URL may still contain a password, so it is not repeated.
        raise ValueError("not a database URL like sqlite:///FILE or postgresql://…")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    return value


Address = Annotated[str, AfterValidator(_read_address)]
"""An IP address."""
Host = Annotated[str, AfterValidator(_read_host)]
"""An IP address or a host name."""
HttpUrl = Annotated[str, AfterValidator(_read_optional_http_url)]
"""Kept verbatim, since signatures are computed over it; may be empty."""
SipUri = Annotated[str, AfterValidator(_read_sip_uri)]
"""Without headers (``?…``)."""
Database = Annotated[str, AfterValidator(_read_database)]
"""``sqlite:///…`` or ``postgresql://…``."""
ListenAddress = Annotated[Listen, BeforeValidator(_read_listen)]
"""Read from ``udp://ADDRESS:PORT``."""
WebAddress = Annotated[HostPort, BeforeValidator(_read_web_address), NoDecode]
"""Read from ``ADDRESS:PORT``, also in the environment, where the library would otherwise expect JSON."""
Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, BeforeValidator(_read_network)]
"""Read from CIDR notation or a plain address."""
