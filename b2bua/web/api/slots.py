"""Limits how many requests are processed at a time; a request that only waits gives its slot to another.

The same thread handles calls: without a limit, each step of a call would have to wait for a step of every
request.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

__all__ = ["Slots", "waiting"]


class _Slot:
    """The slot of one request. Thread: loop."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        self._free = free
        self._held = False

    async def take(self) -> None:
        await self._free.acquire()
        self._held = True

    def give_back(self) -> None:
        """Release the slot; a second call does nothing."""
        if self._held:
            self._held = False
            self._free.release()


_current: ContextVar[_Slot | None] = ContextVar("slot", default=None)


class Slots:
    """A fixed number of slots; requests wait for one in order of arrival. Thread: loop."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[_Slot]:
        """Hold a slot for the block; ``waiting`` finds it in the context."""
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
    """Give up the slot of the current request, if there is one, while the block waits."""
    slot = _current.get()
    if slot is None:
        yield
        return
    slot.give_back()
    try:
        yield
    finally:
        await slot.take()
