"""What the two descriptions of a leg have agreed on, and whether two legs can be joined by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from b2bua.relay.control import MediaDescription, Meets
from b2bua.relay.laws import A_TO_MU, MU_TO_A

__all__ = ["Agreement", "Route", "agree", "can_join", "routes"]

EVENTS: Final = "TELEPHONE-EVENT"
COMFORT_NOISE: Final = "CN"
_STATIC: Final = {0: "PCMU", 8: "PCMA", 9: "G722", 13: COMFORT_NOISE}
"""RFC 3551 §6: names that need no statement."""
_NO_AUDIO: Final = frozenset({EVENTS, COMFORT_NOISE})
_G711: Final = frozenset({"PCMU", "PCMA"})
_JOINABLE: Final = _G711 | {"G722"}
_USUAL_PTIME_MS: Final = 20
_PTIMES_MS: Final = range(1, 201)
_RATES: Final = range(8000, 192_001)
"""Clock rates of audio (RFC 3551 §4.1 and those registered since)."""
_EVENT_RATE: Final = "8000"
"""Of the telephone-events beside the codecs that can be joined (RFC 4733 §2.1: that of the audio)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What a leg's party may send and gets."""

    codec: str
    """Encoding name of what both sides take, in capitals; empty: there is none in common."""
    rate: int
    """Of its timestamps, in Hz."""
    takes: Mapping[str, int]
    """Encoding name -> payload type of what the party takes."""
    sends: Mapping[int, str]
    """Payload type -> encoding name of what the party may send."""
    talks: bool
    """Both sides send and receive."""
    plain: bool
    ptime_ms: int
    max_ptime_ms: int
    """0: not stated."""

    @property
    def recordable(self) -> bool:
        """A raw file can hold what passes: G.711 by its own payload types."""
        static = self.takes.get(self.codec) in (0, 8)
        return self.plain and self.codec in _G711 and static

    @property
    def meets(self) -> Meets:
        """Whom the party can meet by the relay."""
        if not (self.plain and self.talks and self.codec in _JOINABLE):
            return "none"
        usual = self.ptime_ms == _USUAL_PTIME_MS and not 0 < self.max_ptime_ms < _USUAL_PTIME_MS
        return "all" if self.codec in _G711 and usual else "alike"

    @property
    def events(self) -> int | None:
        """Payload type of the keys that the party takes."""
        return self.takes.get(EVENTS)


class Route(NamedTuple):
    """How packets of one payload type go to the partner."""

    kind: Literal["audio", "event", "noise"]
    to: int | None
    """The partner's payload type; None: it has none."""
    law: bytes | None
    """Table from the one law of G.711 to the other."""


def _named(formats: tuple[tuple[int, str], ...]) -> list[tuple[int, str, str]]:
    """Payload type, name in capitals and clock rate of each format; of telephone-events those of 8 kHz."""
    named = []
    for kind, text in formats:
        name, _, rest = text.partition("/")
        name, rate = name.strip().upper() or _STATIC.get(kind, ""), rest.partition("/")[0].strip() or "8000"
        if 0 <= kind < 128 and name and (name not in _NO_AUDIO or rate == _EVENT_RATE):
            named.append((kind, name, rate))
    return named


def agree(far: MediaDescription, near: MediaDescription) -> Agreement:
    """Return what the party (``far``) and the worker (``near``) have agreed on."""
    theirs, ours = _named(far.formats), _named(near.formats)
    common = {(name, rate) for _, name, rate in theirs} & {(name, rate) for _, name, rate in ours}
    first = next(((n, r) for _, n, r in theirs if (n, r) in common and n not in _NO_AUDIO), ("", "8000"))
    # A party sends by the types of the side that it sends to. Some send by their own.
    sends = {kind: name for kind, name, rate in theirs if (name, rate) in common}
    sends |= {kind: name for kind, name, rate in ours if (name, rate) in common}
    return Agreement(
        codec=first[0],
        rate=_bounded(int(first[1]) if first[1].isdecimal() else 0, _RATES, 8000),
        takes={name: kind for kind, name, rate in reversed(theirs) if (name, rate) in common},
        sends=sends,
        talks=all(_talks(side) for side in (far, near)),
        plain=far.plain and near.plain,
        ptime_ms=_bounded(far.ptime_ms or near.ptime_ms, _PTIMES_MS, _USUAL_PTIME_MS),
        max_ptime_ms=far.max_ptime_ms,
    )


def _bounded(value: int, bounds: range, otherwise: int) -> int:
    return value if value in bounds else otherwise


def _talks(side: MediaDescription) -> bool:
    return side.direction == "sendrecv" and side.port > 0 and side.host not in ("0.0.0.0", "::")


def can_join(one: Agreement, other: Agreement) -> bool:
    """Whether two parties understand each other's packets."""
    same = one.codec == other.codec or {one.codec, other.codec} == _G711
    most = min((side.max_ptime_ms for side in (one, other) if side.max_ptime_ms), default=one.ptime_ms)
    return (
        same
        and one.codec in _JOINABLE
        and all(side.talks and side.plain for side in (one, other))
        and all(side.codec in side.sends.values() for side in (one, other))
        and one.ptime_ms == other.ptime_ms <= most
    )


def routes(sender: Agreement, listener: Agreement) -> dict[int, Route]:
    """Return how each payload type of ``sender`` goes to ``listener``; others are dropped."""
    found: dict[int, Route] = {}
    for kind, name in sender.sends.items():
        if name in _NO_AUDIO:
            found[kind] = Route("event" if name == EVENTS else "noise", listener.takes.get(name), None)
        elif name == listener.codec:
            found[kind] = Route("audio", listener.takes[name], None)
        elif name in _G711 and listener.codec in _G711:
            law = MU_TO_A if name == "PCMU" else A_TO_MU
            found[kind] = Route("audio", listener.takes[listener.codec], law)
    return found
