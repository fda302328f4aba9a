"""The tables, one for each kind of record, with a column for each of its fields.

The migrations create them; a test compares the two.
"""

import json
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

from b2bua.store.records import (
    AccountRow,
    CallRow,
    ConferenceRow,
    EventRow,
    LegRow,
    NotificationRow,
    OutboxRow,
    QueueRow,
    RecordingRow,
    RegistrationRow,
)

__all__ = [
    "TABLES",
    "Json",
    "Utc",
    "Words",
    "account",
    "calls",
    "conferences",
    "events",
    "legs",
    "metadata",
    "notifications",
    "outbox",
    "queues",
    "recordings",
    "registrations",
]


def storable(text: str) -> str:
    """Replace what a database cannot store: NUL (PostgreSQL), halves of surrogate pairs (not UTF-8)."""
    if text.isascii():
        return text.replace("\0", "\ufffd")
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


class Words(TypeDecorator[str]):
    """Text from peers and applications, with any content."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Convert a value for the database."""
        return None if value is None else storable(value)


class Utc(TypeDecorator[datetime]):
    """A timezone-aware time; in SQLite stored as comparable text in UTC, without a zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a value for the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a value from the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """Any JSON value, stored as text: PostgreSQL's own types reject characters that peers may send."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Convert a value for the database."""
        return None if value is None else storable(json.dumps(value, ensure_ascii=False, default=str))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Convert a value from the database."""
        return None if value is None else msgspec.json.decode(value)


metadata: Final = MetaData()


def _text(name: str, *, key: str | None = None, primary_key: bool = False) -> Column[str]:
    return Column(name, Words, key=key or name, primary_key=primary_key, nullable=False)


def _maybe(name: str) -> Column[str]:
    return Column(name, Words)


def _time(name: str, *, nullable: bool = False) -> Column[datetime]:
    return Column(name, Utc, nullable=nullable)


def _number(
    name: str, *, key: str | None = None, nullable: bool = False, primary_key: bool = False
) -> Column[int]:
    return Column(
        name, Integer, key=key or name, nullable=nullable, primary_key=primary_key, autoincrement=False
    )


def _json(name: str) -> Column[Any]:
    return Column(name, Json, nullable=False)


def _of_call(*, primary_key: bool = False) -> Column[str]:
    call = ForeignKey("calls.sid", ondelete="CASCADE")
    return Column("call_sid", Words, call, primary_key=primary_key, nullable=False)


account = Table(
    "account",
    metadata,
    _text("sid", primary_key=True),
    _text("auth_token"),
    _time("created_at"),
)

calls = Table(
    "calls",
    metadata,
    _text("sid", primary_key=True),
    _text("account_sid"),
    _maybe("parent_sid"),
    # FROM and TO are SQL keywords; with these names an operator need not quote the columns.
    _text("from_"),
    _text("to_", key="to"),
    _text("direction"),
    _text("status"),
    _maybe("caller_name"),
    _maybe("forwarded_from"),
    _maybe("answered_by"),
    _maybe("sip_call_id"),
    _time("created_at"),
    _time("updated_at"),
    _time("started_at", nullable=True),
    _time("answered_at", nullable=True),
    _time("ended_at", nullable=True),
    _number("duration_s", nullable=True),
    _maybe("hangup_by"),
    _number("q850", nullable=True),
    _number("sip_code", nullable=True),
    _json("annotations"),
)
Index("calls_newest", calls.c.created_at, calls.c.sid)
Index("calls_parent", calls.c.parent_sid)
Index("calls_from", calls.c.from_, calls.c.created_at)
Index("calls_to", calls.c.to, calls.c.created_at)
Index("calls_sip_call_id", calls.c.sip_call_id)

legs = Table(
    "legs",
    metadata,
    _of_call(primary_key=True),
    _text("leg", primary_key=True),
    _text("role"),
    _text("sip_call_id"),
    _text("worker"),
    _time("created_at"),
    _json("timeline"),
)
Index("legs_sip_call_id", legs.c.sip_call_id)

recordings = Table(
    "recordings",
    metadata,
    _text("sid", primary_key=True),
    _text("account_sid"),
    # No foreign key: a recording stays when its call is deleted.
    _text("call_sid"),
    _maybe("conference_sid"),
    _text("status"),
    _text("source"),
    _text("track"),
    _number("channels"),
    _time("created_at"),
    _time("updated_at"),
    _time("started_at", nullable=True),
    _number("duration_s", nullable=True),
    _number("error_code", nullable=True),
    _text("path"),
    _json("raw_files"),
    _text("callback_url"),
    _text("callback_method"),
    _json("callback_events"),
)
Index("recordings_newest", recordings.c.created_at, recordings.c.sid)
Index("recordings_call", recordings.c.call_sid)

notifications = Table(
    "notifications",
    metadata,
    _text("sid", primary_key=True),
    _of_call(),
    _number("number"),
    _text("severity"),
    _text("text"),
    _number("line"),
    _number("column_", key="column"),
    _text("request_url"),
    _text("request_method"),
    _time("created_at"),
)
Index("notifications_newest", notifications.c.created_at, notifications.c.sid)
Index("notifications_call", notifications.c.call_sid)

events = Table(
    "events",
    metadata,
    _of_call(primary_key=True),
    Column("sequence", BigInteger, nullable=False, primary_key=True, autoincrement=False),
    _text("kind"),
    _time("created_at"),
    _text("method"),
    _text("url"),
    _json("params"),
    _number("status", nullable=True),
    _number("elapsed_ms", nullable=True),
    _text("content_type"),
    _text("body"),
)

outbox = Table(
    "outbox",
    metadata,
    _text("id", primary_key=True),
    # No foreign key: a callback remains owed even if the call is deleted.
    _text("call_sid"),
    Column("sequence", BigInteger, nullable=False),
    _text("url"),
    _text("method"),
    _json("params"),
    _maybe("token"),
    _time("created_at"),
    _number("tries"),
    _time("tried_at", nullable=True),
    _time("settled_at", nullable=True),
    _text("error"),
)
Index("outbox_settled", outbox.c.settled_at, outbox.c.sequence)

conferences = Table(
    "conferences",
    metadata,
    _text("sid", primary_key=True),
    _text("account_sid"),
    _text("friendly_name"),
    _text("status"),
    _time("created_at"),
    _time("updated_at"),
    _maybe("reason_ended"),
    _maybe("call_sid_ending"),
)
Index("conferences_newest", conferences.c.created_at, conferences.c.sid)

queues = Table(
    "queues",
    metadata,
    _text("sid", primary_key=True),
    _text("account_sid"),
    _text("friendly_name"),
    _number("max_size"),
    _time("created_at"),
    _time("updated_at"),
)

registrations = Table(
    "registrations",
    metadata,
    _text("aor", primary_key=True),
    _text("contact", primary_key=True),
    _text("instance", primary_key=True),
    _number("reg_id", primary_key=True),
    _text("call_id"),
    Column("cseq", BigInteger, nullable=False),
    _time("expires_at"),
    _json("path"),
    _text("received"),
    _number("listener"),
    _text("user_agent"),
    Column("q", Float, nullable=False),
)

TABLES: Final[dict[type[msgspec.Struct], Table]] = {
    AccountRow: account,
    CallRow: calls,
    LegRow: legs,
    RecordingRow: recordings,
    NotificationRow: notifications,
    EventRow: events,
    OutboxRow: outbox,
    ConferenceRow: conferences,
    QueueRow: queues,
    RegistrationRow: registrations,
}
"""The table of each kind of record, ordered so that referenced tables come first."""
