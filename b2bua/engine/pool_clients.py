"""Who the pool of workers works for: the edge, which has leases of them, and the sessions in them."""

import asyncio
from typing import Protocol

from b2bua.core.events import MediaMeasured, SessionEvent
from b2bua.core.ids import WorkerId

__all__ = ["LeaseHolder", "SessionSink"]


class LeaseHolder(Protocol):
    """The edge, as the pool sees it."""

    def grant(self, worker: WorkerId, sip_port: int) -> None:
        """This worker may be given a call."""

    def taken(self, worker: WorkerId, sip_port: int, *, leased: bool) -> asyncio.Future[None]:
        """This worker has a session that was not begun by an INVITE of the edge's.

        Done when the edge knows it: what it sends before that would be nobody's. Of a worker that was
        granted (``leased``), ``Pool.lease_taken`` has been called by then if it got a call before.
        """

    def gone(self, worker: WorkerId) -> None:
        """This worker is no more: neither leases nor dialogs."""


class SessionSink(Protocol):
    """Where the events of one session go."""

    def handle(self, event: SessionEvent) -> None:
        """A fact about one of the session's legs, or one of its recordings."""

    def measured(self, media: MediaMeasured) -> None:
        """How media came to one of the session's legs."""

    def worker_lost(self, worker: WorkerId) -> None:
        """The worker died; all legs in it are gone."""
