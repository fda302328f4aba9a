"""Reading and deleting rows in the order of the puts: a reader sees everything that was put before.

Thread: loop.
"""

import asyncio
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Delete, Select, select

from b2bua.store import queries
from b2bua.store.database import Database
from b2bua.store.tables import TABLES
from b2bua.store.writer import Writer
from b2bua.web.api.directory import PageRequest, Slice

__all__ = ["KEEP_LIMIT_S", "Rows", "committed"]

KEEP_LIMIT_S: Final = 2.0
"""How long to wait for a promised write; then a call continues without it rather than fall silent."""

R = TypeVar("R", bound=msgspec.Struct)


class Rows:
    """Reads and deletes rows in the order of the puts.

    Args:
        database: the database that holds the rows.
        writer: the writer that puts them there.
        limit_s: how long a reader waits for what was put before; then it reads what there is.
    """

    def __init__(self, database: Database, writer: Writer, limit_s: float = KEEP_LIMIT_S) -> None:
        self._database = database
        self._writer = writer
        self._limit_s = limit_s

    async def flush(self, limit_s: float) -> bool:
        """Commit everything that was put before.

        Returns:
            False if it was not committed within ``limit_s``.
        """
        return await committed(self._writer.promise(None), limit_s) if len(self._writer) else True

    async def all(self, kind: type[R], query: Select[Any]) -> tuple[R, ...]:
        """Return every row that ``query`` finds."""
        await self.flush(self._limit_s)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return tuple(queries.record(kind, row) for row in rows)

    async def one(self, kind: type[R], which: ColumnElement[bool]) -> R | None:
        """Return the row, or None."""
        found = await self.all(kind, select(TABLES[kind]).where(which))
        return found[0] if found else None

    async def newest(self, kind: type[R], filters: queries.Filters, page: PageRequest) -> Slice[Any]:
        """Return one page of the rows of a kind, newest first."""
        query = queries.newest(TABLES[kind], filters, size=page.size, token=page.token)
        found: tuple[Any, ...] = await self.all(kind, query)
        items = found[: page.size]
        more = len(found) > page.size
        return Slice(
            items=items, next_token=queries.token_of(items[-1].created_at, items[-1].sid) if more else None
        )

    async def delete(self, statement: Delete) -> None:
        """Delete in the order of the puts."""
        await committed(self._writer.promise(statement), self._limit_s)

    async def delete_at_once(self, statement: Delete) -> int:
        """Delete without waiting for earlier puts; return the number of rows deleted."""
        return await self._database.write(lambda connection: connection.execute(statement).rowcount)


async def committed(promise: "asyncio.Future[bool]", limit_s: float) -> bool:
    """Return whether a promised write was done within ``limit_s``; if not, it may still be done later."""
    try:
        async with asyncio.timeout(limit_s):
            return await asyncio.shield(promise)
    except TimeoutError:
        return False
