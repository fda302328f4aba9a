"""One task that writes the records put by the node, in order and in batches, and retries until written.

Code that puts a record never waits for the database, and errors of the database are not raised into a call.
While the database is unavailable, records gather here; a record that itself cannot be stored is logged and
dropped, so that it does not delay the others.
"""

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Delete, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.sql.dml import Insert

from b2bua.store.database import Database
from b2bua.store.tables import TABLES
from b2bua.watch import Watch

__all__ = ["BATCH", "MAX_PENDING", "Writer"]

BATCH: Final = 200
"""The most rows in one transaction."""

GATHER_S: Final = 0.05
"""How long the first row of a batch waits for others: half of the 0.1 s that kill -9 may lose."""
_READERS_S: Final = 0.025
"""How long somebody who reads waits for those who want to be read as well."""

MAX_PENDING: Final = 100_000
"""The most rows that wait for an unavailable database; beyond it only promised changes are accepted."""

_FIRST_PAUSE_S: Final = 0.1
_MAX_PAUSE_S: Final = 5.0

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Change:
    """A row to be put or a statement to be run, with the future of the code that waits for it."""

    table: Table | None
    row: dict[str, Any] | None = None
    statement: Delete | None = None
    done: asyncio.Future[bool] | None = None


class Writer:
    """Writes changes to the database in the background, in order. Thread: loop.

    Args:
        database: the database to write to.
        watch: supervises the process's background tasks.
    """

    def __init__(self, database: Database, watch: Watch) -> None:
        self._database = database
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Change] = deque()
        self._waiting_since = 0.0
        """When the first of them was put, in the loop's time, or earlier."""
        self._working: list[_Change] = []
        self._something = asyncio.Event()
        self._hurry = asyncio.Event()
        self._closing = False
        self._trouble = 0
        self._dropped = 0
        self._statements = {table: _upsert(table, database.is_sqlite) for table in TABLES.values()}
        self._task = watch.run("the store's writer", self._write, ends=True)

    def __len__(self) -> int:
        """Return the number of changes that are not written yet."""
        return len(self._waiting) + len(self._working)

    @property
    def is_in_trouble(self) -> bool:
        """True while the database does not accept writes."""
        return self._trouble > 0

    def put(self, table: Table, row: dict[str, Any]) -> None:
        """Write ``row`` soon."""
        if len(self._waiting) >= MAX_PENDING:
            self._dropped += 1
            if self._dropped == 1:
                _log.error("store: too many rows wait; dropping what is not promised")
            return
        self._add(_Change(table, row))

    def delete(self, statement: Delete) -> None:
        """Delete rows soon, in order with the puts."""
        if len(self._waiting) < MAX_PENDING:
            self._add(_Change(None, statement=statement))

    def promise(self, change: tuple[Table, dict[str, Any]] | Delete | None) -> "asyncio.Future[bool]":
        """Write a row or a deletion at once; for None, only wait until everything put before is written.

        None hurries the writer only a little: many readers use it, and a transaction for each of them would
        cost the running calls more than the wait costs the readers.

        Returns:
            A future that is True once the change is committed, or False if it cannot be.
        """
        done: asyncio.Future[bool] = self._loop.create_future()
        match change:
            case None:
                self._add(_Change(None, done=done))
                self._loop.call_later(_READERS_S, self._hurry.set)
            case (table, row):
                self._add(_Change(table, row, done=done))
            case _:
                self._add(_Change(None, statement=change, done=done))
        if change is not None:
            self._hurry.set()
        return done

    async def close(self, limit_s: float) -> int:
        """Write everything, then end.

        Args:
            limit_s: seconds after which a database that does not respond is given up.

        Returns:
            The number of changes that were lost.
        """
        self._closing = True
        self._something.set()
        self._hurry.set()
        await asyncio.wait((self._task.task,), timeout=limit_s)
        await self._task.close()
        lost = [*self._working, *self._waiting]
        for change in lost:
            _settle(change, False)
        if lost:
            _log.error("store: rows were lost at the end", extra={"count": len(lost)})
        return len(lost)

    def _add(self, change: _Change) -> None:
        if not self._waiting:
            self._waiting_since = self._loop.time()
        self._waiting.append(change)
        self._something.set()
        if len(self._waiting) >= BATCH:
            self._hurry.set()

    async def _write(self) -> None:
        while True:
            if self._working:  # the batch that was being written when the task was interrupted
                await self._commit_whatever_it_takes()
                self._working = []
            if not self._waiting:
                if self._closing:
                    return
                self._something.clear()
                self._hurry.clear()
                await self._something.wait()
            await self._gather()
            self._working = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    async def _gather(self) -> None:
        if len(self._waiting) >= BATCH:
            return
        try:
            async with asyncio.timeout_at(self._waiting_since + GATHER_S):
                await self._hurry.wait()
        except TimeoutError:
            pass
        if len(self._waiting) <= BATCH and not self._closing:
            self._hurry.clear()

    async def _commit_whatever_it_takes(self) -> None:
        while True:
            try:
                await self._commit(self._working)
            except Exception as error:  # boundary of the queue: handles any error (_is_its_own_fault)
                if _is_its_own_fault(error):
                    await self._commit_one_by_one()
                    return
                await self._pause(error)
            else:
                self._well_again()
                for change in self._working:
                    _settle(change, True)
                return

    async def _commit_one_by_one(self) -> None:
        while self._working:
            change = self._working[0]
            try:
                await self._commit([change])
            except Exception as error:
                if not _is_its_own_fault(error):
                    await self._pause(error)
                    continue
                name = change.table.name if change.table is not None else "deletion"
                # Without the error's text, which may contain the row and thus telephone numbers.
                extra = {"table": name, "error": type(getattr(error, "orig", None) or error).__name__}
                _log.error("store: a row cannot be stored and is dropped", extra=extra)
                _settle(change, False)
            else:
                _settle(change, True)
            self._working.pop(0)
        self._well_again()

    async def _commit(self, changes: Sequence[_Change]) -> None:
        if any(change.row is not None or change.statement is not None for change in changes):
            await self._database.write(partial(self._carry_out, changes))

    def _carry_out(self, changes: Sequence[_Change], connection: Connection) -> None:
        # Thread: the database's.
        rows: dict[Table, dict[tuple[Any, ...], dict[str, Any]]] = {}
        for change in changes:
            if change.statement is not None:
                self._put(connection, rows)
                rows.clear()
                connection.execute(change.statement)
            elif change.table is not None and change.row is not None:
                key = tuple(change.row[column.key] for column in change.table.primary_key)
                # Only the latest state of a row is written, at the position of the first.
                rows.setdefault(change.table, {})[key] = change.row
        self._put(connection, rows)

    def _put(self, connection: Connection, rows: dict[Table, dict[tuple[Any, ...], dict[str, Any]]]) -> None:
        for table, statement in self._statements.items():  # referenced tables come first
            if table in rows:
                connection.execute(statement, list(rows[table].values()))

    async def _pause(self, error: Exception) -> None:
        self._trouble += 1
        if self._trouble == 1:
            _log.error("store: cannot write; trying again", extra={"error": type(error).__name__})
        await asyncio.sleep(min(_FIRST_PAUSE_S * 2 ** min(self._trouble - 1, 10), _MAX_PAUSE_S))

    def _well_again(self) -> None:
        if self._trouble:
            _log.warning("store: writing again", extra={"tries": self._trouble, "dropped": self._dropped})
        self._trouble = self._dropped = 0


def _settle(change: _Change, done: bool) -> None:
    if change.done is not None and not change.done.done():
        change.done.set_result(done)


def _upsert(table: Table, is_sqlite: bool) -> Insert:
    """Return a statement that inserts a row or replaces the one with the same key."""
    insert = sqlite.insert(table) if is_sqlite else postgresql.insert(table)
    keys = list(table.primary_key)
    fresh = {column.key: insert.excluded[column.key] for column in table.columns if column not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=fresh)


def _is_its_own_fault(error: Exception) -> bool:
    """Return whether the row causes the error, so that retrying is useless; else the database causes it."""
    if isinstance(error, (OSError, PoolTimeout, OperationalError)):  # TimeoutError is an OSError
        return False
    if not isinstance(error, DBAPIError):
        return True
    if isinstance(error, (DataError, IntegrityError)):
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state:  # PostgreSQL: data, integrity, names and types
        return str(state)[:2] in ("22", "23", "42")
    if isinstance(error.orig, (sqlite3.InterfaceError, sqlite3.ProgrammingError)):  # values of a wrong type
        return True
    # asyncpg rejects a bad value before sending it, with an error that is also a ValueError.
    return isinstance(error.orig.__cause__ if error.orig else None, (TypeError, ValueError))
