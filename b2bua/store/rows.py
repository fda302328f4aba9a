"""Reading and deleting rows in the order of the puts: who reads sees everything that was put before.

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
"""How long a promise is waited for; a call goes on without the database rather than with silence."""

R = TypeVar("R", bound=msgspec.Struct)


class Rows:
    """See the module's docstring.

    Args:
        database: where they are.
        writer: who puts them there.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    async def flush(self, limit_s: float = KEEP_LIMIT_S) -> bool:
        """Commit what was put before.

        Returns:
            False when it could not be within ``limit_s``.
        """
        return await committed(self._writer.promise(None), limit_s) if len(self._writer) else True

    async def all(self, kind: type[R], query: Select[Any]) -> tuple[R, ...]:
        """Every row that ``query`` finds."""
        await self.flush()
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return tuple(queries.record(kind, row) for row in rows)

    async def one(self, kind: type[R], which: ColumnElement[bool]) -> R | None:
        """The row, or None."""
        found = await self.all(kind, select(TABLES[kind]).where(which))
        return found[0] if found else None

    async def newest(self, kind: type[R], filters: queries.Filters, page: PageRequest) -> Slice[Any]:
        """A part of the rows of a kind, the newest first."""
        query = queries.newest(TABLES[kind], filters, size=page.size, token=page.token)
        found: tuple[Any, ...] = await self.all(kind, query)
        items = found[: page.size]
        more = len(found) > page.size
        return Slice(
            items=items, next_token=queries.token_of(items[-1].created_at, items[-1].sid) if more else None
        )

    async def delete(self, statement: Delete) -> None:
        """Delete in the order of the puts."""
        await committed(self._writer.promise(statement), KEEP_LIMIT_S)

    async def delete_at_once(self, statement: Delete) -> int:
        """Delete beside what is put; returns how many rows that were."""
        return await self._database.write(lambda connection: connection.execute(statement).rowcount)


async def committed(promise: "asyncio.Future[bool]", limit_s: float) -> bool:
    """Whether what is promised was done within ``limit_s``; it may be still."""
    try:
        async with asyncio.timeout(limit_s):
            return await asyncio.shield(promise)
    except TimeoutError:
        return False
