"""The queries: pages of lists, single rows, and what a starting node needs.

A page begins where the previous one ended, so that rows added in between neither repeat nor hide any. Rows
with the same time are ordered by their identifiers.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Select, Table, literal, select, tuple_

from b2bua.store.tables import TABLES, Utc, Words, calls, conferences, events, notifications, recordings
from b2bua.web.api.directory import CallQuery, ConferenceQuery, NotificationQuery, RecordingQuery, TimeRange

__all__ = [
    "after_sequence",
    "call_filters",
    "conference_filters",
    "events_page",
    "newest",
    "notification_filters",
    "older_than",
    "record",
    "recording_filters",
    "token_of",
]

R = TypeVar("R", bound=msgspec.Struct)

Filters = Sequence[ColumnElement[bool]]

# SQLAlchemy's names are a subclass of str, which msgspec does not accept.
_KEYS: Final = {kind: tuple(map(str, table.columns.keys())) for kind, table in TABLES.items()}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TOKEN: Final = re.compile(r"([0-9]{1,17})\.([A-Z]{2}[0-9a-f]{32})")
_SEQUENCE: Final = re.compile(r"[0-9]{1,9}")


def record(kind: type[R], row: Any) -> R:
    """Return the record of a row with the columns of ``kind``'s table."""
    return msgspec.convert(dict(zip(_KEYS[kind], row, strict=True)), kind, builtin_types=(datetime,))


def token_of(created_at: datetime, sid: str) -> str:
    """Return the token for the page after one that ends with this row."""
    return f"{(created_at - _EPOCH) // timedelta(microseconds=1)}.{sid}"


def older_than(table: Table, token: str) -> ColumnElement[bool]:
    """Return the condition for rows that follow, on later pages, the one from which ``token`` was made.

    Raises:
        ValueError: the token was not made by ``token_of``.
    """
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise ValueError("not a page token")
    created_at = _EPOCH + timedelta(microseconds=int(match[1]))
    place = tuple_(literal(created_at, Utc), literal(match[2], Words))
    return tuple_(table.c.created_at, table.c.sid) < place


def newest(table: Table, filters: Filters, *, size: int, token: str | None) -> Select[Any]:
    """Return the query for a page plus one row, newest first."""
    query = select(table).where(*filters)
    if token is not None:
        query = query.where(older_than(table, token))
    return query.order_by(table.c.created_at.desc(), table.c.sid.desc()).limit(size + 1)


def after_sequence(token: str | None) -> int:
    """Return the last sequence number of the previous page; -1 for the first page.

    Raises:
        ValueError: the token is not a sequence number.
    """
    if token is None:
        return -1
    if not _SEQUENCE.fullmatch(token):
        raise ValueError("not a page token")
    return int(token)


def events_page(call_sid: str, *, size: int, token: str | None) -> Select[Any]:
    """Return the query for a page of a call's events plus one row, oldest first."""
    filters = (events.c.call_sid == call_sid, events.c.sequence > after_sequence(token))
    return select(events).where(*filters).order_by(events.c.sequence).limit(size + 1)


def call_filters(query: CallQuery) -> Filters:
    """Return the conditions that the query sets for calls."""
    return [
        *_equal(calls, to=query.to, from_=query.from_, status=query.status, parent_sid=query.parent_sid),
        *_within(calls.c.started_at, query.started),
        *_within(calls.c.ended_at, query.ended),
    ]


def recording_filters(query: RecordingQuery) -> Filters:
    """Return the conditions that the query sets for recordings."""
    return [
        *_equal(recordings, call_sid=query.call_sid, conference_sid=query.conference_sid),
        *_within(recordings.c.created_at, query.created),
    ]


def conference_filters(query: ConferenceQuery) -> Filters:
    """Return the conditions that the query sets for conferences."""
    return [
        *_equal(conferences, friendly_name=query.friendly_name, status=query.status),
        *_within(conferences.c.created_at, query.created),
        *_within(conferences.c.updated_at, query.updated),
    ]


def notification_filters(query: NotificationQuery) -> Filters:
    """Return the conditions that the query sets for notifications."""
    return [
        *_equal(notifications, call_sid=query.call_sid, severity=query.severity),
        *_within(notifications.c.created_at, query.created),
    ]


def _equal(table: Table, **wanted: str | None) -> Filters:
    return [table.c[key] == value for key, value in wanted.items() if value is not None]


def _within(column: ColumnElement[Any], times: TimeRange) -> Filters:
    since = [] if times.since is None else [column >= times.since]
    return since + ([] if times.before is None else [column < times.before])
