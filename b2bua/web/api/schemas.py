"""The resources as JSON, with the fields of the hosted service; fields that b2bua does not have are ``None``.

Numbers are strings where the hosted service uses strings. Source: its API reference, version 2010-04-01 (read
November 2026).
"""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from b2bua.calls.parameters import API_VERSION
from b2bua.core.credentials import without_userinfo
from b2bua.settings import NumberSettings
from b2bua.web.api.auth import API_ROOT
from b2bua.web.api.directory import CallRecord, EventRecord, NotificationRecord, RecordingRecord
from b2bua.web.api.errors import more_info
from b2bua.web.api.paging import PageLinks

__all__ = [
    "ApiBody",
    "CallBody",
    "CallList",
    "EventBody",
    "EventList",
    "NotificationBody",
    "NotificationList",
    "NumberBody",
    "NumberList",
    "RecordingBody",
    "RecordingList",
    "call_body",
    "event_body",
    "notification_body",
    "number_body",
    "recording_body",
    "rfc2822",
]

_LOG_LEVELS: Final = {"error": "0", "warning": "1"}


class ApiBody(BaseModel):
    """A resource."""

    model_config = ConfigDict(use_attribute_docstrings=True, serialize_by_alias=True, populate_by_name=True)


class CallBody(ApiBody):
    """A call."""

    sid: str
    account_sid: str
    parent_call_sid: str | None
    to: str
    to_formatted: str
    from_: str = Field(alias="from")
    from_formatted: str
    status: str
    direction: str
    start_time: str | None
    end_time: str | None
    duration: str | None
    """Seconds."""
    date_created: str
    date_updated: str
    answered_by: str | None
    forwarded_from: str | None
    caller_name: str | None
    phone_number_sid: None = None
    group_sid: None = None
    trunk_sid: None = None
    price: None = None
    price_unit: None = None
    queue_time: str = "0"
    """Milliseconds; always 0, since calls are not queued."""
    sip_call_id: str | None
    """An addition of b2bua: the Call-ID of the leg's dialog, to find the call in a packet capture."""
    api_version: str = API_VERSION
    uri: str
    subresource_uris: dict[str, str]


class CallList(PageLinks):
    """A page of calls."""

    calls: list[CallBody]


class RecordingBody(ApiBody):
    """A recording."""

    sid: str
    account_sid: str
    call_sid: str
    conference_sid: str | None
    status: str
    source: str
    channels: int
    track: str
    start_time: str | None
    duration: str | None
    """Seconds."""
    date_created: str
    date_updated: str
    error_code: int | None
    price: None = None
    price_unit: None = None
    encryption_details: None = None
    media_url: str
    """URL of the audio as WAV; append ``.mp3`` for MP3."""
    api_version: str = API_VERSION
    uri: str
    subresource_uris: dict[str, str]


class RecordingList(PageLinks):
    """A page of recordings."""

    recordings: list[RecordingBody]


class NumberBody(ApiBody):
    """A number of the configuration."""

    sid: str
    account_sid: str
    phone_number: str
    """A number, or a pattern that matches several numbers."""
    friendly_name: str
    capabilities: dict[str, bool]
    voice_url: str
    voice_method: str
    voice_fallback_url: str
    voice_fallback_method: str
    status_callback: str
    status_callback_method: str
    voice_application_sid: None = None
    trunk_sid: None = None
    origin: str = "hosted"
    status: str = "in-use"
    beta: bool = False
    api_version: str = API_VERSION
    uri: str


class NumberList(PageLinks):
    """A page of numbers."""

    incoming_phone_numbers: list[NumberBody]


class NotificationBody(ApiBody):
    """A warning or an error of a call."""

    sid: str
    account_sid: str
    call_sid: str
    log: str
    """``0``: an error, ``1``: a warning."""
    error_code: str
    more_info: str
    message_text: str
    message_date: str
    request_method: str
    request_url: str
    request_variables: str = ""
    response_body: str = ""
    response_headers: str = ""
    date_created: str
    date_updated: str
    api_version: str = API_VERSION
    uri: str


class NotificationList(PageLinks):
    """A page of notifications."""

    notifications: list[NotificationBody]


