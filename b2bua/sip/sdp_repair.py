"""Repairs session descriptions for the workers' library, which refuses a whole description for a single line.

pjmedia stops at the first line that its scanner cannot read. It refuses a description with an empty session
name, an unknown network type, a medium without an address (even a refused one), a payload type above 127, or
a dynamic payload type without a name. Of two names of one payload type it reads the first only, and it
silently drops what exceeds its tables. Faults that are common among phones and trunks are repaired here, and
lines that nothing behind the edge needs are removed. Tested with 2.15.1, whose own parser judges the results
in the tests.

The repair is deterministic: the library compares the description of a 200 with that of the 183.
Source: RFC 8866, RFC 3264 §5.1, §6.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection
from ipaddress import ip_address
from typing import Final
from zlib import crc32

from b2bua.core.errors import PeerError
from b2bua.sip.sdp import Description, Line, Medium, Section

__all__ = ["answers_audio", "has_usable_audio", "repair"]

MAX_MEDIA: Final = 16
"""``PJMEDIA_MAX_SDP_MEDIA``"""
MAX_AUDIO: Final = 8
"""Only one is used; the library fails with 500 if there are many usable ones."""
MAX_FORMATS: Final = 32
"""``PJMEDIA_MAX_SDP_FMT``"""
MAX_ATTRIBUTES: Final = 64
"""``PJMEDIA_MAX_SDP_ATTR`` is 68; the library may add a direction attribute."""

_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+\-.^_`{|}~]+"
_FORMAT: Final = re.compile(_TOKEN)
_ORIGIN: Final = re.compile(r"\S+ \d{1,19} \d{1,19} IN IP[46] \S+")
_TIME: Final = re.compile(r"\d{1,19} \d{1,19}")
_CONNECTION: Final = re.compile(r"IN IP[46] [^\s/]+")
_BANDWIDTH: Final = re.compile(r"\s*([^:\s]+)\s*:\s*(\d{1,9})\s*")
_ATTRIBUTE: Final = re.compile(rf"[ \t]*({_TOKEN})[ \t]*(:.*)?")
_NAME: Final = re.compile(rf"\s*(\d{{1,3}})\s+({_TOKEN})(?:\s*/\s*(\d{{1,6}}))?(?:\s*/\s*(\d{{1,3}}))?\s*")
_TYPE: Final = re.compile(r"\s*(\d{1,3})(?=\s)")
_NUMBER: Final = re.compile(r"[0-9]{1,4}")

_NOWHERE: Final = "IN IP4 0.0.0.0"
_FIRST_DYNAMIC: Final = 96
"""The first dynamic payload type (RFC 3551 §6)."""
_WANTED: Final = frozenset(("PCMU/8000", "PCMA/8000", "G722/8000", "TELEPHONE-EVENT/8000"))
_STATIC: Final = {"0": "PCMU", "8": "PCMA", "9": "G722"}
"""Payload types that mean the same without a name (RFC 3551 §6)."""
_KEPT_ATTRIBUTES: Final = frozenset(
    ("rtpmap", "fmtp", "ptime", "maxptime", "sendrecv", "sendonly", "recvonly", "inactive", "rtcp", "crypto")
)
"""Attributes that are kept when there are too many."""
_PROFILES: Final = {"RTP/AVP": False, "RTP/AVPF": False, "RTP/SAVP": True, "RTP/SAVPF": True}
"""Profiles that the workers accept, and whether each needs a key."""


def repair(description: Description) -> None:
    """Repair a description for the library.

    Raises:
        PeerError: it cannot be repaired.
    """
    if len(description.media) > MAX_MEDIA:
        raise PeerError("too many media", sip_status_hint=488)
    session = description.session
    _mend_lines(session)
    _add_missing(session)
    for surplus in [medium for medium in description.media if medium.kind == "audio"][MAX_AUDIO:]:
        surplus.port = 0
    for medium in description.media:
        _mend_lines(medium)
        _mend_formats(medium)
        _limit_attributes(medium)
        if session.first("c") is None and medium.first("c") is None:
            if medium.kind == "audio" and medium.port:
                raise PeerError("no address for audio", sip_status_hint=488)
            medium.lines.insert(medium.first("i") is not None, ("c", _NOWHERE))


def has_usable_audio(description: Description, codecs: Collection[str], family: str = "IP4") -> bool:
    """Whether a repaired offer has audio that a worker can accept.

    Args:
        codecs: names of the workers' codecs.
        family: type of the addresses that media can be sent to.
    """
    return any(_is_usable(medium, description.session, codecs, family) for medium in description.media)


def answers_audio(description: Description, codecs: Collection[str], family: str = "IP4") -> bool:
    """Whether a repaired answer accepts the audio of a worker's offer, which has one medium.

    Args:
        codecs: names of the workers' codecs.
        family: type of the addresses that media can be sent to.
    """
    return any(_is_usable(medium, description.session, codecs, family) for medium in description.media[:1])


def _is_usable(medium: Medium, session: Section, codecs: Collection[str], family: str) -> bool:
    needs_key = _PROFILES.get(medium.profile.upper())
    if medium.kind != "audio" or not medium.port or needs_key is None:
        return False
    if needs_key and not [*medium.attributes("crypto"), *session.attributes("crypto")]:
        return False
    if not _is_address(medium.first("c") or session.first("c") or "", family):
        return False
    names = _names(medium)
    wanted = {f"{codec}/8000" for codec in codecs}
    for number in medium.formats:
        if int(number) < _FIRST_DYNAMIC:
            usable = _STATIC.get(number) in codecs  # whatever its rtpmap says
        else:
            usable = names[number][0].upper().removesuffix("/1") in wanted
        if usable:
            return True
    return False


def _is_address(connection: str, family: str) -> bool:
    """Whether a connection has an address of a type, or a host name."""
    _, said, address = connection.split()
    if said != family:
        return False
    try:
        return ip_address(address).version == int(family[2:])
    except ValueError:
        return address.strip("0123456789.") != ""


# -- lines ----------------------------------------------------------------------------------------------


def _origin(value: str) -> str:
    if _ORIGIN.fullmatch(value):
        return value
    words = value.split()
    place = next((i for i in range(len(words) - 1, 1, -1) if words[i].upper() == "IN"), 0)
    if not place:
        return f"- {crc32(value.encode('utf-8', 'surrogateescape'))} 0 {_NOWHERE}"
    *user, session_id, version = words[:place]
    family, address = [*words[place + 1 :], "", ""][:2]
    where = f"{family.upper()} {address}"
    if family.upper() not in ("IP4", "IP6") or not address:
        where = "IP4 0.0.0.0"
    return f"{'_'.join(user) or '-'} {_number(session_id)} {_number(version)} IN {where}"


def _number(text: str) -> int:
    """Return a number that the library can read, and that differs for different texts."""
    if text.isdecimal() and text.isascii() and len(text) <= 100:
        return int(text) % 10**19
    return crc32(text.encode("utf-8", "surrogateescape"))


def _name(value: str) -> str:
    return value or "-"


def _time(value: str) -> str:
    return value if _TIME.match(value) else "0 0"


def _connection(value: str) -> str | None:
    if _CONNECTION.fullmatch(value):
        return value
    words = value.split()
    if len(words) < 3:
        return None
    network, family, address = words[0].upper(), words[1].upper(), words[2].partition("/")[0]
    mended = f"{network} {family} {address}"
    return mended if _CONNECTION.fullmatch(mended) else None


def _bandwidth(value: str) -> str | None:
    match = _BANDWIDTH.fullmatch(value)
    return f"{match[1]}:{match[2]}" if match else None


def _attribute(value: str) -> str | None:
    match = _ATTRIBUTE.fullmatch(value)
    return match[1] + (match[2] or "") if match else None


_MENDERS: Final[dict[str, Callable[[str], str | None]]] = {
    "v": str.strip,
    "o": _origin,
    "s": _name,
    "t": _time,
    "c": _connection,
    "b": _bandwidth,
    "a": _attribute,
}
"""By kind of line: a function that returns the repaired value, or None to drop the line."""


def _mend_lines(section: Section) -> None:
    mended: list[Line] = []
    for kind, value in section.lines:
        new = _MENDERS[kind](value) if kind in _MENDERS else value
        if new is not None:
            mended.append((kind, new))
    section.lines = mended


def _add_missing(session: Section) -> None:
    for place, line in enumerate((("v", "0"), ("o", f"- 0 0 {_NOWHERE}"), ("s", "-"))):
        if session.first(line[0]) is None:
            session.lines.insert(place, line)


# -- formats --------------------------------------------------------------------------------------------


def _names(medium: Medium) -> dict[str, list[str]]:
    """Return the names of payload types: ``{"101": ["telephone-event/8000"]}``; the default clock is 8000."""
    found: dict[str, list[str]] = {}
    for value in medium.attributes("rtpmap"):
        if match := _NAME.fullmatch(value):
            found.setdefault(str(int(match[1])), []).append(_said(match))
    return found


def _said(match: re.Match[str]) -> str:
    return f"{match[2]}/{match[3] or 8000}{f'/{match[4]}' if match[4] else ''}"


def _mend_formats(medium: Medium) -> None:
    """Keep each payload type once and with one name; drop dynamic types without a name."""
    if medium.is_rtp:
        _mend_names(medium)
    names = _names(medium)
    formats: dict[str, None] = {}
    for text in medium.formats:
        number = str(int(text)) if _NUMBER.fullmatch(text) else text
        if _is_readable(number, medium, names):
            formats[number] = None
    if not formats:
        # No format of this medium is usable, but the answer still needs its line (RFC 3264 §6).
        medium.port = 0
        formats["0" if medium.is_rtp else "*"] = None
    medium.formats = _most_wanted(list(formats), names)


def _is_readable(number: str, medium: Medium, names: Collection[str]) -> bool:
    if not number[0].isdigit():
        return not medium.is_rtp and _FORMAT.fullmatch(number) is not None
    if not _NUMBER.fullmatch(number) or int(number) > 127:
        return False
    return int(number) < _FIRST_DYNAMIC or number in names or not medium.port


def _mend_names(medium: Medium) -> None:
    """Keep one ``rtpmap`` and one ``fmtp`` per payload type, in the standard form."""
    names = _names(medium)
    chosen = {number: _best(own) for number, own in names.items()}
    types = Counter(match[1] for value in medium.attributes("fmtp") if (match := _TYPE.match(value)))
    seen: Counter[tuple[str, str]] = Counter()
    lines: list[Line] = []
    for kind, value in medium.lines:
        said, _, rest = value.partition(":")
        match = (
            {"rtpmap": _NAME.fullmatch, "fmtp": _TYPE.match}.get(said, _nothing)(rest)
            if kind == "a"
            else None
        )
        if match is not None:
            number = str(int(match[1]))
            place, best = seen[said, number], chosen.get(number, 0)
            seen[said, number] += 1
            if said == "fmtp" and types[match[1]] != len(names.get(number, ())):
                best = 0  # which name each fmtp belongs to is unknown
            if place != best:
                continue
            value = f"{said}:{number} {_said(match) if said == 'rtpmap' else rest[match.end() :].strip()}"
        elif said == "rtpmap":
            continue
        lines.append((kind, value))
    medium.lines = lines


def _nothing(_: str) -> re.Match[str] | None:
    return None


def _best(names: list[str]) -> int:
    """Return the index of the name to keep for a payload type: one that we support, else the first."""
    return next((place for place, name in enumerate(names) if _is_wanted(name)), 0)


def _is_wanted(name: str) -> bool:
    return name.upper().removesuffix("/1") in _WANTED


def _most_wanted(formats: list[str], names: dict[str, list[str]]) -> list[str]:
    """Return as many formats as the library has room for, supported ones first, in the original order."""
    if len(formats) <= MAX_FORMATS:
        return formats
    wanted = [
        number for number in formats if number in _STATIC or any(map(_is_wanted, names.get(number, ())))
    ]
    others = [number for number in formats if number not in wanted]
    kept = {*wanted[:MAX_FORMATS], *others[: max(0, MAX_FORMATS - len(wanted))]}
    return [number for number in formats if number in kept]


def _limit_attributes(medium: Medium) -> None:
    if sum(kind == "a" for kind, _ in medium.lines) <= MAX_ATTRIBUTES:
        return
    left = MAX_ATTRIBUTES
    lines: list[Line] = []
    for kind, value in medium.lines:
        if kind == "a":
            name, _, rest = value.partition(":")
            idle = name in ("rtpmap", "fmtp") and rest.partition(" ")[0] not in medium.formats
            if name not in _KEPT_ATTRIBUTES or idle or not left:
                continue
            left -= 1
        lines.append((kind, value))
    medium.lines = lines
