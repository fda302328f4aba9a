"""Interfaces of the pool's clients: the edge, which holds leases of workers, and the sessions in them."""

import asyncio
from typing import Protocol

from b2bua.core.events import SessionEvent
from b2bua.core.ids import WorkerId

__all__ = ["LeaseHolder", "SessionSink"]


class LeaseHolder(Protocol):
    """The edge, as the pool sees it."""

    def grant(self, worker: WorkerId, sip_port: int) -> None:
        """Allow the edge to give this worker a call."""

    def taken(self, worker: WorkerId, sip_port: int, *, leased: bool) -> asyncio.Future[None]:
        """Notify the edge that this worker has a session that no INVITE from the edge began.

        The future is done when the edge knows it: until then the edge could not assign the worker's requests.
        If the worker was granted (``leased``) and got a call first, ``Pool.lease_taken`` has been called by
        then.
        """

    def gone(self, worker: WorkerId) -> None:
        """Notify the edge that this worker has gone, with its lease and its dialogs."""


class SessionSink(Protocol):
    """Receives the events of one session."""

    def deliver(self, event: SessionEvent, worker: WorkerId) -> None:
        """A fact about one of the session's legs, or one of its recordings, from this worker."""

    def worker_lost(self, worker: WorkerId) -> None:
        """The worker died; all legs in it are gone."""
