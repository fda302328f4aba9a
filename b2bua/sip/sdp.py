"""Session descriptions (SDP), parsed into lines and media and serialized again.

Unchanged lines are written as received, except for line ends. Malformed lines are dropped; ``sdp_repair``
makes all other checks.
Source: RFC 8866 §5, §9.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from b2bua.core.errors import PeerError

__all__ = ["Description", "Line", "Medium", "Section", "parse_description"]

Line = tuple[str, str]
"""Kind and value of a line: ``("c", "IN IP4 192.0.2.1")``."""

_LINE: Final = re.compile(r"[a-z]=[^\x00-\x08\x0b\x0c\x0e-\x1f]*")
_LINE_END: Final = re.compile(r"[\r\n]+")
_PORT: Final = re.compile(r"(\d{1,5})(/\d{1,5})?")
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`{|}~]+")


@dataclass(slots=True)
class Section:
    """The lines of the session, or of a medium after its ``m=``, in order."""

    lines: list[Line] = field(default_factory=list)

    def first(self, kind: str) -> str | None:
        """Return the value of the first line of a kind; None if there is none."""
        for name, value in self.lines:
            if name == kind:
                return value
        return None

    def attributes(self, name: str) -> Iterator[str]:
        """Yield the values of all ``a=name:value``; empty for a bare ``a=name``."""
        for kind, value in self.lines:
            if kind == "a" and value.startswith(name):
                said, _, rest = value.partition(":")
                if said == name:
                    yield rest


@dataclass(slots=True, kw_only=True)
class Medium(Section):
    """A medium: ``m=audio 4000/2 RTP/AVP 0 101`` and the lines after it."""

    kind: str
    """``audio``, ``video``, ``image``…"""
    port: int
    """0: refused, or no longer wanted (RFC 3264 §5.1, §6)."""
    ports: str = ""
    """Number of ports, such as ``/2``; mostly empty."""
    profile: str
    """Such as ``RTP/AVP``."""
    formats: list[str]

    def __str__(self) -> str:
        return " ".join([self.kind, f"{self.port}{self.ports}", self.profile, *self.formats])

    @property
    def is_rtp(self) -> bool:
        """Whether the formats are payload types."""
        return "RTP/" in self.profile.upper()


@dataclass(slots=True)
class Description:
    """A whole session description."""

    session: Section
    media: list[Medium]

    def to_bytes(self) -> bytes:
        """Return the description as sent on the wire."""
        lines = list(self.session.lines)
        for medium in self.media:
            lines.append(("m", str(medium)))
            lines += medium.lines
        text = "".join(f"{kind}={value}\r\n" for kind, value in lines)
        return text.encode("utf-8", "surrogateescape")


def parse_description(body: bytes) -> Description:
    """Parse a description.

    Raises:
        PeerError: the body is no SDP, is of another version, or has a medium without a readable kind, port
            and profile.
    """
    session = Section()
    description = Description(session, [])
    section = session
    for text in _LINE_END.split(body.decode("utf-8", "surrogateescape")):
        line = text.lstrip(" \t")
        if _LINE.fullmatch(line) is None:
            continue
        kind, value = line[0], line[2:]
        if kind == "v" and value.strip() != "0":
            raise PeerError("SDP of another version", sip_status_hint=488)
        if kind == "m":
            section = _medium(value)
            description.media.append(section)
        else:
            section.lines.append((kind, value))
    if not session.lines and not description.media:
        raise PeerError("no SDP", sip_status_hint=488)
    return description


def _medium(value: str) -> Medium:
    kind, port, profile, *formats = [*value.split(), "", "", ""][: max(3, len(value.split()))]
    number = _PORT.fullmatch(port)
    if _TOKEN.fullmatch(kind) is None or number is None or int(number[1]) > 65535 or not profile:
        raise PeerError("bad m= line", sip_status_hint=488)
    return Medium(kind=kind, port=int(number[1]), ports=number[2] or "", profile=profile, formats=formats)
