"""SIP, SIPS and tel URIs, parsed only as far as routing and identity need.

Source: RFC 3261 §19.1 and §25.1, RFC 3966. Parts stay escaped, as received.
"""

import re
from typing import Final
from urllib.parse import unquote

from msgspec import Struct

from b2bua.core.errors import PeerError
from b2bua.sip.kept import kept

__all__ = ["Uri", "default_port", "parse_uri", "subscriber"]

MAX_URI: Final = 1024

_SIP = re.compile(
    r"(?P<scheme>sips?):(?:(?P<user>[^@\s<>\"]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-_.]+)(?::(?P<port>\d{1,5}))?"
    r"(?P<params>(?:;[^;?\s<>\"]*)*)(?:\?(?P<headers>[^\s<>\"]*))?",
    re.IGNORECASE,
)
_TEL = re.compile(r"tel:(?P<number>[^;\s<>\"]+)(?P<params>(?:;[^;\s<>\"]*)*)", re.IGNORECASE)

_SUBSCRIBER = re.compile(r"\+?[0-9*#]+")
_SEPARATORS: Final = str.maketrans("", "", "-.()")

Params = tuple[tuple[str, str | None], ...]


class Uri(Struct, frozen=True):
    """A parsed URI; ``str`` returns its text."""

    scheme: str
    """``sip``, ``sips`` or ``tel``."""
    user: str
    """User part without a password, or the number of a tel URI; escaped as received."""
    host: str
    """IPv6 in brackets; empty for tel."""
    port: int | None = None
    params: Params = ()
    headers: str = ""
    """The part after the ``?``."""

    def param(self, name: str) -> str | None:
        """Return a parameter's value in lower case; empty for a bare parameter, None if there is none."""
        for key, value in self.params:
            if key == name:
                return (value or "").lower()
        return None

    @property
    def secure(self) -> bool:
        """Whether the URI requires TLS."""
        return self.scheme == "sips" or self.param("transport") == "tls"

    def __str__(self) -> str:
        at = f"{self.user}@" if self.user and self.host else self.user
        port = "" if self.port is None else f":{self.port}"
        params = "".join(f";{n}" if v is None else f";{n}={v}" for n, v in self.params)
        return f"{self.scheme}:{at}{self.host}{port}{params}{'?' if self.headers else ''}{self.headers}"


def default_port(transport: str) -> int:
    """Return the default port of a transport (RFC 3261 §19.1.2)."""
    return 5061 if transport == "tls" else 5060


@kept
def parse_uri(text: str) -> Uri:
    """Parse a URI.

    Raises:
        PeerError: 414 for one that is too long, 416 for another scheme, 400 for anything that is no URI.
    """
    if len(text) > MAX_URI:
        raise PeerError("URI too long", sip_status_hint=414)
    if match := _SIP.fullmatch(text):
        port = match["port"]
        if port is not None and not 0 < int(port) < 65536:
            raise PeerError("bad port in a URI")
        user = (match["user"] or "").partition(":")[0]
        return Uri(
            scheme=match["scheme"].lower(),
            user=user,
            host=match["host"],
            port=None if port is None else int(port),
            params=parse_params(match["params"]),
            headers=match["headers"] or "",
        )
    if match := _TEL.fullmatch(text):
        return Uri(scheme="tel", user=match["number"], host="", params=parse_params(match["params"]))
    if re.match(r"[A-Za-z][A-Za-z0-9+.\-]*:", text) and not re.match(r"(?i)(sips?|tel):", text):
        raise PeerError("unsupported URI scheme", sip_status_hint=416)
    raise PeerError("bad URI")


def subscriber(user: str) -> str:
    """Return a user part in the form for comparison: no parameters, and a number without visual separators.

    RFC 3966 §4, RFC 3261 §19.1.6.

    Args:
        user: the user part, escaped as received.
    """
    name = unquote(user.partition(";")[0])
    number = name.translate(_SEPARATORS)
    return number if _SUBSCRIBER.fullmatch(number) else name


def parse_params(text: str) -> Params:
    """Split ``;a=b;c`` into pairs; names are in lower case, and a value is None if there is no ``=``."""
    if not text:
        return ()
    pairs: list[tuple[str, str | None]] = []
    for part in text.split(";"):
        name, equals, value = part.strip().partition("=")
        if name:
            pairs.append((name.strip().lower(), value.strip() if equals else None))
    return tuple(pairs)