class EventBody(ApiBody):
    """A request to the application and its response."""

    request: dict[str, Any]
    """``method``, ``url``, ``parameters``."""
    response: dict[str, Any]
    """``response_code``, ``request_duration`` (ms), ``content_type``, ``response_body``, ``date_created``."""


class EventList(PageLinks):
    """A page of a call's events."""

    events: list[EventBody]


def rfc2822(at: datetime | None) -> str | None:
    """Format a time for the API: RFC 2822, in GMT; None stays None."""
    return None if at is None else format_datetime(at.astimezone(UTC))


def _date(at: datetime) -> str:
    return format_datetime(at.astimezone(UTC))


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def call_body(call: CallRecord, account_sid: str) -> CallBody:
    """Return the resource of a call."""
    path = f"{API_ROOT}/Accounts/{account_sid}/Calls/{call.sid}"
    return CallBody(
        sid=call.sid,
        account_sid=account_sid,
        parent_call_sid=call.parent_sid,
        to=call.to,
        to_formatted=call.to,
        from_=call.from_,
        from_formatted=call.from_,
        status=call.status,
        direction=call.direction,
        start_time=rfc2822(call.started_at),
        end_time=rfc2822(call.ended_at),
        duration=_text(call.duration_s),
        date_created=_date(call.created_at),
        date_updated=_date(call.updated_at),
        answered_by=call.answered_by,
        forwarded_from=call.forwarded_from,
        caller_name=call.caller_name,
        sip_call_id=call.sip_call_id,
        uri=f"{path}.json",
        subresource_uris={
            "recordings": f"{path}/Recordings.json",
            "notifications": f"{path}/Notifications.json",
            "events": f"{path}/Events.json",
        },
    )


def recording_body(recording: RecordingRecord, account_sid: str, public_url: str) -> RecordingBody:
    """Return the resource of a recording."""
    path = f"{API_ROOT}/Accounts/{account_sid}/Recordings/{recording.sid}"
    return RecordingBody(
        sid=recording.sid,
        account_sid=account_sid,
        call_sid=recording.call_sid,
        conference_sid=recording.conference_sid,
        status=recording.status,
        source=recording.source,
        channels=recording.channels,
        track=recording.track,
        start_time=rfc2822(recording.started_at),
        duration=_text(recording.duration_s),
        date_created=_date(recording.created_at),
        date_updated=_date(recording.updated_at),
        error_code=recording.error_code,
        media_url=f"{public_url}{path}",
        uri=f"{path}.json",
        subresource_uris={},
    )


def number_body(sid: str, number: NumberSettings, account_sid: str) -> NumberBody:
    """Return the resource of a number."""
    return NumberBody(
        sid=sid,
        account_sid=account_sid,
        phone_number=number.match,
        friendly_name=number.match,
        capabilities={"voice": True, "sms": False, "mms": False, "fax": False},
        voice_url=without_userinfo(number.voice_url),
        voice_method=number.voice_method,
        voice_fallback_url=without_userinfo(number.fallback_url),
        voice_fallback_method=number.fallback_method,
        status_callback=without_userinfo(number.status_callback),
        status_callback_method=number.status_callback_method,
        uri=f"{API_ROOT}/Accounts/{account_sid}/IncomingPhoneNumbers/{sid}.json",
    )


def notification_body(notification: NotificationRecord, account_sid: str) -> NotificationBody:
    """Return the resource of a notification."""
    at = _date(notification.created_at)
    return NotificationBody(
        sid=notification.sid,
        account_sid=account_sid,
        call_sid=notification.call_sid,
        log=_LOG_LEVELS[notification.severity],
        error_code=str(notification.number),
        more_info=more_info(notification.number),
        message_text=without_userinfo(notification.text),
        message_date=at,
        request_method=notification.request_method,
        request_url=without_userinfo(notification.request_url),
        date_created=at,
        date_updated=at,
        uri=f"{API_ROOT}/Accounts/{account_sid}/Notifications/{notification.sid}.json",
    )


def event_body(event: EventRecord) -> EventBody:
    """Return the resource of an event."""
    return EventBody(
        request={"method": event.method, "url": without_userinfo(event.url), "parameters": event.params},
        response={
            "response_code": event.status,
            "request_duration": event.elapsed_ms,
            "content_type": event.content_type,
            "response_body": without_userinfo(event.body),
            "date_created": _date(event.created_at),
        },
    )
