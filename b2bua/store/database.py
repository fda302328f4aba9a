"""The database behind the store: SQLite in a file, or PostgreSQL; connected, set up and brought up to date.

SQLite runs with a write-ahead log and ``synchronous=NORMAL``: what is committed survives the death of the
process; the death of the machine may cost the last commits, but never the database.
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
"""For another process (a backup, an operator's query) to let go of SQLite's lock."""
WAIT_S: Final = 5.0
"""For a connection that others use."""

_READERS: Final = 3

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

    What is done with a connection is a function of it: SQLite's, which never waits for a network, runs as a
    whole in a thread; PostgreSQL's runs in the loop.

    Args:
        engine: see ``open``.
    """

    def __init__(self, engine: Engine | AsyncEngine) -> None:
        self.engine = engine
        self.is_sqlite = isinstance(engine, Engine)
        # SQLite has one writer at a time: who waits for his turn here needs not poll for the file's lock.
        self._writing = ThreadPoolExecutor(1, "store-write")
        self._reading = ThreadPoolExecutor(_READERS, "store-read")

    @classmethod
    async def open(cls, url: str) -> "Database":
        """Connect, make the file where there is none, run the migrations.

        Args:
            url: ``sqlite:///path`` or ``postgresql://user:password@host/name``.

        Raises:
            ConfigError: a URL of another kind, a database that cannot be opened, one of a later version.
        """
        target = _target(url)
        if target.drivername == "sqlite":
            await asyncio.to_thread(_prepare_file, Path(target.database or ""))
        database = cls(_sqlite(target) if target.drivername == "sqlite" else _postgresql(target))
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
        for threads in (self._writing, self._reading):
            threads.shutdown(wait=False, cancel_futures=True)
        if isinstance(self.engine, AsyncEngine):
            await self.engine.dispose()
        else:
            self.engine.dispose()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Do ``work`` in a transaction that is committed in the end, undone on an exception."""
        if isinstance(self.engine, AsyncEngine):
            async with self.engine.begin() as connection:
                return await connection.run_sync(work)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writing, _write, self.engine, work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Do ``work``, which is one SELECT: on SQLite without a transaction.

        Raises:
            CapacityError: too many others read, or it takes too long.
        """
        try:
            if isinstance(self.engine, AsyncEngine):
                async with self.engine.connect() as connection:
                    return await connection.run_sync(work)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(WAIT_S):
                return await loop.run_in_executor(self._reading, _read, self.engine, work)
        except (PoolTimeout, TimeoutError) as error:
            raise CapacityError("the database has too much to do") from error

    async def write_alone(self, work: Callable[[Connection], T]) -> T:
        """As ``write``, while no other node does so."""

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
        # The lock is taken now, not with the first change, when it might be too late to wait.
        connection.execution_options(b2bua_begin="BEGIN IMMEDIATE")
        with connection.begin():
            return work(connection)


def _read(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.connect() as connection:
        return work(connection.execution_options(b2bua_begin=""))


async def reach(url: str) -> str:
    """Connect as a node would, without making or changing anything.

    Returns:
        What is there, without a password.

    Raises:
        ConfigError: a node could not use it.
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
        raise ConfigError("storage: the database is not a URL") from error
    match target.drivername:
        case "sqlite":
            if not target.database or target.database == ":memory:":
                raise ConfigError("storage: SQLite needs a file: sqlite:///path")
            return target
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


def _sqlite(target: URL) -> Engine:
    engine = create_engine(target, pool_size=1 + _READERS, max_overflow=0)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
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
