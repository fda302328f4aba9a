"""The database behind the store: SQLite in a file, or PostgreSQL; connected, set up and brought up to date.

SQLite runs with a write-ahead log and ``synchronous=NORMAL``: what is committed survives the death of the
process; the death of the machine may cost the last commits, but never the database.
"""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from b2bua.core.errors import CapacityError, ConfigError

__all__ = ["Database"]

BUSY_TIMEOUT_MS: Final = 5000
"""For another process (a backup, an operator's query) to let go of SQLite's lock."""
WAIT_S: Final = 5.0
"""For a connection that others use."""

_LOCK: Final = 0x62326275
"""PostgreSQL's advisory lock that nodes take while they change what they share."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
)


class Database:
    """An engine whose tables are those of this version.

    Args:
        engine: see ``open``.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"

    @classmethod
    async def open(cls, url: str) -> "Database":
        """Connect, make the file where there is none, run the migrations.

        Args:
            url: ``sqlite:///path`` or ``postgresql://user:password@host/name``.

        Raises:
            ConfigError: a URL of another kind, a database that cannot be opened, one of a later version.
        """
        target = _target(url)
        if target.drivername.startswith("sqlite"):
            await asyncio.to_thread(_prepare_file, Path(target.database or ""))
        database = cls(_sqlite(target) if target.drivername.startswith("sqlite") else _postgresql(target))
        try:
            await database._migrate()
        except (DBAPIError, OSError, TypeError) as error:  # TypeError: a parameter that the driver has not
            await database.close()
            raise ConfigError(f"storage: cannot open {target.render_as_string()}: {error}") from error
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Give up all connections."""
        await self.engine.dispose()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed in the end, undone on an exception."""
        async with self.engine.connect() as connection:
            # SQLite: the lock is taken now, not with the first change, when it might be too late to wait.
            await connection.execution_options(b2bua_begin="BEGIN IMMEDIATE")
            async with connection.begin():
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """For one SELECT. On SQLite that needs no BEGIN, which would be three switches of threads more.

        Raises:
            CapacityError: too many wait for a connection.
        """
        try:
            async with self.engine.connect() as connection:
                yield await connection.execution_options(b2bua_begin="")
        except PoolTimeout as error:
            raise CapacityError("the database has too much to do") from error

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[AsyncConnection]:
        """The same, while no other node does so."""
        async with self.writing() as connection:
            if not self.is_sqlite:
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            yield connection

    async def _migrate(self) -> None:
        from b2bua.store.migrations.run import upgrade  # alembic: only needed here, and slow to import

        async with self.alone() as connection:
            await connection.run_sync(upgrade)


def _target(url: str) -> URL:
    try:
        target = make_url(url)
    except ArgumentError as error:
        raise ConfigError("storage: the database is not a URL") from error
    match target.drivername:
        case "sqlite" | "sqlite+aiosqlite":
            if not target.database or target.database == ":memory:":
                raise ConfigError("storage: SQLite needs a file: sqlite:///path")
            return target.set(drivername="sqlite+aiosqlite")
        case "postgresql" | "postgres" | "postgresql+asyncpg":
            target = target.set(drivername="postgresql+asyncpg")
            if ssl := target.query.get("sslmode"):  # libpq's name, which everybody's URLs have
                target = target.difference_update_query(["sslmode"]).update_query_dict({"ssl": ssl})
            return target
    raise ConfigError(f"storage: {target.drivername} is not supported; sqlite or postgresql are")


def _prepare_file(path: Path) -> None:
    """Make the file where there is none, with its kind of journal.

    Of several nodes that start at once on a new file all but one are refused that change, without SQLite
    waiting for its turn.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # It holds the account's token and what people dialled: for nobody else to read.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise ConfigError(f"storage: cannot open {path}: {error.strerror}") from error
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    return  # whoever opens it next says what is wrong with it
                time.sleep(0.02)


def _sqlite(target: URL) -> AsyncEngine:
    engine = create_async_engine(target, pool_size=4, max_overflow=0, pool_timeout=WAIT_S)
    event.listen(engine.sync_engine, "connect", _set_pragmas)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _set_pragmas(connection: Any, _record: object) -> None:
    # The driver's own idea of when a transaction begins leaves changes of tables outside of it.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    if statement := connection.get_execution_options().get("b2bua_begin", "BEGIN"):
        connection.exec_driver_sql(statement)


def _postgresql(target: URL) -> AsyncEngine:
    return create_async_engine(
        target,
        pool_size=4,
        max_overflow=4,
        pool_pre_ping=True,
        pool_timeout=WAIT_S,
        connect_args={"timeout": 5, "command_timeout": 30},
    )
