"""The records of the store. A record is a whole row: putting it replaces any row with the same key.

The base classes, in ``web.api.directory``, hold the fields that the REST API reads; the subclasses here add
those that only the node needs. All times are timezone-aware, in UTC.
"""

from datetime import datetime
from typing import Any, Literal

import msgspec

from b2bua.web.api.directory import (
    CallRecord,
    ConferenceRecord,
    EventRecord,
    NotificationRecord,
    RecordingRecord,
)

__all__ = [
    "AccountRow",
    "CallRow",
    "ConferenceRow",
    "EventRow",
    "LegRow",
    "NotificationRow",
    "OutboxRow",
    "QueueRow",
    "Record",
    "RecordingRow",
    "RegistrationRow",
]


class CallRow(CallRecord, frozen=True, kw_only=True):
    """A call; key ``sid``."""

    account_sid: str = ""
    answered_at: datetime | None = None
    hangup_by: str | None = None
    """``caller``, ``callee``, ``node`` or ``api``."""
    q850: int | None = None
    """The cause with which the call ended (Q.850)."""
    sip_code: int | None = None
    """The final response with which the call ended."""
    annotations: dict[str, Any] = msgspec.field(default_factory=dict)
    """SIP details: source address, trunk, user agent and the like."""


class LegRow(msgspec.Struct, frozen=True, kw_only=True):
    """One of our dialogs; key ``call_sid`` and ``leg``."""

    call_sid: str
    leg: str
    role: Literal["caller", "callee"]
    sip_call_id: str
    worker: str = ""
    created_at: datetime
    timeline: dict[str, Any] = {}
    """The signalling events, in seconds since the INVITE."""


class RecordingRow(RecordingRecord, frozen=True, kw_only=True):
    """A recording; key ``sid``."""

    account_sid: str = ""
    path: str = ""
    """Path of the finished file, relative to the recordings' folder."""
    raw_files: tuple[str, ...] = ()
    """The files from which the recording is made; those left after a crash can still be finished."""
    callback_url: str = ""
    callback_method: Literal["GET", "POST"] = "POST"
    callback_events: tuple[str, ...] = ()


class ConferenceRow(ConferenceRecord, frozen=True, kw_only=True):
    """A conference room; key ``sid``."""

    account_sid: str = ""


class NotificationRow(NotificationRecord, frozen=True, kw_only=True):
    """A warning or an error; key ``sid``."""

    line: int = 0
    """Position in the document; 0 if unknown."""
    column: int = 0


class EventRow(EventRecord, frozen=True, kw_only=True):
    """One request to the application and its answer; key ``call_sid`` and ``sequence``."""

    call_sid: str
    sequence: int
    """Increases within a call and gives the order of its events."""
    kind: str
    """``document``, ``action``, ``status`` and the like."""


class OutboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """A callback that is owed; key ``id``."""

    id: str
    call_sid: str
    sequence: int
    """Increases with each callback of this node, also across restarts."""
    url: str
    method: Literal["GET", "POST"]
    params: tuple[tuple[str, str], ...]
    token: str | None
    """The idempotency token, the same on every try."""
    created_at: datetime
    tries: int = 0
    tried_at: datetime | None = None
    settled_at: datetime | None = None
    """When it was delivered or abandoned; None while it is owed."""
    error: str = ""
    """Why the last try failed."""


class QueueRow(msgspec.Struct, frozen=True, kw_only=True):
    """A queue of waiting calls; key ``sid``."""

    sid: str
    account_sid: str
    friendly_name: str
    """Unique among the queues of the account."""
    max_size: int
    created_at: datetime
    updated_at: datetime


class RegistrationRow(msgspec.Struct, frozen=True, kw_only=True):
    """Where a user can be reached (RFC 3261 §10); key ``aor``, ``contact``, ``instance``, ``reg_id``."""

    aor: str
    contact: str
    instance: str = ""
    """``+sip.instance`` (RFC 5626); ``reg_id`` numbers its flow, 0 if it has none."""
    reg_id: int = 0
    call_id: str
    cseq: int
    expires_at: datetime
    path: tuple[str, ...] = ()
    """The Path headers (RFC 3327), in the order of the request."""
    received: str = ""
    """The source of the request, to which responses are sent: ``udp:192.0.2.1:5060``."""
    listener: int = 0
    """The listening point that received it, by its position in the configuration."""
    user_agent: str = ""
    q: float = 1.0


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """The account of this node, created once; key ``sid``."""

    sid: str
    auth_token: str
    created_at: datetime

    def __repr__(self) -> str:
        return f"AccountRow(sid={self.sid!r})"


Record = (
    CallRow
    | ConferenceRow
    | LegRow
    | RecordingRow
    | NotificationRow
    | EventRow
    | OutboxRow
    | QueueRow
    | RegistrationRow
)
"""The records that can be put."""
