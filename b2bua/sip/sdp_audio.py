"""The audio of session descriptions: what a side says about it, and the addresses that the other side sees.

A worker sees the relay's inner address, with RTP and RTCP on one port (RFC 5761). The outside sees the
advertised address, with RTCP on the port after that of RTP (RFC 3605). An unspecified address, the old form
of hold, stays one (RFC 3264 §8.4).
"""

import re
from ipaddress import ip_address
from typing import Final, Literal

from b2bua.relay.control import MediaDescription
from b2bua.sip.kept import kept
from b2bua.sip.sdp import Description, Line, Medium, Section

__all__ = ["Audio", "family_of", "read_audio", "show_inside", "show_outside"]

Audio = tuple[MediaDescription | None, ...]
"""By medium of a description: what is said about it; None unless it is audio.

``plain`` tells whether keys for SRTP are given, not yet whether SRTP is agreed on."""

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

_DIRECTIONS: Final[tuple[Direction, ...]] = ("sendrecv", "sendonly", "recvonly", "inactive")
_STATIC: Final = {
    0: "PCMU/8000", 3: "GSM/8000", 4: "G723/8000", 5: "DVI4/8000", 6: "DVI4/16000", 7: "LPC/8000",
    8: "PCMA/8000", 9: "G722/8000", 10: "L16/44100", 11: "L16/44100", 12: "QCELP/8000", 13: "CN/8000",
    14: "MPA/90000", 15: "G728/8000", 16: "DVI4/11025", 17: "DVI4/22050", 18: "G729/8000",
}  # fmt: skip
"""Audio of RFC 3551 §6, table 4. Such a number means the same whatever its ``rtpmap`` says."""
_RTPMAP: Final = re.compile(r"\s*(\d{1,3})\s+([^\s/]+)(?:\s*/\s*(\d{1,6}))?(?:\s*/\s*(\d{1,3}))?\s*")
_RTCP: Final = re.compile(r"\s*(\d{1,5})(?:\s+IN\s+IP[46]\s+(\S+))?\s*")
_MILLISECONDS: Final = re.compile(r"\s*(\d{1,4})(?:\.\d*)?\s*")
_ORIGIN_ADDRESS: Final = re.compile(r"IN IP[46] \S+$")
_LAST_PORT: Final = 65_535


def family_of(host: str) -> str:
    """Return the address type of an IP address: ``IP4`` or ``IP6``."""
    return "IP6" if ":" in host else "IP4"


# -- what is said ---------------------------------------------------------------------------------------


def read_audio(description: Description, *, mux: bool) -> Audio:
    """Return what a description says about its audio.

    Args:
        description: a party's or a worker's, as it has come.
        mux: whether ``a=rtcp-mux`` counts; a party's is never answered.
    """
    return tuple(_read(medium, description.session, mux) for medium in description.media)


def _read(medium: Medium, session: Section, mux: bool) -> MediaDescription | None:
    if medium.kind != "audio":
        return None
    host = _address(medium.first("c") or session.first("c") or "")
    rtcp_host, rtcp_port = _rtcp(medium, host)
    if mux and _has_flag(medium, "rtcp-mux"):
        rtcp_host, rtcp_port = host, medium.port
    keys = next(medium.attributes("crypto"), None) or next(session.attributes("crypto"), None)
    return MediaDescription(
        host=host,
        port=medium.port,
        rtcp_host=rtcp_host,
        rtcp_port=rtcp_port,
        formats=_formats(medium),
        direction=_direction(medium) or _direction(session) or "sendrecv",
        plain="SAVP" not in medium.profile.upper() and keys is None,
        ptime_ms=_milliseconds(medium, "ptime"),
        max_ptime_ms=_milliseconds(medium, "maxptime"),
    )


@kept
def _address(connection: str) -> str:
    """Return the IP address of a connection line; empty if it has none."""
    words = connection.split()
    try:
        return str(ip_address(words[2].partition("/")[0])) if len(words) == 3 else ""
    except ValueError:
        return ""


