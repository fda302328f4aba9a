"""Supervises background tasks that must run as long as their process.

A task that ends, in whatever way, is logged and restarted, at first after a short pause, then after longer
and longer ones; until it works again the node is not healthy.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine

from b2bua.core.errors import B2buaError

__all__ = ["Restarts", "Watch", "Watched"]

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.1
_MAX_PAUSE_S = 30.0
_STEADY_S = 30.0
_PATIENCE_S = 2.0
"""A single failure that is repaired within this time is not reported as trouble."""


class Restarts:
    """Decides when to restart a task that has ended, and what to report meanwhile. No I/O.

    Args:
        steady_s: a task that has worked for so long starts again with short pauses.
    """

    def __init__(self, steady_s: float = _STEADY_S) -> None:
        self._steady_s = steady_s
        self._failures = 0
        """Failures in a row."""
        self._working_since: float | None = None
        self._ended_at = 0.0
        self._error = ""

    def works(self, now: float) -> None:
        """The task is working (again)."""
        self._working_since = now

    def ended(self, error: str, now: float) -> float:
        """The task has ended; returns the pause in seconds before its restart."""
        if self._working_since is not None and now - self._working_since >= self._steady_s:
            self._failures = 0
        if self._failures == 0:
            self._ended_at = now
        self._failures += 1
        self._working_since = None
        self._error = error
        return min(_FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 16), _MAX_PAUSE_S)

    def trouble(self, now: float) -> str:
        """Say why the task is not working; empty: it is, or will be at once."""
        if self._working_since is not None or self._failures == 0:
            return ""
        is_new = self._failures == 1 and now - self._ended_at < _PATIENCE_S
        return "" if is_new else self._error


class Watched:
    """One task and its restarts; created by ``Watch.run``."""

    def __init__(
        self,
        name: str,
        work: Callable[[], Coroutine[None, None, None]],
        *,
        announces: bool,
        ends: bool,
        steady_s: float,
    ) -> None:
        self.name = name
        self._work = work
        self._announces = announces
        self._ends = ends
        self._restarts = Restarts(steady_s)
        self._task = asyncio.get_running_loop().create_task(self._keep(), name=name)

    def works(self) -> None:
        """Report that the task is working; called by the task itself."""
        self._restarts.works(time.monotonic())

    def trouble(self) -> str:
        """Say why the task is not working; see ``Restarts.trouble``."""
        return self._restarts.trouble(time.monotonic())

    @property
    def task(self) -> "asyncio.Task[None]":
        """The supervising task; done when the work has ended for good."""
        return self._task

    async def close(self) -> None:
        """End the task."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            if not self._announces:
                self.works()
            try:
                await self._work()
                if self._ends:
                    return
                error: BaseException = B2buaError("it returned")
            except asyncio.CancelledError as cancelled:
                if (task := asyncio.current_task()) is None or task.cancelling():
                    raise
                error = cancelled  # a cancellation from elsewhere that was not caught
            except Exception as failed:
                error = failed
            pause_s = self._restarts.ended(_text(error), time.monotonic())
            extra = {"task": self.name, "again_in_s": pause_s}
            log.error("a background task has ended", exc_info=error, extra=extra)
            await asyncio.sleep(pause_s)


class Watch:
    """The background tasks of one process. Thread: the event loop's."""

    def __init__(self) -> None:
        self._tasks: set[Watched] = set()

    def run(
        self,
        name: str,
        work: Callable[[], Coroutine[None, None, None]],
        *,
        announces: bool = False,
        ends: bool = False,
        steady_s: float = _STEADY_S,
    ) -> Watched:
        """Run ``work()`` now, and again whenever it ends.

        Args:
            name: for the log and for ``reasons``.
            work: called anew each time; it continues where the last run was interrupted.
            announces: the task calls ``Watched.works`` when it works; else it counts as working at once.
            ends: returning is its regular end.
            steady_s: a task that has worked for so long starts again with short pauses.
        """
        watched = Watched(name, work, announces=announces, ends=ends, steady_s=steady_s)
        self._tasks.add(watched)
        watched.task.add_done_callback(lambda _: self._tasks.discard(watched))
        return watched

    def reasons(self) -> list[str]:
        """Return which tasks do not run, and why."""
        troubles = ((each.name, each.trouble()) for each in self._tasks)
        return sorted(f"{name} does not run: {trouble}" for name, trouble in troubles if trouble)

    async def close(self) -> None:
        """End all tasks that still run."""
        await asyncio.gather(*(each.close() for each in list(self._tasks)))


def _text(error: BaseException) -> str:
    """Return a text that is safe to publish: of an error whose text may hold private data, only the kind."""
    if isinstance(error, B2buaError):
        return str(error)
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
