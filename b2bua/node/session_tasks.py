"""Runs the asynchronous work of sessions, each piece in its own task. Thread: the controller's loop."""

import asyncio
import logging
from collections.abc import Coroutine

__all__ = ["SessionTasks"]

log = logging.getLogger(__name__)


class SessionTasks:
    """The running tasks of all sessions."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run ``work`` in a task; it is awaited only when the node closes."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def all_ended(self) -> None:
        """Wait until no task is running."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Cancel the tasks that are still running."""
        for task in self._tasks:
            task.cancel()
        await self.all_ended()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task of a call failed", exc_info=error)
