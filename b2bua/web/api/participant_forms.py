"""The forms of requests about conferences and their participants."""

from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Request
from pydantic import BeforeValidator, Field

from b2bua.web.api.control import Callback, CallRequest, DocumentSource, Method, RecordingRequest
from b2bua.web.api.forms import (
    ApiForm,
    CallEvents,
    CreateRecordingForm,
    Flag,
    Line,
    Party,
    Recipient,
    RecordingEvents,
    WebAddress,
    words,
)
from b2bua.web.api.room_book import ParticipantChange, ParticipantRequest

__all__ = ["CreateParticipantForm", "Silence", "UpdateConferenceForm", "UpdateParticipantForm"]

ConferenceEvent = Literal[
    "start", "end", "join", "leave", "mute", "hold", "modify", "speaker", "announcement"
]
ConferenceEvents = Annotated[list[ConferenceEvent], BeforeValidator(words), Field(max_length=16)]
CALL_SID: Final = r"^CA[0-9a-f]{32}$"
_COMPLETED: Final = ("completed",)


def _completed() -> list[Literal["initiated", "ringing", "answered", "completed"]]:
    return ["completed"]


def _finished() -> list[Literal["in-progress", "completed", "absent"]]:
    return ["completed"]


def _start_and_end() -> list[ConferenceEvent]:
    return ["start", "end"]


def _lower(given: Any) -> Any:
    """Take the words of a flag as some clients write them: ``True``."""
    return given.lower() if given in ("True", "False") else given


Beep = Annotated[Literal["true", "false", "onEnter", "onExit"], BeforeValidator(_lower)]
RoomRecord = Annotated[
    Literal["true", "false", "record-from-start", "do-not-record"], BeforeValidator(_lower)
]
Ending = Annotated[str, Field(pattern=r"^(?:[Tt]rue|[Ff]alse|last)$")]
"""A flag, or ``last``: the exit counts if no other one is there whose exit ends the conference."""
Decibels = Annotated[int, Field(ge=-20, le=10)]
Label = Annotated[str, Field(pattern=r"^[^/\x00-\x1f\x7f]*$", max_length=128)]


class UpdateConferenceForm(ApiForm):
    """``POST Conferences/CF….json``: end it, or play something to it."""

    status: Literal["completed"] | None = None
    announce_url: WebAddress | None = None
    announce_method: Method = "POST"


class UpdateParticipantForm(ApiForm):
    """``POST Conferences/CF…/Participants/CA….json``; absent fields stay unchanged."""

    muted: Flag | None = None
    hold: Flag | None = None
    hold_url: WebAddress | None = None
    hold_method: Method = "GET"
    announce_url: WebAddress | None = None
    announce_method: Method = "POST"
    wait_url: WebAddress | None = None
    wait_method: Method = "POST"
    beep_on_exit: Flag | None = None
    end_conference_on_exit: Ending | None = None
    volume_in: Decibels | None = None
    """Our own extension: how much louder the others hear it."""
    volume_out: Decibels | None = None
    """Our own extension: how much louder it hears the others."""
    coaching: Flag | None = None
    call_sid_to_coach: Annotated[str, Field(pattern=CALL_SID)] | None = None

    def change(self, silence: bool) -> ParticipantChange:
        """Return the requested changes; ``silence``: WaitUrl is given, and empty."""
        wait = "" if silence else self.wait_url
        return ParticipantChange(
            muted=_flag(self.muted),
            hold=_flag(self.hold),
            hold_document=Callback(self.hold_url, self.hold_method) if self.hold_url else None,
            announce=Callback(self.announce_url, self.announce_method) if self.announce_url else None,
            wait=None if wait is None else Callback(wait, self.wait_method),
            beep_on_exit=_flag(self.beep_on_exit),
            end_on_exit=_ends(self.end_conference_on_exit),
            end_as_last=self.end_conference_on_exit == "last",
            volume_in_db=self.volume_in,
            volume_out_db=self.volume_out,
            coaching=_flag(self.coaching),
            coach=self.call_sid_to_coach,
        )


