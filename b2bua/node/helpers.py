"""Further workers for a session whose legs do not fit into one.

All that are wanted are asked for at once; the pool gives each an idle worker, or starts one. Thread: the
controller's loop.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Protocol

from b2bua.core.commands import EndSession
from b2bua.core.errors import CapacityError
from b2bua.engine.pool import SessionSink, WorkerHandle
from b2bua.twiml.findings import Finding

__all__ = ["TOO_FEW", "HelpedSession", "Helpers", "WorkerSource"]

TOO_FEW = Finding(
    number=12400,
    severity="warning",
    text="there are too few workers (workers.max) to ring all targets",
    line=0,
    column=0,
)


class WorkerSource(Protocol):
    """The pool, as sessions see it."""

    def take(
        self, begin: Callable[[WorkerHandle], SessionSink], *, at_once: bool = False
    ) -> Awaitable[SessionSink]:
        """Take a worker; see ``engine.pool``."""


class HelpedSession(SessionSink, Protocol):
    """A session that can use several workers."""

    def helped(self, worker: WorkerHandle) -> None:
        """Take a further worker, whose events come as those of the first."""

    def not_helped(self) -> None:
        """A worker that was wanted cannot be had."""


class Helpers:
    """Takes further workers for one session.

    Args:
        pool: has the workers.
        spawn: runs a task.
        session: gets them.
    """

    def __init__(
        self,
        pool: WorkerSource,
        spawn: Callable[[Coroutine[None, None, None]], None],
        session: HelpedSession,
    ) -> None:
        self._pool = pool
        self._spawn = spawn
        self._session = session
        self._is_over = False

    def want(self, count: int) -> None:
        """Take so many workers."""
        for _ in range(count):
            self._spawn(self._take())

    def close(self) -> None:
        """Send back every worker that still comes: the session is over."""
        self._is_over = True

    async def _take(self) -> None:
        try:
            await self._pool.take(self._begin, at_once=True)
        except CapacityError:
            if not self._is_over:
                self._session.not_helped()

    def _begin(self, worker: WorkerHandle) -> SessionSink:
        if self._is_over:
            worker.send(EndSession())
        else:
            self._session.helped(worker)
        return self._session
