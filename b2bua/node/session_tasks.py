"""What sessions wait for, each in a task of its own. Thread: the controller's loop."""

import asyncio
import logging
from collections.abc import Coroutine

__all__ = ["SessionTasks"]

log = logging.getLogger(__name__)


class SessionTasks:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run ``work``; nobody waits for it but who closes the node."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def all_ended(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Cancel what is still under way."""
        for task in self._tasks:
            task.cancel()
        await self.all_ended()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of a call failed", exc_info=error)