def _rtcp(medium: Medium, host: str) -> tuple[str, int]:
    """Return the address and port for RTCP."""
    if not medium.port:
        return host, 0
    match = _RTCP.fullmatch(next(medium.attributes("rtcp"), ""))
    port = medium.port + 1 if match is None else int(match[1])
    named = "" if match is None or match[2] is None else _address(f"IN IP4 {match[2]}")
    nowhere = named != "" and ip_address(named).is_unspecified
    return named or host, 0 if nowhere or port > _LAST_PORT else port


def _has_flag(section: Section, name: str) -> bool:
    return next(section.attributes(name), None) is not None


def _formats(medium: Medium) -> tuple[tuple[int, str], ...]:
    named: dict[int, str] = {}
    for value in medium.attributes("rtpmap"):
        if match := _RTPMAP.fullmatch(value):
            channels = f"/{match[4]}" if match[4] and int(match[4]) != 1 else ""
            named.setdefault(int(match[1]), _spelled(f"{match[2]}/{match[3] or 8000}{channels}"))
    numbers = [int(text) for text in medium.formats if len(text) <= 3 and text.isascii() and text.isdigit()]
    return tuple((number, _STATIC.get(number) or named.get(number, "")) for number in numbers)


def _spelled(name: str) -> str:
    name = name.upper()
    return name.lower() if name.startswith("TELEPHONE-EVENT/") else name


def _direction(section: Section) -> Direction | None:
    for kind, value in section.lines:
        if kind == "a" and value in _DIRECTIONS:
            return value
    return None


def _milliseconds(medium: Medium, name: str) -> int:
    match = _MILLISECONDS.fullmatch(next(medium.attributes(name), ""))
    return 0 if match is None else int(match[1])


# -- what is shown --------------------------------------------------------------------------------------


def show_inside(description: Description, host: str, port: int) -> None:
    """Show the relay's inner port to a worker, in place of the party's.

    The library picks one medium among several of audio, so each of them leads to the relay. The library
    refuses media of other kinds; what they say stays.

    Args:
        description: a party's, repaired; it is changed.
        host: the relay's inner address, IPv4.
        port: the leg's inner port.
    """
    _connect(description.session, host)
    for medium in description.media:
        _connect(medium, host)
        if medium.kind == "audio":
            _drop_rtcp(medium)
        if medium.kind == "audio" and medium.port:
            medium.port = port
            medium.lines.append(("a", "rtcp-mux"))


def show_outside(description: Description, host: str, port: int) -> None:
    """Show the relay's outer port to a party, in place of the worker's. Nothing of the worker's remains.

    Args:
        description: a worker's; it is changed.
        host: the advertised address, IPv4 or IPv6.
        port: the leg's outer port; 0: it has none.
    """
    session = description.session
    session.lines = [
        (kind, _ORIGIN_ADDRESS.sub(f"IN {family_of(host)} {host}", value) if kind == "o" else value)
        for kind, value in session.lines
    ]
    _connect(session, host)
    for medium in description.media:
        _connect(medium, host)
        _drop_rtcp(medium)
        if not medium.port:
            continue
        medium.port = port if medium.kind == "audio" else 0
        if medium.port:
            medium.lines.append(("a", f"rtcp:{port + 1}"))
            port = 0  # one medium has it, any other is refused


def _connect(section: Section, host: str) -> None:
    """Put an address into the connection line of a section, if it has one."""
    connected = [(kind, _connection(value, host) if kind == "c" else value) for kind, value in section.lines]
    section.lines = connected


def _connection(value: str, host: str) -> str:
    family = family_of(host)
    if _is_unspecified(value):
        return f"IN {family} {'::' if family == 'IP6' else '0.0.0.0'}"
    return f"IN {family} {host}"


@kept
def _is_unspecified(connection: str) -> bool:
    address = _address(connection)
    return address != "" and ip_address(address).is_unspecified


def _drop_rtcp(medium: Medium) -> None:
    """Drop what is said about RTCP's port: there is another one on the other side of the relay."""
    medium.lines = [line for line in medium.lines if not _is_about_rtcp(line)]


def _is_about_rtcp(line: Line) -> bool:
    kind, value = line
    return kind == "a" and value.partition(":")[0].strip() in ("rtcp", "rtcp-mux", "rtcp-mux-only")
