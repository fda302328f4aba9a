"""One clock for all media of an event loop: every 20 ms, by absolute deadlines."""

from __future__ import annotations

import asyncio
from typing import Protocol

PTIME_S = 0.020
MOST_CATCH_UP = 10


class Ticking(Protocol):
    """Something that sends one frame each 20 ms."""

    def tick(self) -> None: ...


class Pacer:
    """Calls `tick` of each member at each deadline; runs only while it has members."""

    _of_loop: dict[asyncio.AbstractEventLoop, Pacer] = {}  # noqa: RUF012 - one registry for all

    def __init__(self) -> None:
        self._members: list[Ticking] = []
        self._task: asyncio.Task[None] | None = None
        self.late_ticks = 0
        """Ticks that came more than one frame late: the test machine, not the node, caused the jitter."""

    @classmethod
    def here(cls) -> Pacer:
        """The pacer of the running loop."""
        loop = asyncio.get_running_loop()
        for gone in [known for known in cls._of_loop if known.is_closed()]:
            del cls._of_loop[gone]
        return cls._of_loop.setdefault(loop, cls())

    def add(self, member: Ticking) -> None:
        self._members.append(member)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="rtp-pacer")

    def remove(self, member: Ticking) -> None:
        if member in self._members:
            self._members.remove(member)
        if not self._members and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            for member in list(self._members):
                member.tick()
            due += PTIME_S
            behind = loop.time() - due
            if behind > PTIME_S:
                self.late_ticks += 1
                if behind > MOST_CATCH_UP * PTIME_S:
                    due = loop.time()  # a stall: a burst that long would only be dropped as late
            await asyncio.sleep(max(0.0, due - loop.time()))
