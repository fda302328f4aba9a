"""The conference rooms of the node, as the API sees them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from b2bua.web.api.control import Callback, CallRequest, Method, RecordingRequest

__all__ = ["ParticipantChange", "ParticipantRecord", "ParticipantRequest", "RoomBook"]


class ParticipantRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A call that is in a conference, or on its way there."""

    call_sid: str
    conference_sid: str
    label: str | None
    muted: bool
    hold: bool
    coaching: bool
    call_sid_to_coach: str | None
    start_on_enter: bool
    end_on_exit: bool
    volume_in_db: int
    volume_out_db: int
    status: Literal["queued", "connecting", "ringing", "connected"]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantChange:
    """Changes to a participant; None: unchanged."""

    muted: bool | None = None
    hold: bool | None = None
    hold_document: Callback | None = None
    announce: Callback | None = None
    wait: Callback | None = None
    """Its URL may be empty: silence."""
    beep_on_exit: bool | None = None
    end_on_exit: bool | None = None
    end_as_last: bool = False
    """With ``end_on_exit``: not as long as another one is there whose exit ends the conference."""
    volume_in_db: int | None = None
    volume_out_db: int | None = None
    coaching: bool | None = None
    coach: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantRequest:
    """A call to make for a conference."""

    call: CallRequest
    """Its document has no meaning."""
    label: str = ""
    muted: bool = False
    beep: Literal["true", "false", "onEnter", "onExit"] = "true"
    start_on_enter: bool = True
    end_on_exit: bool = False
    end_as_last: bool = False
    wait_url: str | None = None
    """None: our music; empty: silence."""
    wait_method: Method = "POST"
    early_media: bool = True
    max_participants: int = 250
    jitter_buffer_size: Literal["off", "small", "medium", "large"] = "large"
    coach: str = ""
    events: Callback | None = None
    """Where the events of the conference are sent, if this is its first participant."""
    event_names: tuple[str, ...] = ("start", "end")
    conference_recording: RecordingRequest | None = None
    """How the conference is recorded, if this is the first that asks for it."""


class RoomBook(Protocol):
    """All live conferences.

    Methods raise NotFound if there is no such conference or participant, and ApiError if the state of the
    conference does not allow the request. A conference is named by its sid or, while it is live, by its name;
    a participant by its CallSid or its label.
    """

    def sid_of(self, name: str) -> str | None:
        """Return the sid of the live conference with this name."""

    def end(self, sid: str) -> None:
        """End a live conference for all; without effect on one that has ended."""

    def announce(self, sid: str, document: Callback) -> None:
        """Play something to the whole conference."""

    def participants(self, sid: str) -> list[ParticipantRecord]:
        """Return the participants of a conference in the order of their coming; none if it has ended."""

    def participant(self, sid: str, who: str) -> ParticipantRecord:
        """Return a participant."""

    def change(self, sid: str, who: str, change: ParticipantChange) -> ParticipantRecord:
        """Change a participant."""

    async def active_speakers(self, sid: str) -> list[ParticipantRecord]:
        """Return the participants who speak now; the first request of a conference takes a moment."""

    def kick(self, sid: str, who: str) -> None:
        """Remove a participant."""

    def record(self, sid: str, request: RecordingRequest) -> str:
        """Start recording a conference that is in progress; returns the sid of the recording."""

    def change_recording(
        self,
        sid: str,
        recording: str | None,
        status: Literal["in-progress", "paused", "stopped"],
        behavior: Literal["silence", "skip"],
    ) -> str:
        """Pause, resume or stop the recording that runs (None), or this one; returns its sid."""

    async def add(self, conference: str, request: ParticipantRequest) -> ParticipantRecord:
        """Make a call for a conference, which is made if it is named by a name that no live one has."""