class CreateParticipantForm(CreateRecordingForm):
    """``POST Conferences/CF…/Participants.json``"""

    to: Recipient
    from_: Party = Field(alias="From")
    label: Label | None = None
    timeout: Annotated[int, Field(ge=5, le=600)] = 60
    time_limit: Annotated[int, Field(ge=1, le=86_400)] | None = None
    muted: Flag = "false"
    beep: Beep = "true"
    start_conference_on_enter: Flag = "true"
    end_conference_on_exit: Ending = "false"
    wait_url: WebAddress | None = None
    wait_method: Method = "POST"
    early_media: Flag = "true"
    max_participants: Annotated[int, Field(ge=2, le=250)] = 250
    jitter_buffer_size: Literal["off", "small", "medium", "large"] = "large"
    coaching: Flag | None = None
    call_sid_to_coach: Annotated[str, Field(pattern=CALL_SID)] | None = None
    status_callback: WebAddress | None = None
    status_callback_method: Method = "POST"
    status_callback_event: CallEvents = Field(default_factory=_completed)
    conference_status_callback: WebAddress | None = None
    conference_status_callback_method: Method = "POST"
    conference_status_callback_event: ConferenceEvents = Field(default_factory=_start_and_end)
    record: Flag = "false"
    """Whether the call is recorded, from its answer on."""
    trim: Literal["trim-silence", "do-not-trim"] = "trim-silence"
    conference_record: RoomRecord = "false"
    conference_trim: Literal["trim-silence", "do-not-trim"] = "trim-silence"
    conference_recording_status_callback: WebAddress | None = None
    conference_recording_status_callback_method: Method = "POST"
    conference_recording_status_callback_event: RecordingEvents = Field(default_factory=_finished)
    caller_id: Party | None = None
    call_reason: Line | None = None
    sip_auth_username: Line | None = None
    sip_auth_password: Line | None = None
    byoc: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]{1,64}$")] | None = None
    """Name of the trunk that carries the call."""

    def request(self, silence: bool) -> ParticipantRequest:
        """Return the requested participant; ``silence``: WaitUrl is given, and empty."""
        callback, events = self.status_callback, self.conference_status_callback
        return ParticipantRequest(
            call=CallRequest(
                to=self.to,
                from_=self.from_,
                document=DocumentSource(),
                status_callback=Callback(callback, self.status_callback_method) if callback else None,
                status_callback_events=tuple(self.status_callback_event or _COMPLETED),
                timeout_s=self.timeout,
                time_limit_s=self.time_limit,
                caller_id=self.caller_id or "",
                call_reason=self.call_reason or "",
                sip_auth_username=self.sip_auth_username or "",
                sip_auth_password=self.sip_auth_password or "",
                trunk=self.byoc or "",
                recording=self.recording() if _flag(self.record) else None,
            ),
            label=self.label or "",
            muted=_flag(self.muted) or False,
            beep=self.beep,
            start_on_enter=_flag(self.start_conference_on_enter) is not False,
            end_on_exit=_ends(self.end_conference_on_exit) or False,
            end_as_last=self.end_conference_on_exit == "last",
            wait_url="" if silence else self.wait_url,
            wait_method=self.wait_method,
            early_media=_flag(self.early_media) is not False,
            max_participants=self.max_participants,
            jitter_buffer_size=self.jitter_buffer_size,
            coach=self.call_sid_to_coach or "",
            events=Callback(events, self.conference_status_callback_method) if events else None,
            event_names=tuple(self.conference_status_callback_event),
            conference_recording=self._conference_recording(),
        )

    def _conference_recording(self) -> RecordingRequest | None:
        if self.conference_record in ("false", "do-not-record"):
            return None
        url, method = (
            self.conference_recording_status_callback,
            self.conference_recording_status_callback_method,
        )
        return RecordingRequest(
            trim=self.conference_trim == "trim-silence",
            status_callback=Callback(url, method) if url else None,
            status_callback_events=tuple(self.conference_recording_status_callback_event or _COMPLETED),
        )


async def _wait_url_is_empty(request: Request) -> bool:
    """Return whether the form has a WaitUrl that is empty, which other fields of a form may be as well."""
    return (await request.form()).get("WaitUrl") == ""


Silence = Annotated[bool, Depends(_wait_url_is_empty)]


def _ends(text: str | None) -> bool | None:
    """Return whether the exit ends the conference; None: absent."""
    return True if text == "last" else _flag(text)


def _flag(text: str | None) -> bool | None:
    """Return the value of a flag; None: absent."""
    return None if text is None or text == "" else text.lower() == "true"
