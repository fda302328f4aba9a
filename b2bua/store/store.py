"""The store: records are put without waiting, promised where it matters, and read by those who ask.

``put`` takes a record and returns at once; it is committed within some hundredths of a second, in the order
of the puts. ``keep`` returns when the record is committed, for what was promised to somebody. Who reads sees
everything that was put before. Thread: loop.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Delete, Select, Table, delete, select

from b2bua.store import queries
from b2bua.store.database import Database
from b2bua.store.records import (
    AccountRow,
    CallRow,
    EventRow,
    LegRow,
    NotificationRow,
    OutboxRow,
    Record,
    RecordingRow,
    RegistrationRow,
)
from b2bua.store.tables import TABLES, account, calls, legs, notifications, outbox, recordings, registrations
from b2bua.store.writer import Writer
from b2bua.watch import Watch
from b2bua.web.api.directory import (
    CallQuery,
    CallRecord,
    EventRecord,
    NotificationQuery,
    NotificationRecord,
    PageRequest,
    RecordingQuery,
    RecordingRecord,
    Slice,
)

__all__ = ["Pruned", "Store"]

KEEP_LIMIT_S: Final = 2.0
"""How long a promise is waited for; a call goes on without the database rather than with silence."""

CLOSE_LIMIT_S: Final = 5.0

_PRUNE_BATCH: Final = 500

_log = logging.getLogger(__name__)

R = TypeVar("R", bound=msgspec.Struct)


class Pruned(msgspec.Struct, frozen=True):
    """How much was deleted."""

    calls: int
    recordings: int
    callbacks: int


class Store:
    """See the module's docstring, and ``web.api.directory.Directory``, which this is.

    Args:
        database: see ``open``.
        watch: of the process's background tasks.
    """

    def __init__(self, database: Database, watch: Watch) -> None:
        self._database = database
        self._writer = Writer(database, watch)

    @classmethod
    async def open(cls, url: str, watch: Watch | None = None) -> "Store":
        """Connect, and bring the tables up to date.

        Args:
            url: ``sqlite:///path`` or ``postgresql://user:password@host/name``.
            watch: of the process's background tasks; None: nobody asks for it.

        Raises:
            ConfigError: it cannot be opened.
        """
        return cls(await Database.open(url), watch or Watch())

    async def close(self, limit_s: float = CLOSE_LIMIT_S) -> int:
        """Write everything that was put, then disconnect.

        Returns:
            How many rows were lost, because the database did not take them within ``limit_s``.
        """
        lost = await self._writer.close(limit_s)
        await self._database.close()
        return lost

    @property
    def is_in_trouble(self) -> bool:
        """True while the database does not take what it is given."""
        return self._writer.is_in_trouble

    @property
    def pending(self) -> int:
        """Rows that are not committed yet."""
        return len(self._writer)

    # -- writing --------------------------------------------------------------------------------------------

    def put(self, record: Record) -> None:
        """Keep ``record`` in place of any other with its key; soon."""
        self._writer.put(*_row(record))

    def keep(self, record: Record, limit_s: float = KEEP_LIMIT_S) -> Coroutine[Any, Any, bool]:
        """Keep ``record``, now. Its place in the order is that of this call, not of the ``await``.

        Returns:
            True when it is committed. False when it could not be within ``limit_s``: it may be still.
        """
        return _wait(self._writer.promise(_row(record)), limit_s)

    async def flush(self, limit_s: float = KEEP_LIMIT_S) -> bool:
        """Commit what was put before.

        Returns:
            False when it could not be within ``limit_s``.
        """
        return await _wait(self._writer.promise(None), limit_s) if self.pending else True

    async def _delete(self, statement: Delete) -> None:
        await _wait(self._writer.promise(statement), KEEP_LIMIT_S)

    def forget(self, record: Record) -> None:
        """Delete the row with the key of ``record``; soon, in the order of the puts."""
        table, row = _row(record)
        which = [column == row[column.key] for column in table.primary_key]
        self._writer.delete(delete(table).where(*which))

    # -- the directory --------------------------------------------------------------------------------------

    async def calls(self, query: CallQuery, page: PageRequest) -> Slice[CallRecord]:
        """See ``Directory``."""
        return await self._newest(CallRow, queries.call_filters(query), page)

    async def call(self, sid: str) -> CallRow | None:
        """See ``Directory``."""
        return await self._one(CallRow, calls.c.sid == sid)

    async def delete_call(self, sid: str) -> None:
        """See ``Directory``."""
        await self._delete(delete(calls).where(calls.c.sid == sid))

    async def recordings(self, query: RecordingQuery, page: PageRequest) -> Slice[RecordingRecord]:
        """See ``Directory``."""
        return await self._newest(RecordingRow, queries.recording_filters(query), page)

    async def recording(self, sid: str) -> RecordingRow | None:
        """See ``Directory``."""
        return await self._one(RecordingRow, recordings.c.sid == sid)

    async def delete_recording(self, sid: str) -> None:
        """See ``Directory``."""
        await self._delete(delete(recordings).where(recordings.c.sid == sid))

    async def notifications(self, query: NotificationQuery, page: PageRequest) -> Slice[NotificationRecord]:
        """See ``Directory``."""
        return await self._newest(NotificationRow, queries.notification_filters(query), page)

    async def notification(self, sid: str) -> NotificationRow | None:
        """See ``Directory``."""
        return await self._one(NotificationRow, notifications.c.sid == sid)

    async def delete_notification(self, sid: str) -> None:
        """See ``Directory``."""
        await self._delete(delete(notifications).where(notifications.c.sid == sid))

    async def events(self, call_sid: str, page: PageRequest) -> Slice[EventRecord]:
        """See ``Directory``."""
        found = await self._all(EventRow, queries.events_page(call_sid, size=page.size, token=page.token))
        more = len(found) > page.size
        items = found[: page.size]
        return Slice(items=items, next_token=str(items[-1].sequence) if more else None)

    # -- what the node asks ---------------------------------------------------------------------------------

    async def account(self, sid: str = "") -> AccountRow:
        """The account ``sid`` or, for "", this node's own; made now if it is not there, and kept.

        Raises:
            DBAPIError: the database fails. It was opened a moment ago, so that this is for the start.
        """
        return await self._database.write_alone(partial(_account, sid))

    async def legs(self, call_sid: str) -> tuple[LegRow, ...]:
        """Our dialogs of a call, in the order they were made."""
        query = select(legs).where(legs.c.call_sid == call_sid).order_by(legs.c.created_at, legs.c.leg)
        return await self._all(LegRow, query)

    async def unfinished_calls(self) -> tuple[CallRow, ...]:
        """Calls that have not ended; at the start of the only node: those that its predecessor died with."""
        return await self._all(
            CallRow, select(calls).where(calls.c.ended_at.is_(None)).order_by(calls.c.created_at)
        )

    async def unfinished_recordings(self) -> tuple[RecordingRow, ...]:
        """Recordings whose file is not complete."""
        over = ("completed", "absent", "failed")
        query = select(recordings).where(recordings.c.status.not_in(over)).order_by(recordings.c.created_at)
        return await self._all(RecordingRow, query)

    async def owed_callbacks(self) -> tuple[OutboxRow, ...]:
        """Callbacks that are not settled, in their order."""
        query = select(outbox).where(outbox.c.settled_at.is_(None)).order_by(outbox.c.sequence)
        return await self._all(OutboxRow, query)

    async def registrations(self, aor: str | None = None) -> tuple[RegistrationRow, ...]:
        """Bindings of a user, or of all, also those that have expired; the preferred first."""
        query = select(registrations).order_by(
            registrations.c.aor, registrations.c.q.desc(), registrations.c.contact
        )
        return await self._all(
            RegistrationRow, query if aor is None else query.where(registrations.c.aor == aor)
        )

    # -- retention ------------------------------------------------------------------------------------------

    async def prune(
        self, older_than: datetime, delete_sound: Callable[[RecordingRow], None] | None = None
    ) -> Pruned:
        """Delete what was over before ``older_than``, some hundred rows at a time.

        Args:
            older_than: calls that ended, recordings and settled callbacks that were made before.
            delete_sound: deletes the file of a recording, before its row goes: a file without a row could
                never be found again. An OSError of it leaves that recording for the next time. Called in a
                thread.
        """
        ended = (calls.c.ended_at.is_not(None), calls.c.ended_at < older_than)
        settled = (outbox.c.settled_at.is_not(None), outbox.c.created_at < older_than)
        return Pruned(
            recordings=await self._prune_recordings(older_than, delete_sound),
            calls=await self._prune(calls, calls.c.sid, ended),
            callbacks=await self._prune(outbox, outbox.c.id, settled),
        )

    async def _prune(
        self, table: Table, key: ColumnElement[str], which: tuple[ColumnElement[bool], ...]
    ) -> int:
        count = 0
        while True:
            some = select(key).where(*which).limit(_PRUNE_BATCH)
            deleted = await self._delete_here(delete(table).where(key.in_(some)))
            count += deleted
            if deleted < _PRUNE_BATCH:
                return count
            await asyncio.sleep(0)

    async def _prune_recordings(
        self, older_than: datetime, delete_sound: Callable[[RecordingRow], None] | None
    ) -> int:
        count, last = 0, ""
        over = recordings.c.status.in_(("completed", "absent", "failed"))
        while True:
            which = (recordings.c.created_at < older_than, over, recordings.c.sid > last)
            query = select(recordings).where(*which).order_by(recordings.c.sid).limit(_PRUNE_BATCH)
            found = await self._all(RecordingRow, query)
            gone = await asyncio.to_thread(_delete_sounds, found, delete_sound)
            await self._delete_here(delete(recordings).where(recordings.c.sid.in_(gone)))
            count += len(gone)
            if len(found) < _PRUNE_BATCH:
                return count
            last = found[-1].sid

    async def _delete_here(self, statement: Delete) -> int:
        return await self._database.write(lambda connection: connection.execute(statement).rowcount)

    # -- reading --------------------------------------------------------------------------------------------

    async def _newest(self, kind: type[R], filters: queries.Filters, page: PageRequest) -> Slice[Any]:
        query = queries.newest(TABLES[kind], filters, size=page.size, token=page.token)
        found: tuple[Any, ...] = await self._all(kind, query)
        items = found[: page.size]
        more = len(found) > page.size
        return Slice(
            items=items, next_token=queries.token_of(items[-1].created_at, items[-1].sid) if more else None
        )

    async def _one(self, kind: type[R], which: ColumnElement[bool]) -> R | None:
        found = await self._all(kind, select(TABLES[kind]).where(which))
        return found[0] if found else None

    async def _all(self, kind: type[R], query: Select[Any]) -> tuple[R, ...]:
        await self.flush()
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return tuple(queries.record(kind, row) for row in rows)


def _account(sid: str, connection: Connection) -> AccountRow:
    query = select(account).order_by(account.c.created_at, account.c.sid).limit(1)
    row = connection.execute(query.where(account.c.sid == sid) if sid else query).first()
    if row is not None:
        return queries.record(AccountRow, row)
    made = AccountRow(
        sid=sid or f"AC{secrets.token_hex(16)}",
        auth_token=secrets.token_hex(16),
        created_at=datetime.now(UTC),
    )
    connection.execute(account.insert(), msgspec.structs.asdict(made))
    return made


def _row(record: Record) -> tuple[Table, dict[str, Any]]:
    return TABLES[type(record)], msgspec.structs.asdict(record)


async def _wait(promise: "asyncio.Future[bool]", limit_s: float) -> bool:
    try:
        async with asyncio.timeout(limit_s):
            return await asyncio.shield(promise)
    except TimeoutError:
        return False


def _delete_sounds(
    found: tuple[RecordingRow, ...], delete_sound: Callable[[RecordingRow], None] | None
) -> list[str]:
    """Whose rows may go."""
    return [each.sid for each in found if _delete_sound(each, delete_sound)]


def _delete_sound(recording: RecordingRow, delete_sound: Callable[[RecordingRow], None] | None) -> bool:
    if delete_sound is None:
        return True
    try:
        delete_sound(recording)
    except OSError:
        _log.exception(
            "store: the sound of a recording cannot be deleted", extra={"recording": recording.sid}
        )
        return False
    return True
