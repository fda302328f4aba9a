"""The store: records are put without waiting, with a confirmed commit where it matters, and read back.

``put`` takes a record and returns at once; the record is committed within about 0.05 s, in the
order of the puts. ``keep`` waits for the commit, for records that a peer or client relies on. A reader sees
everything that was put before. Thread: loop.
"""

import secrets
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Table, delete, select

from b2bua.store import queries
from b2bua.store.database import Database
from b2bua.store.records import (
    AccountRow,
    CallRow,
    ConferenceRow,
    LegRow,
    OutboxRow,
    QueueRow,
    Record,
    RecordingRow,
    RegistrationRow,
)
from b2bua.store.retention import Pruned, prune
from b2bua.store.rows import KEEP_LIMIT_S, Rows, committed
from b2bua.store.stored_directory import StoredDirectory
from b2bua.store.tables import TABLES, account, calls, conferences, legs, outbox, queues, registrations
from b2bua.store.writer import Writer
from b2bua.watch import Watch

__all__ = ["Pruned", "Store"]

CLOSE_LIMIT_S: Final = 5.0


class Store:
    """Writes and reads the node's records.

    Args:
        database: as opened by ``open``.
        watch: supervises the process's background tasks.
        wait_s: how long readers wait for what was put before.
    """

    def __init__(self, database: Database, watch: Watch, wait_s: float = KEEP_LIMIT_S) -> None:
        self._database = database
        self._writer = Writer(database, watch)
        self._rows = Rows(database, self._writer, wait_s)
        self.directory = StoredDirectory(self._rows)
        """The records that the REST API reads."""

    @classmethod
    async def open(cls, url: str, watch: Watch | None = None, *, wait_s: float = KEEP_LIMIT_S) -> "Store":
        """Connect, and migrate the tables to this version.

        Args:
            url: ``sqlite:///path`` or ``postgresql://user:password@host/name``.
            watch: supervises the process's background tasks; None: a new one is used.
            wait_s: how long readers wait for what was put before; then they read what there is.

        Raises:
            ConfigError: the database cannot be opened.
        """
        return cls(await Database.open(url), watch or Watch(), wait_s)

    async def close(self, limit_s: float = CLOSE_LIMIT_S) -> int:
        """Write everything that was put, then disconnect.

        Returns:
            The number of rows lost because the database did not accept them within ``limit_s``.
        """
        lost = await self._writer.close(limit_s)
        await self._database.close()
        return lost

    @property
    def is_in_trouble(self) -> bool:
        """True while the database does not accept writes."""
        return self._writer.is_in_trouble

    @property
    def pending(self) -> int:
        """The number of rows that are not committed yet."""
        return len(self._writer)

    # -- writing --------------------------------------------------------------------------------------------

    def put(self, record: Record) -> None:
        """Write ``record`` soon, replacing any other with the same key."""
        self._writer.put(*_row(record))

    def keep(self, record: Record, limit_s: float = KEEP_LIMIT_S) -> Coroutine[Any, Any, bool]:
        """Write ``record`` now. Its place in the order is set by this call, not by the ``await``.

        Returns:
            True once it is committed; False if that took longer than ``limit_s`` (it may still be committed
            later) or failed.
        """
        return committed(self._writer.promise(_row(record)), limit_s)

    async def flush(self, limit_s: float = KEEP_LIMIT_S) -> bool:
        """Commit everything that was put before (``Rows.flush``)."""
        return await self._rows.flush(limit_s)

    def forget(self, record: Record) -> None:
        """Delete the row with the key of ``record`` soon, in order with the puts."""
        table, row = _row(record)
        which = [column == row[column.key] for column in table.primary_key]
        self._writer.delete(delete(table).where(*which))

    # -- queries of the node --------------------------------------------------------------------------------

    async def account(self, sid: str = "") -> AccountRow:
        """Return the account ``sid`` or, for "", this node's own; it is created and stored if missing.

        Raises:
            DBAPIError: the database fails. The call is meant for startup, just after the database was opened.
        """
        return await self._database.write_alone(partial(_account, sid))

    async def legs(self, call_sid: str) -> tuple[LegRow, ...]:
        """Return our dialogs of a call, in the order in which they were created."""
        query = select(legs).where(legs.c.call_sid == call_sid).order_by(legs.c.created_at, legs.c.leg)
        return await self._rows.all(LegRow, query)

    async def unfinished_calls(self) -> tuple[CallRow, ...]:
        """Return calls that have not ended; when the only node starts, its predecessor lost these calls."""
        return await self._rows.all(
            CallRow, select(calls).where(calls.c.ended_at.is_(None)).order_by(calls.c.created_at)
        )

    async def unfinished_conferences(self) -> tuple[ConferenceRow, ...]:
        """Return conferences that have not ended; their calls ended with the previous node."""
        return await self._rows.all(
            ConferenceRow, select(conferences).where(conferences.c.status != "completed")
        )

    async def owed_callbacks(self) -> tuple[OutboxRow, ...]:
        """Return the callbacks that are not settled, in order."""
        query = select(outbox).where(outbox.c.settled_at.is_(None)).order_by(outbox.c.sequence)
        return await self._rows.all(OutboxRow, query)

    async def callbacks_since(self, at: datetime) -> tuple[OutboxRow, ...]:
        """Return the callbacks that were posted since then, settled or not."""
        return await self._rows.all(OutboxRow, select(outbox).where(outbox.c.created_at >= at))

    async def queues(self) -> tuple[QueueRow, ...]:
        """Return all queues, in the order in which they were made."""
        return await self._rows.all(QueueRow, select(queues).order_by(queues.c.created_at, queues.c.sid))

    async def registrations(self, aor: str | None = None) -> tuple[RegistrationRow, ...]:
        """Return the bindings of a user or of all users, including expired ones, in order of preference."""
        query = select(registrations).order_by(
            registrations.c.aor, registrations.c.q.desc(), registrations.c.contact
        )
        return await self._rows.all(
            RegistrationRow, query if aor is None else query.where(registrations.c.aor == aor)
        )

    async def prune(
        self, older_than: datetime, delete_sound: Callable[[RecordingRow], None] | None = None
    ) -> Pruned:
        """Delete what was over before ``older_than``, some hundred rows at a time.

        Args:
            older_than: calls that ended, and recordings and settled callbacks that were created, before this.
            delete_sound: deletes the file of a recording before its row is deleted: a file without a row
                could never be found again. If it raises OSError, the recording is left for the next time.
                Called in a thread.
        """
        return await prune(self._rows, older_than, delete_sound)


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
