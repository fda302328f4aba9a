"""Outputs of a conference room (see ``room``): what members are told, what they hear, and callbacks."""

from enum import StrEnum

import msgspec

from b2bua.core.ids import CallSid
from b2bua.core.room_inputs import Document, RoomRecording

__all__ = [
    "EndReason",
    "Fields",
    "Hears",
    "LeaveReason",
    "MemberAdmitted",
    "MemberDone",
    "OrderRefused",
    "PlayAnnouncement",
    "PlayBeep",
    "RoomEnded",
    "RoomEvent",
    "RoomOutput",
    "SetHearing",
    "SetRoomMix",
    "StartDocument",
    "StartRoomRecording",
    "StopAnnouncement",
    "StopDocument",
    "StopRecording",
]

Fields = tuple[tuple[str, str], ...]
"""Parameters of a callback, in order."""


class LeaveReason(StrEnum):
    """``ReasonParticipantLeft``."""

    HUNG_UP = "participant_hung_up"
    UPDATED = "participant_updated_via_api"
    ENDED_BY_API = "conference_ended_via_api"
    MODERATOR = "moderator_ended_conference"
    ADD_FAILED = "participant_add_failed"


class EndReason(StrEnum):
    """``ReasonConferenceEnded``."""

    BY_API = "conference-ended-via-api"
    MODERATOR_LEFT = "participant-with-end-conference-on-exit-left"
    MODERATOR_KICKED = "participant-with-end-conference-on-exit-kicked"
    LAST_LEFT = "last-participant-left"
    LAST_KICKED = "last-participant-kicked"


class Hears(StrEnum):
    """The one thing that a member hears, apart from announcements."""

    MIX = "mix"
    WAIT = "wait"
    HOLD = "hold"


class _Output(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class MemberAdmitted(_Output, frozen=True, kw_only=True, tag=True):
    """This call is in the room now: its Dial, if it has one, will report ``answered``."""

    call: CallSid


class MemberDone(_Output, frozen=True, kw_only=True, tag=True):
    """This call is not, or no longer, in the room. Exactly once for each entrant."""

    call: CallSid
    admitted: bool = False
    number: int = 0
    """Number of the error because of which it was not admitted; 0: none."""
    reason: LeaveReason | None = None
    """None: it was refused before it counted as present."""
    hang_up: bool = False
    """The call was made for the room and has nothing more to do."""


class SetHearing(_Output, frozen=True, kw_only=True, tag=True):
    """What a member hears from now on. A document that it does not hear meanwhile pauses."""

    call: CallSid
    hears: Hears


class StartDocument(_Output, frozen=True, kw_only=True, tag=True):
    """Fetch and play a document to one member."""

    call: CallSid
    kind: Hears
    """``WAIT`` or ``HOLD``."""
    document: Document
    entering: bool
    """``WaitReady`` or ``WaitRefused`` is to follow. Otherwise our music replaces what cannot be had."""


class StopDocument(_Output, frozen=True, kw_only=True, tag=True):
    """Stop a member's document, within 100 ms."""

    call: CallSid


class SetRoomMix(_Output, frozen=True, kw_only=True, tag=True):
    """The mix that is wanted now; empty: none. Each listener hears all talkers but itself."""

    talkers: tuple[CallSid, ...] = ()
    """Those whom all hear, and whom the recording contains, in the order of joining."""
    listeners: tuple[CallSid, ...] = ()
    coaches: tuple[tuple[CallSid, CallSid], ...] = ()
    """Coach and the only member that hears it."""
    ringing: tuple[CallSid, ...] = ()
    """Calls whose early media, or our ringback, the listeners hear; never recorded."""
    volumes: tuple[tuple[CallSid, int, int], ...] = ()
    """Those who are made louder or quieter: by how many dB the others hear it, and it the others."""
    voices: bool = False
    """``VoiceChanged`` is wanted, for talkers and coaches."""


class PlayBeep(_Output, frozen=True, kw_only=True, tag=True):
    """Mix a beep into the room, for all listeners and the recording."""

    entering: bool
    """The tone rises for one who enters, and falls for one who leaves."""


class PlayAnnouncement(_Output, frozen=True, kw_only=True, tag=True):
    """Play a document to the room or to one member; ``AnnouncementEnded`` is to follow."""

    announcement: int
    call: CallSid | None
    """None: the room."""
    document: Document


class StopAnnouncement(_Output, frozen=True, kw_only=True, tag=True):
    """Stop an announcement whose hearers have gone; nothing needs to follow."""

    announcement: int


class StartRoomRecording(_Output, frozen=True, kw_only=True, tag=True):
    """Record the mix of the talkers, beeps and announcements to the room."""

    recording: RoomRecording
    by: CallSid | None
    """The member that asked for it; None: REST."""


class StopRecording(_Output, frozen=True, kw_only=True, tag=True):
    """Stop the recording of the room."""


class RoomEvent(_Output, frozen=True, kw_only=True, tag=True):
    """A status callback. Those of a room are sent strictly in order."""

    name: str
    """``StatusCallbackEvent``."""
    sequence: int
    """From 1, without gaps."""
    at: float
    """Monotonic seconds of the event."""
    fields: Fields = ()
    """Parameters besides those that every event has."""


class RoomEnded(_Output, frozen=True, kw_only=True, tag=True):
    """The room is over. Exactly once, and the last output of its handling."""

    reason: EndReason
    by: CallSid | None = None


class OrderRefused(_Output, frozen=True, kw_only=True, tag=True):
    """The order cannot be carried out and has changed nothing."""

    status: int
    """HTTP status."""
    code: int
    """Error code of the REST API."""
    text: str


RoomOutput = (
    MemberAdmitted
    | MemberDone
    | SetHearing
    | StartDocument
    | StopDocument
    | SetRoomMix
    | PlayBeep
    | PlayAnnouncement
    | StopAnnouncement
    | StartRoomRecording
    | StopRecording
    | RoomEvent
    | RoomEnded
    | OrderRefused
)
