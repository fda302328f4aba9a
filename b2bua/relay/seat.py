"""A leg's place in a conference room, for as long as it takes part in it."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from b2bua.relay.agreement import Agreement
from b2bua.relay.control import LegKey, RoomMember
from b2bua.relay.laws import A_TO_MU, MU_TO_A, SILENCE, gain_table

__all__ = ["FRAME", "FRAME_S", "Desk", "DeskRoom", "Frames", "Mix", "Seat", "can_mix"]

FRAME: Final = 160
"""Bytes of G.711 in a frame."""
FRAME_S: Final = 0.02
_LAWS: Final = {"PCMU": 0, "PCMA": 8}
"""The laws of G.711 by name, as static payload types (RFC 3551 §6)."""
_TO_OTHER: Final = {0: A_TO_MU, 8: MU_TO_A}
"""Table to each law from the other."""


def can_mix(agreement: Agreement) -> bool:
    """Whether a leg's party can be heard in a room, and can hear it."""
    return (
        agreement.codec in _LAWS
        and agreement.plain
        and agreement.talks
        and not 0 < agreement.max_ptime_ms < 20
    )


class Frames(Protocol):
    """A jitter buffer: packets in, a frame out at every tick."""

    def put(self, timestamp: int, payload: bytes, at: float) -> None:
        """Take a packet: its RTP timestamp, G.711, and when it came."""

    def take(self, now: float) -> bytes:
        """Return the frame for the tick at ``now``."""


class Seat:
    """The place.

    Args:
        key: unique in the process.
        agreement: of its leg; ``can_mix``.
        member: what the leg does in the room.
        make: makes a jitter buffer by the law and the most jitter (s) that is waited for.
    """

    __slots__ = (
        "_make",
        "_most_s",
        "_ssrc",
        "coaches",
        "frames",
        "gain_in_db",
        "gain_out_db",
        "key",
        "kind",
        "law",
        "leg",
        "listens",
        "quick_ssrc",
        "recorded",
        "tables",
        "take",
        "talks",
        "wanted",
    )

    def __init__(
        self, key: str, agreement: Agreement, member: RoomMember, make: Callable[[int, float], Frames]
    ) -> None:
        self.key = key
        self.leg = member.leg
        self.law = -1
        """Of both directions: 0 PCMU, 8 PCMA."""
        self.kind = 0
        """Payload type of what the party hears."""
        self.tables: dict[int, bytes | None] = {}
        """Payload types of the party's audio, each with the table to ``law``."""
        self.talks = self.recorded = self.listens = self.wanted = False
        """``wanted``: it talks or coaches."""
        self.coaches: LegKey | None = None
        self.gain_in_db = self.gain_out_db = 0
        self.frames: Frames | None = None
        self.take: Callable[[float], bytes]
        """Returns what the party says in the frame of a tick; see ``Frames.take``."""
        self.quick_ssrc = -1
        """SSRC of packets that may go to ``frames`` at once, if their type is ``kind``; -1: none."""
        self._make = make
        self._most_s = 0.0
        self._ssrc: int | None = None
        self.describe(agreement)
        self.assign(member)

    def describe(self, agreement: Agreement) -> bool:
        """Take what the leg's sides have agreed on; return whether its law has changed."""
        self.quick_ssrc = -1
        law = _LAWS[agreement.codec]
        self.kind = agreement.takes[agreement.codec]
        self.tables = {
            kind: None if _LAWS[name] == law else _TO_OTHER[law]
            for kind, name in agreement.sends.items()
            if name in _LAWS
        }
        changed = law != self.law
        if changed:
            self.law = law
            self._forget()
        return changed

    def assign(self, member: RoomMember) -> None:
        """Take what the leg does in the room."""
        self.listens = member.listens
        self.coaches = member.coaches
        self.talks = member.talks and member.coaches is None
        self.recorded = member.recorded
        wanted = self.talks or member.coaches is not None
        most_s = member.jitter_ms / 1000
        self.gain_out_db = member.gain_out_db
        if self.gain_in_db != member.gain_in_db:
            self.gain_in_db = member.gain_in_db
            if self.frames is not None:
                self.take = self._taken_from(self.frames)
        if wanted != self.wanted or most_s != self._most_s:
            self.wanted, self._most_s = wanted, most_s
            self._forget()

    def _forget(self) -> None:
        """Begin anew, with silence."""
        self.frames, self.quick_ssrc = None, -1
        self.take = _SILENCE_OF[self.law]

    def _taken_from(self, frames: Frames) -> Callable[[float], bytes]:
        if not self.gain_in_db:
            return frames.take
        table = gain_table(self.law, self.gain_in_db)
        return lambda now: frames.take(now).translate(table)

    def put(self, ssrc: int, timestamp: int, payload: bytes, now: float) -> None:
        """Take a packet of the party, by ``law``."""
        if not self.wanted:
            return
        if self.frames is None or ssrc != self._ssrc:
            self._ssrc, self.frames = ssrc, self._make(self.law, self._most_s)
            self.take = self._taken_from(self.frames)
        self.frames.put(timestamp, payload, now)


def _silence(name: str) -> Callable[[float], bytes]:
    frame = SILENCE[name] * FRAME
    return lambda now: frame


_SILENCE_OF: Final = {law: _silence(name) for name, law in _LAWS.items()}


class DeskRoom(Protocol):
    """A room, as the mixing desk sees it."""

    @property
    def name(self) -> str:
        """Unique in the process."""

    @property
    def seats(self) -> dict[LegKey, Seat]:
        """Those that take part."""

    @property
    def recorded(self) -> bool:
        """Its sum is wanted as well."""

    @property
    def voices(self) -> bool:
        """Changes of its members' voices are wanted."""


class Mix(Protocol):
    """The result of one tick."""

    @property
    def heard(self) -> Sequence[bytes | None]:
        """What each seat hears, in the order of ``arrange``; None: it does not listen."""

    @property
    def recordings(self) -> dict[str, bytes]:
        """By room, µ-law."""

    @property
    def voices(self) -> Sequence[tuple[Seat, bool]]:
        """Voices that have begun or ceased."""


class Desk(Protocol):
    """What mixes all rooms."""

    def buffer(self, law: int, most_s: float) -> Frames:
        """Make a jitter buffer."""

    def arrange(self, rooms: Sequence[DeskRoom]) -> None:
        """Take the rooms and who is in them; what is known of those that remain is kept."""

    def mix(self, sounds: dict[str, list[bytes]], private: dict[str, list[bytes]], now: float) -> Mix:
        """Mix one tick.

        Args:
            sounds: by room, frames of 16-bit samples that all hear.
            private: by the key of a seat, those that it alone hears.
            now: time of the tick, monotonic seconds.
        """
