"""What the API reads, and deletes: the store, as the API sees it."""

from datetime import datetime
from typing import Generic, Literal, Protocol, TypeVar

import msgspec

__all__ = [
    "CallQuery",
    "CallRecord",
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
    """A call as the application knows it: one leg."""

    sid: str
    parent_sid: str | None = None
    from_: str
    to: str
    direction: str
    status: str
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    """When it was answered; the beginning of ringing where it was not."""
    ended_at: datetime | None = None
    duration_s: int | None = None
    """Of the conversation; None until it has ended, and where there was none."""
    forwarded_from: str | None = None
    caller_name: str | None = None
    answered_by: str | None = None
    sip_call_id: str | None = None


class RecordingRecord(_Plain, frozen=True, kw_only=True):
    """A recording, whose file, once it is complete, is ``SID.wav`` in the recordings' folder."""

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
    """One request to the application, and its answer."""

    created_at: datetime
    method: str
    url: str
    params: dict[str, str]
    status: int | None = None
    elapsed_ms: int | None = None
    content_type: str = ""
    body: str = ""


class TimeRange(_Plain, frozen=True, kw_only=True):
    """From ``since`` on, before ``before``; None: open."""

    since: datetime | None = None
    before: datetime | None = None


class CallQuery(_Plain, frozen=True, kw_only=True):
    """Which calls; None: any."""

    to: str | None = None
    from_: str | None = None
    status: str | None = None
    parent_sid: str | None = None
    started: TimeRange = TimeRange()
    ended: TimeRange = TimeRange()


class RecordingQuery(_Plain, frozen=True, kw_only=True):
    """Which recordings; None: any."""

    call_sid: str | None = None
    conference_sid: str | None = None
    created: TimeRange = TimeRange()


class NotificationQuery(_Plain, frozen=True, kw_only=True):
    """Which notifications; None: any."""

    call_sid: str | None = None
    severity: Literal["error", "warning"] | None = None
    created: TimeRange = TimeRange()


class PageRequest(_Plain, frozen=True, kw_only=True):
    """Which part of a list, newest first."""

    size: int
    token: str | None = None
    """As the page before gave it."""


class Slice(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A part of a list."""

    items: tuple[T, ...]
    next_token: str | None = None
    """None: there is no more."""


class Directory(Protocol):
    """Lists are newest first. A token that is none of its own is a ValueError."""

    async def calls(self, query: CallQuery, page: PageRequest) -> Slice[CallRecord]:
        """Calls, by the time they were created."""

    async def call(self, sid: str) -> CallRecord | None:
        """One call."""

    async def delete_call(self, sid: str) -> None:
        """Forget a call, its notifications and its events; not its recordings."""

    async def recordings(self, query: RecordingQuery, page: PageRequest) -> Slice[RecordingRecord]:
        """Recordings."""

    async def recording(self, sid: str) -> RecordingRecord | None:
        """One recording."""

    async def delete_recording(self, sid: str) -> None:
        """Forget a recording; its file is the caller's."""

    async def notifications(self, query: NotificationQuery, page: PageRequest) -> Slice[NotificationRecord]:
        """Warnings and errors."""

    async def notification(self, sid: str) -> NotificationRecord | None:
        """One of them."""

    async def delete_notification(self, sid: str) -> None:
        """Forget it."""

    async def events(self, call_sid: str, page: PageRequest) -> Slice[EventRecord]:
        """Requests to the application, oldest first."""
