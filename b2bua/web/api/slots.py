"""How many requests are worked at a time. Work is limited, not waiting: who waits gives the slot to another.

Calls are handled by the same thread: each step of one would have to wait for a step of every request there
is.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

__all__ = ["Slots", "waiting"]


class _Slot:
    """One request's turn. Thread: loop."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        self._free = free
        self._held = False

    async def take(self) -> None:
        await self._free.acquire()
        self._held = True

    def give_back(self) -> None:
        """Once is enough; more does nothing."""
        if self._held:
            self._held = False
            self._free.release()


_current: ContextVar[_Slot | None] = ContextVar("slot", default=None)


class Slots:
    """So many at a time; the others wait in the order in which they came. Thread: loop."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[_Slot]:
        """A slot for what is done in here, and by ``waiting`` known to it."""
        slot = _Slot(self._free)
        await slot.take()
        token = _current.set(slot)
        try:
            yield slot
        finally:
            _current.reset(token)
            slot.give_back()


@asynccontextmanager
async def waiting() -> AsyncIterator[None]:
    """Wait for something in here without the slot of the request that is worked on, if it is one."""
    slot = _current.get()
    if slot is None:
        yield
        return
    slot.give_back()
    try:
        yield
    finally:
        await slot.take()
