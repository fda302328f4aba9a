"""The transition table of a conference room (see ``room``), and how each kind of exit is reported.

Source: TwiML ``<Conference>`` and its status callbacks.
"""

from enum import StrEnum
from typing import Final

from b2bua.core.room_inputs import (
    Announce,
    AnnouncementEnded,
    EndRoom,
    Exit,
    KickMember,
    MemberAdded,
    MemberAnswered,
    MemberEntered,
    MemberFailed,
    MemberGone,
    MemberProgressed,
    RecordRoom,
    RoomInput,
    StopRoomRecording,
    UpdateMember,
    VoiceChanged,
    WaitReady,
    WaitRefused,
    WatchSpeakers,
)
from b2bua.core.room_outputs import LeaveReason

__all__ = ["EXITS", "MEMBER_STATES", "TRANSITIONS", "MemberState", "RoomState"]


class RoomState(StrEnum):
    """The state of a room, by the names of the REST API."""

    INIT = "init"
    """Nobody hears another yet."""
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"


class MemberState(StrEnum):
    """The state of a member. The first three are those of a call that REST makes."""

    QUEUED = "queued"
    CONNECTING = "connecting"
    RINGING = "ringing"
    ENTERING = "entering"
    """Answered; its wait document is being fetched, and it has not joined yet."""
    CONNECTED = "connected"


Handler = str
"""Name of the handler in one of the parts of ``Room``; empty: the input is legal and changes nothing."""

_INIT, _RUNS, _OVER = RoomState.INIT, RoomState.IN_PROGRESS, RoomState.COMPLETED

TRANSITIONS: Final[dict[tuple[RoomState, type[RoomInput]], Handler]] = {
    (_INIT, MemberEntered): "on_entered",
    (_INIT, MemberAdded): "on_added",
    (_INIT, MemberProgressed): "on_progressed",
    (_INIT, MemberAnswered): "on_answered",
    (_INIT, MemberFailed): "on_failed",
    (_INIT, WaitReady): "on_wait_ready",
    (_INIT, WaitRefused): "on_wait_refused",
    (_INIT, MemberGone): "on_gone",
    (_INIT, VoiceChanged): "",  # nobody hears another
    (_INIT, UpdateMember): "on_update",
    (_INIT, KickMember): "on_kick",
    (_INIT, Announce): "on_announce",
    (_INIT, EndRoom): "on_end",
    (_INIT, WatchSpeakers): "on_watch",
    (_INIT, RecordRoom): "on_record",
    (_INIT, StopRoomRecording): "on_stop_recording",
    (_RUNS, MemberEntered): "on_entered",
    (_RUNS, MemberAdded): "on_added",
    (_RUNS, MemberProgressed): "on_progressed",
    (_RUNS, MemberAnswered): "on_answered",
    (_RUNS, MemberFailed): "on_failed",
    (_RUNS, WaitReady): "",  # the room started meanwhile
    (_RUNS, WaitRefused): "",
    (_RUNS, MemberGone): "on_gone",
    (_RUNS, VoiceChanged): "on_voice",
    (_RUNS, AnnouncementEnded): "on_announcement_ended",
    (_RUNS, UpdateMember): "on_update",
    (_RUNS, KickMember): "on_kick",
    (_RUNS, Announce): "on_announce",
    (_RUNS, EndRoom): "on_end",
    (_RUNS, WatchSpeakers): "on_watch",
    (_RUNS, RecordRoom): "on_record",
    (_RUNS, StopRoomRecording): "on_stop_recording",
    (_OVER, MemberEntered): "on_entered_late",
    (_OVER, MemberAdded): "on_added_late",
    (_OVER, MemberProgressed): "",
    (_OVER, MemberAnswered): "",
    (_OVER, MemberFailed): "",
    (_OVER, WaitReady): "",
    (_OVER, WaitRefused): "",
    (_OVER, MemberGone): "",
    (_OVER, VoiceChanged): "",
    (_OVER, AnnouncementEnded): "",
    (_OVER, UpdateMember): "on_member_missing",
    (_OVER, KickMember): "on_member_missing",
    (_OVER, Announce): "on_announce_late",
    (_OVER, EndRoom): "",
    (_OVER, WatchSpeakers): "",
    (_OVER, RecordRoom): "on_stop_recording",
    (_OVER, StopRoomRecording): "on_stop_recording",
}
"""The handler for each state of the room and input. An unlisted pair is counted and changes nothing."""

_CALLED = frozenset((MemberState.QUEUED, MemberState.CONNECTING, MemberState.RINGING))
_HERE = frozenset((MemberState.ENTERING, MemberState.CONNECTED))

MEMBER_STATES: Final[dict[type[RoomInput], frozenset[MemberState]]] = {
    MemberProgressed: _CALLED,
    MemberAnswered: _CALLED,
    MemberFailed: _CALLED,
    WaitReady: _HERE,
    WaitRefused: _HERE,
    MemberGone: _CALLED | _HERE,
    VoiceChanged: frozenset((MemberState.CONNECTED,)),
}
"""The states of its member in which a fact is legal. In others, and of a call that is not a member, it is
counted and changes nothing. Orders answer for themselves."""

EXITS: Final[dict[Exit, tuple[LeaveReason, str, str]]] = {
    Exit.HUNG_UP: (LeaveReason.HUNG_UP, "completed", "completed"),
    Exit.STAR: (LeaveReason.HUNG_UP, "in-progress", "in-progress"),
    Exit.TIME_LIMIT: (LeaveReason.HUNG_UP, "in-progress", "completed"),
    Exit.CRASHED: (LeaveReason.HUNG_UP, "failed", "failed"),
    Exit.LOST: (LeaveReason.HUNG_UP, "completed", "completed"),
    Exit.REDIRECTED: (LeaveReason.UPDATED, "in-progress", "in-progress"),
    Exit.COMPLETED: (LeaveReason.UPDATED, "completed", "completed"),
}
"""Reason, and ``ParticipantCallStatus`` of a call with a document and of one that REST made for the room."""
