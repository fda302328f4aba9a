"""Lets calls go on that this code cannot follow, until one of their parties hangs up.

Other code has begun them, or their log is not whole, so nobody knows what they would do next. Two parties
who talk need nobody: relay, workers and edge carry their talk and their recording. When one of them hangs
up, the other is hung up too, and the rows are closed. A call in which nobody talks ends at once.

Thread: the controller's loop.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from b2bua.core.commands import EndSession, HangupLeg
from b2bua.core.events import LegEnded, SessionEvent
from b2bua.core.ids import LegId, WorkerId
from b2bua.engine.worker_handle import WorkerHandle
from b2bua.store.records import CallRow, LegRow

__all__ = ["CaredCall", "Caretaker", "group_by_session"]

log = logging.getLogger(__name__)

MOST_S = 14_400.0
"""The longest talk of a call whose own limit is not known."""


class BusyWorkers(Protocol):
    """The workers whose session nobody follows (``engine.earlier_workers``)."""

    def care(self, worker: WorkerId, session: "Caretaker") -> tuple[WorkerHandle, tuple[LegId, ...]] | None:
        """Give a worker a caretaker; returns it with its legs. None: it has gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaredCall:
    """A session that cannot be made again."""

    rows: tuple[CallRow, ...]
    workers: tuple[WorkerId, ...]


class Caretaker:
    """Takes care of one session.

    Args:
        call: its rows and workers.
        on_over: called once, when it has been ended.
    """

    def __init__(self, call: CaredCall, on_over: Callable[[CaredCall], None]) -> None:
        self._call = call
        self._on_over = on_over
        self._workers: dict[WorkerId, tuple[WorkerHandle, set[LegId]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False

    def start(self, workers: BusyWorkers) -> None:
        """Look at the session, and let it go on if two parties talk."""
        for worker in self._call.workers:
            if (found := workers.care(worker, self)) is not None:
                handle, legs = found
                self._workers[worker] = (handle, set(legs))
        talking = [row for row in self._call.rows if row.status == "in-progress"]
        if sum(len(legs) for _, legs in self._workers.values()) < 2 or len(talking) < 2:
            self.end()
        else:
            log.warning("a call goes on until its end", extra={"call_sid": self._call.rows[0].sid})
            self._timer = asyncio.get_running_loop().call_later(MOST_S, self.end)

    def deliver(self, event: SessionEvent, worker: WorkerId) -> None:
        """Hang up when somebody has hung up (``engine.pool_clients.SessionSink``)."""
        if isinstance(event, LegEnded) and worker in self._workers:
            self._workers[worker][1].discard(event.leg)
            self.end()

    def worker_lost(self, worker: WorkerId) -> None:
        """See ``engine.pool_clients.SessionSink``."""
        self._workers.pop(worker, None)
        self.end()

    def end(self) -> None:
        """Hang up all legs, and close the call."""
        if self._is_over:
            return
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        for handle, legs in self._workers.values():
            handle.send(*(HangupLeg(leg=leg) for leg in sorted(legs)), EndSession())
        self._on_over(self._call)


def group_by_session(rows: Iterable[CallRow], legs: Mapping[str, Iterable[LegRow]]) -> list[CaredCall]:
    """Group calls that have not ended by the session that they belonged to.

    Args:
        rows: the calls; a child has the sid of its parent.
        legs: their legs, by the sid of the call.
    """
    sessions: dict[str, list[CallRow]] = {}
    for row in rows:
        sessions.setdefault(row.parent_sid or row.sid, []).append(row)
    return [
        CaredCall(
            rows=tuple(of_session),
            workers=tuple(
                dict.fromkeys(
                    WorkerId(leg.worker) for row in of_session for leg in legs.get(row.sid, ()) if leg.worker
                )
            ),
        )
        for of_session in sessions.values()
    ]
