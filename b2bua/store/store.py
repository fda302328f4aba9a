"""The store: records are put without waiting, promised where it matters, and read by those who ask.

``put`` takes a record and returns at once; it is committed within some hundredths of a second, in the order
of the puts. ``keep`` returns when the record is committed, for what was promised to somebody. Who reads sees
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
    LegRow,
    OutboxRow,
    Record,
    RecordingRow,
    RegistrationRow,
)
from b2bua.store.retention import Pruned, prune
from b2bua.store.rows import KEEP_LIMIT_S, Rows, committed
from b2bua.store.stored_directory import StoredDirectory
from b2bua.store.tables import TABLES, account, calls, legs, outbox, registrations
from b2bua.store.writer import Writer
from b2bua.watch import Watch

__all__ = ["Pruned", "Store"]

CLOSE_LIMIT_S: Final = 5.0


class Store:
    """See the module's docstring.

    Args:
        database: see ``open``.
        watch: of the process's background tasks.
    """

    def __init__(self, database: Database, watch: Watch) -> None:
        self._database = database
        self._writer = Writer(database, watch)
        self._rows = Rows(database, self._writer)
        self.directory = StoredDirectory(self._rows)
        """What the REST API reads."""

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
        return committed(self._writer.promise(_row(record)), limit_s)

    async def flush(self, limit_s: float = KEEP_LIMIT_S) -> bool:
        """See ``Rows``."""
        return await self._rows.flush(limit_s)

    def forget(self, record: Record) -> None:
        """Delete the row with the key of ``record``; soon, in the order of the puts."""
        table, row = _row(record)
        which = [column == row[column.key] for column in table.primary_key]
        self._writer.delete(delete(table).where(*which))

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
        return await self._rows.all(LegRow, query)

    async def unfinished_calls(self) -> tuple[CallRow, ...]:
        """Calls that have not ended; at the start of the only node: those that its predecessor died with."""
        return await self._rows.all(
            CallRow, select(calls).where(calls.c.ended_at.is_(None)).order_by(calls.c.created_at)
        )

    async def owed_callbacks(self) -> tuple[OutboxRow, ...]:
        """Callbacks that are not settled, in their order."""
        query = select(outbox).where(outbox.c.settled_at.is_(None)).order_by(outbox.c.sequence)
        return await self._rows.all(OutboxRow, query)

    async def registrations(self, aor: str | None = None) -> tuple[RegistrationRow, ...]:
        """Bindings of a user, or of all, also those that have expired; the preferred first."""
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
            older_than: calls that ended, recordings and settled callbacks that were made before.
            delete_sound: deletes the file of a recording, before its row goes: a file without a row could
                never be found again. An OSError of it leaves that recording for the next time. Called in a
                thread.
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
