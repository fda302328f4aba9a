"""The workers that an earlier controller has started: they go on, and say hello to the next one.

Thread: the controller's loop.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping

from b2bua.core.ids import LegId, WorkerId
from b2bua.engine import worker_table as table
from b2bua.engine.pool_clients import SessionSink
from b2bua.engine.protocol import WorkerHello
from b2bua.engine.worker_handle import WorkerHandle
from b2bua.engine.worker_link import WorkerLink

__all__ = ["EarlierWorkers"]

log = logging.getLogger(__name__)

_LIMIT_S = 2.0
"""For them to say hello; they knock at short intervals (``controller_link``)."""


class EarlierWorkers:
    """Finds the sessions of earlier workers.

    Args:
        links: all links of the pool.
        feed: takes what happens to the workers.
    """

    def __init__(
        self, links: Mapping[WorkerId, WorkerLink], feed: Callable[[table.WorkerEvent], None]
    ) -> None:
        self._links = links
        self._feed = feed
        self._arrived = asyncio.Event()

    def arrived(self, link: WorkerLink, hello: WorkerHello, block: int, may_stay: bool) -> table.WorkerFound:
        """Note that a worker has said hello; returns what the pool has to know of it."""
        link.found = hello
        self._arrived.set()
        return table.WorkerFound(
            worker=hello.worker, block=block, busy=hello.busy, ending=hello.ending, healthy=may_stay
        )

    async def wait_for(self, known: Iterable[WorkerId]) -> None:
        """Wait a moment until all of these have said hello."""
        expected = set(known)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LIMIT_S):
                while not expected <= self._links.keys():
                    self._arrived.clear()
                    await self._arrived.wait()

    def greeting(self, worker: WorkerId) -> WorkerHello | None:
        """Return what a worker has said of the session that nobody has followed yet."""
        link = self._links.get(worker)
        return link.found if link is not None else None

    def follow(self, worker: WorkerId, session: SessionSink, number: int, heard: int) -> WorkerHandle | None:
        """Give a session that an earlier controller has begun its worker; None: it has gone meanwhile.

        Args:
            worker: its name.
            session: takes the events after the first ``heard``, which the worker sends again.
            number: of the session within the worker.
            heard: how many events of this worker it has had.
        """
        link = self._links.get(worker)
        return link.follow(session, number, heard) if link is not None else None

    def care(self, worker: WorkerId, session: SessionSink) -> tuple[WorkerHandle, tuple[LegId, ...]] | None:
        """Give a worker's session to one that knows its legs only; None: it has gone, or is followed."""
        found = self.greeting(worker)
        if found is None or found.ending:
            return None
        handle = self.follow(worker, session, found.sessions + 1, found.events)
        return (handle, found.legs) if handle is not None else None

    def leave(self) -> None:
        """End the workers whose session nobody has followed: their calls are lost."""
        for link in list(self._links.values()):
            found, link.found = link.found, None
            if found is not None and found.busy and not found.ending:
                log.error("a call of the previous controller is lost", extra={"worker": link.worker})
                self._feed(table.SessionClosed(worker=link.worker, reusable=False))
