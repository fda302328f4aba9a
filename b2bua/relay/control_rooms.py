"""What controller and relay say to each other about conference rooms (see ``control``)."""

import msgspec

from b2bua.relay.control_legs import LegKey

__all__ = [
    "PlayInRoom",
    "PrepareRooms",
    "RecordRoom",
    "RoomEntered",
    "RoomLeft",
    "RoomMember",
    "RoomSoundEnded",
    "SetRoom",
    "StopInRoom",
    "VoiceHeard",
]


class RoomMember(msgspec.Struct, frozen=True, kw_only=True):
    """What a leg does in a room."""

    leg: LegKey
    talks: bool = True
    """All listeners but itself hear it."""
    recorded: bool = True
    """With ``talks``: the room's recording contains it. False: early media of a leg that rings."""
    listens: bool = True
    """It hears the mix, and its worker no longer."""
    coaches: LegKey | None = None
    """The only member that hears it; it does not talk."""
    jitter_ms: int = 60
    """The most jitter that is waited for: 0, 20, 40 or 60. The delay starts small and grows as needed."""
    gain_in_db: int = 0
    """-20..10: how much louder the others hear it."""
    gain_out_db: int = 0
    """-20..10: how much louder it hears them."""


class PrepareRooms(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Load what rooms need: somebody waits in one, and the next to come is to be heard at once."""


class SetRoom(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Mix these legs, and no others, in a room from now on; it replaces the room's last ``SetRoom``.

    A leg takes part whenever its description allows it (``RoomEntered``, ``RoomLeft``); one that does not
    exist yet may be named. A leg in a room is not joined.
    """

    room: str
    members: tuple[RoomMember, ...]
    """In the order of joining; empty: the room is over, and so are its sounds and its recording."""
    voices: bool = False
    """``VoiceHeard`` is wanted, of members that talk or coach."""


class PlayInRoom(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Mix a sound into a room; ``RoomSoundEnded`` follows. Sounds of a room play at the same time."""

    room: str
    sound: str
    """Identifier, unique in the room."""
    path: str
    """A mono 16-bit WAV at 8000 Hz."""
    leg: LegKey | None = None
    """The only member that hears it, with the mix lowered by 12 dB. None: all listeners and the recording."""


class StopInRoom(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Stop a sound; without effect if it has ended."""

    room: str
    sound: str


class RecordRoom(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Record a room into a raw file: the sum of those who talk, with sounds to the room.

    ``TapsBegun`` follows; ``StopTaps`` ends it.
    """

    room: str
    recording: str
    path: str


class RoomEntered(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A listed leg takes part in its room: if it listens, its worker's clock may stop 60 ms from now."""

    room: str
    leg: LegKey


class RoomLeft(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A listed leg hears its worker again, or cannot take part at all.

    Either a description is the reason, and ``SetRoom`` stands; or the leg is over.
    """

    room: str
    leg: LegKey


class RoomSoundEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A sound is over. Exactly once for each ``PlayInRoom``."""

    room: str
    sound: str
    failure: str = ""
    """Why it could not be played; empty: it was, or was stopped."""


class VoiceHeard(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A member's voice has begun (60 ms ago), or has ceased (160 ms ago), without any further hang-over."""

    room: str
    leg: LegKey
    voice: bool
