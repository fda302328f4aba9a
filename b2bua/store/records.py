"""What is kept. A record is a whole row: putting one again replaces what was there under its key.

What the REST API reads has its records there (``web.api.directory``); these add what only the node needs.
All times are aware, in UTC.
"""

from datetime import datetime
from typing import Any, Literal

import msgspec

from b2bua.web.api.directory import CallRecord, EventRecord, NotificationRecord, RecordingRecord

__all__ = [
    "AccountRow",
    "CallRow",
    "EventRow",
    "LegRow",
    "NotificationRow",
    "OutboxRow",
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
    """The cause it ended with (Q.850)."""
    sip_code: int | None = None
    """The final response it ended with."""
    annotations: dict[str, Any] = msgspec.field(default_factory=dict)
    """Facts of SIP: source address, trunk, user agent and the like."""


class LegRow(msgspec.Struct, frozen=True, kw_only=True):
    """One of our dialogs; key ``call_sid`` and ``leg``."""

    call_sid: str
    leg: str
    role: Literal["caller", "callee"]
    sip_call_id: str
    worker: str = ""
    created_at: datetime
    timeline: dict[str, Any] = {}
    """What happened when; seconds since the INVITE."""


class RecordingRow(RecordingRecord, frozen=True, kw_only=True):
    """A recording; key ``sid``."""

    account_sid: str = ""
    path: str = ""
    """Of the finished file, below the recordings' folder."""
    raw_files: tuple[str, ...] = ()
    """What it is made of; what is still there after a crash can be finished."""
    callback_url: str = ""
    callback_method: Literal["GET", "POST"] = "POST"
    callback_events: tuple[str, ...] = ()


class NotificationRow(NotificationRecord, frozen=True, kw_only=True):
    """A warning or an error; key ``sid``."""

    line: int = 0
    """In the document; 0 where unknown."""
    column: int = 0


class EventRow(EventRecord, frozen=True, kw_only=True):
    """One request to the application and its answer; key ``call_sid`` and ``sequence``."""

    call_sid: str
    sequence: int
    """Grows within a call; their order."""
    kind: str
    """``document``, ``action``, ``status`` and the like."""


class OutboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """A callback that is owed; key ``id``."""

    id: str
    call_sid: str
    sequence: int
    """Grows with each callback of this node, also across restarts."""
    url: str
    method: Literal["GET", "POST"]
    params: tuple[tuple[str, str], ...]
    token: str | None
    """The idempotency token, the same on every try."""
    created_at: datetime
    tries: int = 0
    tried_at: datetime | None = None
    settled_at: datetime | None = None
    """When it was delivered or given up; None while it is owed."""
    error: str = ""
    """Why the last try failed."""


class RegistrationRow(msgspec.Struct, frozen=True, kw_only=True):
    """Where a user can be reached (RFC 3261 §10); key ``aor``, ``contact``, ``instance``, ``reg_id``."""

    aor: str
    contact: str
    instance: str = ""
    """``+sip.instance`` (RFC 5626), and which of its flows; 0 where it has none."""
    reg_id: int = 0
    call_id: str
    cseq: int
    expires_at: datetime
    path: tuple[str, ...] = ()
    """RFC 3327, in the order of the request."""
    received: str = ""
    """Where the request came from, and is to be answered to: ``udp:192.0.2.1:5060``."""
    listener: int = 0
    """At which of our listening points, by its place in the configuration."""
    user_agent: str = ""
    q: float = 1.0


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """The account of this node, made once; key ``sid``."""

    sid: str
    auth_token: str
    created_at: datetime

    def __repr__(self) -> str:
        return f"AccountRow(sid={self.sid!r})"


Record = CallRow | LegRow | RecordingRow | NotificationRow | EventRow | OutboxRow | RegistrationRow
"""What can be put."""
