"""The database behind the store, SQLite in a file or PostgreSQL: connection, setup and migration.

SQLite runs with a write-ahead log and ``synchronous=NORMAL``: commits survive a crash of the process; a crash
of the machine may lose the last commits, but never corrupts the database.
"""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from b2bua.core.errors import CapacityError, ConfigError

__all__ = ["Database", "reach"]

T = TypeVar("T")

BUSY_TIMEOUT_MS: Final = 5000
"""How long to wait for another process (a backup, an operator's query) to release SQLite's lock."""
WAIT_S: Final = 5.0
"""How long to wait for a connection in use elsewhere."""

_READERS: Final = 3

_LOCK: Final = 0x62326275
"""The PostgreSQL advisory lock that nodes hold while they change shared data."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
)


class Database:
    """A database whose tables are those of this version.

    Work on a connection is passed as a function: for SQLite, which never waits for a network, the whole
    function runs in a thread; for PostgreSQL it runs in the loop.

    Args:
        engine: as made by ``open``.
    """

    def __init__(self, engine: Engine | AsyncEngine) -> None:
        self.engine = engine
        self.is_sqlite = isinstance(engine, Engine)
        # SQLite allows one writer at a time: a writer that queues here need not poll for the file's lock.
        self._writing = ThreadPoolExecutor(1, "store-write")
        self._reading = ThreadPoolExecutor(_READERS, "store-read")

    @classmethod
    async def open(cls, url: str) -> "Database":
        """Connect, create the file if there is none, and run the migrations.

        Args:
            url: ``sqlite:///path`` or ``postgresql://user:password@host/name``.

        Raises:
            ConfigError: the URL is of another kind, the database cannot be opened, or it belongs to a later
                version.
        """
        target = _target(url)
        if target.drivername == "sqlite":
            await asyncio.to_thread(_prepare_file, Path(target.database or ""))
        database = cls(_sqlite(target) if target.drivername == "sqlite" else _postgresql(target))
        try:
            await database._migrate()
        except (DBAPIError, OSError, TypeError) as error:  # TypeError: a parameter unknown to the driver
            await database.close()
            raise ConfigError(f"storage: cannot open {target.render_as_string()}: {error}") from error
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Close all connections."""
        for threads in (self._writing, self._reading):
            threads.shutdown(wait=False, cancel_futures=True)
        if isinstance(self.engine, AsyncEngine):
            await self.engine.dispose()
        else:
            self.engine.dispose()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Do ``work`` in a transaction that is committed at the end, or rolled back on an exception."""
        if isinstance(self.engine, AsyncEngine):
            async with self.engine.begin() as connection:
                return await connection.run_sync(work)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writing, _write, self.engine, work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Do ``work``, which is a single SELECT; in SQLite without a transaction.

        Raises:
            CapacityError: there are too many other readers, or the query takes too long.
        """
        try:
            if isinstance(self.engine, AsyncEngine):
                async with self.engine.connect() as connection:
                    return await connection.run_sync(work)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(WAIT_S):
                return await loop.run_in_executor(self._reading, _read, self.engine, work)
        except (PoolTimeout, TimeoutError) as error:
            raise CapacityError("too many database queries are waiting") from error

    async def write_alone(self, work: Callable[[Connection], T]) -> T:
        """Do ``work`` as ``write`` does, while no other node uses ``write_alone``."""

        def locked(connection: Connection) -> T:
            if not self.is_sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            return work(connection)

        return await self.write(locked)

    async def _migrate(self) -> None:
        from b2bua.store.migrations.run import upgrade  # alembic: only needed here, and slow to import

        await self.write_alone(upgrade)


def _write(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.connect() as connection:
        # Take the lock now, not with the first change, when it might be too late to wait.
        connection.execution_options(b2bua_begin="BEGIN IMMEDIATE")
        with connection.begin():
            return work(connection)


def _read(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.connect() as connection:
        return work(connection.execution_options(b2bua_begin=""))


async def reach(url: str) -> str:
    """Connect as a node would, without creating or changing anything.

    Returns:
        A description of the database, without a password.

    Raises:
        ConfigError: a node could not use the database.
    """
    target = _target(url)
    shown = target.render_as_string()
    if target.drivername == "sqlite" and not _exists(Path(target.database or "")):
        return f"{shown}, which the first start makes"
    database = Database(_sqlite(target) if target.drivername == "sqlite" else _postgresql(target))
    try:
        version = await database.read(lambda connection: connection.dialect.server_version_info)
    except (DBAPIError, OSError, TypeError) as error:
        raise ConfigError(f"storage: cannot open {shown}: {error}") from error
    finally:
        await database.close()
    return f"{shown}, version {'.'.join(map(str, version or ()))}"


def _exists(path: Path) -> bool:
    if path.exists():
        return True
    place = next(each for each in path.absolute().parents if each.exists())
    if not os.access(place, os.W_OK):
        raise ConfigError(f"storage: cannot make {path}: {place} cannot be written to")
    return False


def _target(url: str) -> URL:
    try:
        target = make_url(url)
    except ArgumentError as error:
        raise ConfigError("storage.database: not a URL") from error
    match target.drivername:
        case "sqlite":
            if not target.database or target.database == ":memory:":
                raise ConfigError("storage.database: SQLite needs a file: sqlite:///path")
            return target
        case "postgresql" | "postgres" | "postgresql+asyncpg":
            target = target.set(drivername="postgresql+asyncpg")
            if ssl := target.query.get("sslmode"):  # libpq's name, common in URLs
                target = target.difference_update_query(["sslmode"]).update_query_dict({"ssl": ssl})
            return target
    raise ConfigError(f"storage: {target.drivername} is not supported; sqlite or postgresql are")


def _prepare_file(path: Path) -> None:
    """Create the file if there is none, and set its journal mode.

    If several nodes start on a new file at once, SQLite refuses that change to all but one of them, without
    waiting for the lock.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # It holds the account's token and dialled numbers: other users must not be able to read it.
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
                    return  # the engine reports the error when it opens the file
                time.sleep(0.02)


def _sqlite(target: URL) -> Engine:
    engine = create_engine(target, pool_size=1 + _READERS, max_overflow=0)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def _set_pragmas(connection: Any, _record: object) -> None:
    # The driver's implicit transactions would leave schema changes outside of the transaction.
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
