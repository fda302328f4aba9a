"""The store, as the API sees it: the records that the API reads and deletes."""

from datetime import datetime
from typing import Generic, Literal, Protocol, TypeVar

import msgspec

__all__ = [
    "CallQuery",
    "CallRecord",
    "ConferenceQuery",
    "ConferenceRecord",
    "Directory",
    "EventRecord",
    "NotificationRecord",
    "PageRequest",
    "RecordingQuery",
    "RecordingRecord",
    "Slice",
    "TimeRange",
]

T = TypeVar("T")


class _Plain(msgspec.Struct, frozen=True, kw_only=True):
    pass


class CallRecord(_Plain, frozen=True, kw_only=True):
    """A call in the application's sense: one leg."""

    sid: str
    parent_sid: str | None = None
    from_: str
    to: str
    direction: str
    status: str
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    """When the call was answered; if it was not, when ringing began."""
    ended_at: datetime | None = None
    duration_s: int | None = None
    """Duration of the conversation; None until it has ended, or if there was none."""
    forwarded_from: str | None = None
    caller_name: str | None = None
    answered_by: str | None = None
    sip_call_id: str | None = None


class RecordingRecord(_Plain, frozen=True, kw_only=True):
    """A recording. Once complete, its file is ``SID.wav`` in the recordings' folder."""

    sid: str
    call_sid: str
    conference_sid: str | None = None
    status: str
    source: str
    channels: int
    track: str
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    duration_s: int | None = None
    error_code: int | None = None


class NotificationRecord(_Plain, frozen=True, kw_only=True):
    """A warning or an error of a call."""

    sid: str
    call_sid: str
    severity: Literal["error", "warning"]
    number: int
    text: str
    created_at: datetime
    request_url: str = ""
    request_method: str = ""


class EventRecord(_Plain, frozen=True, kw_only=True):
    """One request to the application and its answer."""

    created_at: datetime
    method: str
    url: str
    params: dict[str, str]
    status: int | None = None
    elapsed_ms: int | None = None
    content_type: str = ""
    body: str = ""


class ConferenceRecord(_Plain, frozen=True, kw_only=True):
    """A conference room, live or ended."""

    sid: str
    friendly_name: str
    status: Literal["init", "in-progress", "completed"]
    created_at: datetime
    updated_at: datetime
    reason_ended: str | None = None
    """``ReasonConferenceEnded``."""
    call_sid_ending: str | None = None
    """The call whose leaving has ended it."""


class TimeRange(_Plain, frozen=True, kw_only=True):
    """The time from ``since`` (inclusive) to ``before`` (exclusive); None: open."""

    since: datetime | None = None
    before: datetime | None = None


class CallQuery(_Plain, frozen=True, kw_only=True):
    """A filter for calls; None: any."""

    to: str | None = None
    from_: str | None = None
    status: str | None = None
    parent_sid: str | None = None
    started: TimeRange = TimeRange()
    ended: TimeRange = TimeRange()


class RecordingQuery(_Plain, frozen=True, kw_only=True):
    """A filter for recordings; None: any."""

    call_sid: str | None = None
    conference_sid: str | None = None
    created: TimeRange = TimeRange()


class NotificationQuery(_Plain, frozen=True, kw_only=True):
    """A filter for notifications; None: any."""

    call_sid: str | None = None
    severity: Literal["error", "warning"] | None = None
    created: TimeRange = TimeRange()


class ConferenceQuery(_Plain, frozen=True, kw_only=True):
    """A filter for conferences; None: any."""

    friendly_name: str | None = None
    status: str | None = None
    created: TimeRange = TimeRange()
    updated: TimeRange = TimeRange()


class PageRequest(_Plain, frozen=True, kw_only=True):
    """The part of a list to read, newest first."""

    size: int
    token: str | None = None
    """Token from the previous page; None: the first page."""


class Slice(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A part of a list."""

    items: tuple[T, ...]
    next_token: str | None = None
    """Token for the next part; None: this is the last one."""


class Directory(Protocol):
    """Access to stored records. Lists are newest first; an invalid token raises ValueError."""

    async def calls(self, query: CallQuery, page: PageRequest) -> Slice[CallRecord]:
        """Return calls, by time of creation."""

    async def call(self, sid: str) -> CallRecord | None:
        """Return one call, or None."""

    async def delete_call(self, sid: str) -> None:
        """Delete a call, its notifications and its events, but not its recordings."""

    async def recordings(self, query: RecordingQuery, page: PageRequest) -> Slice[RecordingRecord]:
        """Return recordings."""

    async def recording(self, sid: str) -> RecordingRecord | None:
        """Return one recording, or None."""

    async def delete_recording(self, sid: str) -> None:
        """Delete a recording; its file is left to the caller."""

    async def conferences(self, query: ConferenceQuery, page: PageRequest) -> Slice[ConferenceRecord]:
        """Return conferences, by time of creation."""

    async def conference(self, sid: str) -> ConferenceRecord | None:
        """Return a conference; None if there is none."""

    async def notifications(self, query: NotificationQuery, page: PageRequest) -> Slice[NotificationRecord]:
        """Return warnings and errors."""

    async def notification(self, sid: str) -> NotificationRecord | None:
        """Return one notification, or None."""

    async def delete_notification(self, sid: str) -> None:
        """Delete a notification."""

    async def events(self, call_sid: str, page: PageRequest) -> Slice[EventRecord]:
        """Return a call's requests to the application, oldest first."""
