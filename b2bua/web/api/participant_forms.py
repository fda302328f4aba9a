"""The forms of requests about conferences and their participants."""

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from b2bua.web.api.control import Callback, CallRequest, DocumentSource, Method
from b2bua.web.api.forms import ApiForm, CallEvents, Flag, Line, Party, Recipient, WebAddress, words
from b2bua.web.api.room_book import ParticipantChange, ParticipantRequest

__all__ = ["CreateParticipantForm", "UpdateConferenceForm", "UpdateParticipantForm"]

ConferenceEvent = Literal[
    "start", "end", "join", "leave", "mute", "hold", "modify", "speaker", "announcement"
]
ConferenceEvents = Annotated[list[ConferenceEvent], BeforeValidator(words), Field(max_length=16)]
CALL_SID: Final = r"^CA[0-9a-f]{32}$"
_COMPLETED: Final = ("completed",)


def _completed() -> list[Literal["initiated", "ringing", "answered", "completed"]]:
    return ["completed"]


def _start_and_end() -> list[ConferenceEvent]:
    return ["start", "end"]


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
    end_conference_on_exit: Flag | None = None
    coaching: Flag | None = None
    call_sid_to_coach: Annotated[str, Field(pattern=CALL_SID)] | None = None

    def change(self) -> ParticipantChange:
        """Return the requested changes."""
        return ParticipantChange(
            muted=_flag(self.muted),
            hold=_flag(self.hold),
            hold_document=Callback(self.hold_url, self.hold_method) if self.hold_url else None,
            announce=Callback(self.announce_url, self.announce_method) if self.announce_url else None,
            wait=Callback(self.wait_url, self.wait_method) if self.wait_url else None,
            beep_on_exit=_flag(self.beep_on_exit),
            end_on_exit=_flag(self.end_conference_on_exit),
            coaching=_flag(self.coaching),
            coach=self.call_sid_to_coach,
        )


class CreateParticipantForm(ApiForm):
    """``POST Conferences/CF…/Participants.json``"""

    to: Recipient
    from_: Party = Field(alias="From")
    label: Label | None = None
    timeout: Annotated[int, Field(ge=5, le=600)] = 60
    time_limit: Annotated[int, Field(ge=1, le=86_400)] | None = None
    muted: Flag = "false"
    beep: Literal["true", "false", "onEnter", "onExit"] = "true"
    start_conference_on_enter: Flag = "true"
    end_conference_on_exit: Flag = "false"
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
    caller_id: Party | None = None
    call_reason: Line | None = None
    sip_auth_username: Line | None = None
    sip_auth_password: Line | None = None
    byoc: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]{1,64}$")] | None = None
    """Name of the trunk that carries the call."""

    def request(self) -> ParticipantRequest:
        """Return the requested participant."""
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
            ),
            label=self.label or "",
            muted=_flag(self.muted) or False,
            beep=self.beep,
            start_on_enter=_flag(self.start_conference_on_enter) is not False,
            end_on_exit=_flag(self.end_conference_on_exit) or False,
            wait_url=self.wait_url,
            wait_method=self.wait_method,
            early_media=_flag(self.early_media) is not False,
            max_participants=self.max_participants,
            jitter_buffer_size=self.jitter_buffer_size,
            coach=self.call_sid_to_coach or "",
            events=Callback(events, self.conference_status_callback_method) if events else None,
            event_names=tuple(self.conference_status_callback_event),
        )


def _flag(text: str | None) -> bool | None:
    """Return the value of a flag; None: absent."""
    return None if text is None or text == "" else text.lower() == "true"
