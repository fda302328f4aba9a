"""Rows for tests of the store, easy to tell apart."""

from datetime import UTC, datetime, timedelta
from typing import Any

from b2bua.store.records import CallRow, EventRow, LegRow, NotificationRow, OutboxRow, RecordingRow

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def sid(prefix: str, number: int) -> str:
    return f"{prefix}{number:032x}"


def a_call(number: int, **fields: Any) -> CallRow:
    """A call ``number`` seconds past noon that still rings."""
    at = NOON + timedelta(seconds=number)
    given: dict[str, Any] = {
        "sid": sid("CA", number),
        "from_": "+14155550123",
        "to": "+14155550199",
        "direction": "inbound",
        "status": "ringing",
        "created_at": at,
        "updated_at": at,
    }
    return CallRow(**(given | fields))


def an_ended_call(number: int, **fields: Any) -> CallRow:
    at = NOON + timedelta(seconds=number)
    given = {"status": "completed", "started_at": at, "ended_at": at + timedelta(seconds=5), "duration_s": 5}
    return a_call(number, **(given | fields))


def a_leg(call: int, name: str, **fields: Any) -> LegRow:
    given: dict[str, Any] = {
        "call_sid": sid("CA", call),
        "leg": name,
        "role": "caller",
        "sip_call_id": f"{name}@peer",
        "created_at": NOON,
    }
    return LegRow(**(given | fields))


def a_recording(number: int, call: int = 1, **fields: Any) -> RecordingRow:
    at = NOON + timedelta(seconds=number)
    given: dict[str, Any] = {
        "sid": sid("RE", number),
        "call_sid": sid("CA", call),
        "status": "completed",
        "source": "DialVerb",
        "channels": 2,
        "track": "both",
        "created_at": at,
        "updated_at": at,
    }
    return RecordingRow(**(given | fields))


def a_notification(number: int, call: int = 1, **fields: Any) -> NotificationRow:
    given: dict[str, Any] = {
        "sid": sid("NO", number),
        "call_sid": sid("CA", call),
        "severity": "warning",
        "number": 13214,
        "text": "callerId",
        "created_at": NOON + timedelta(seconds=number),
    }
    return NotificationRow(**(given | fields))


def an_event(sequence: int, call: int = 1, **fields: Any) -> EventRow:
    given: dict[str, Any] = {
        "call_sid": sid("CA", call),
        "sequence": sequence,
        "kind": "document",
        "created_at": NOON,
        "method": "POST",
        "url": "http://app.test/voice",
        "params": {"CallSid": sid("CA", call)},
    }
    return EventRow(**(given | fields))


def a_callback(number: int, **fields: Any) -> OutboxRow:
    given: dict[str, Any] = {
        "id": f"{number:08x}",
        "call_sid": sid("CA", 1),
        "sequence": number,
        "url": "http://app.test/status",
        "method": "POST",
        "params": (("CallSid", sid("CA", 1)),),
        "token": f"token {number}",
        "created_at": NOON + timedelta(seconds=number),
    }
    return OutboxRow(**(given | fields))
