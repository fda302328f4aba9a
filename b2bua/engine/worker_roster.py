"""The workers of the pool and where each of them is; what leads from one state to the next is ``workers``'.

No I/O and no clock.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from b2bua.core.admission import Lease
from b2bua.core.events import LegIncoming
from b2bua.core.ids import WorkerId
from b2bua.engine.worker_table import RefuseWaiter, Report, WorkerState

__all__ = ["START_LIMIT_S", "PooledWorker", "Roster", "Waiter"]

START_LIMIT_S = 10.0
"""For a new worker to say hello, for one that is told to end to do so, and for who waits for one."""
_SURPLUS_IDLE_S = 30.0
"""A worker beyond ``idle`` that had nothing to do for so long is ended."""
_LEASE_SPENT_S = 2.0
"""An INVITE the edge has sent to a worker arrives there within this, or the worker is broken."""
_ADMITTED_LIMIT_S = 2.0
"""For the edge's word of a call that has arrived; it was sent before the call was."""
_KNOWN_LIMIT_S = 2.0
"""For the edge to say that it knows a worker."""
_LIMITS_S = {
    WorkerState.STARTING: START_LIMIT_S,
    WorkerState.LEASED: _SURPLUS_IDLE_S,
    WorkerState.TAKEN: _LEASE_SPENT_S,
    WorkerState.ARRIVED: _ADMITTED_LIMIT_S,
    WorkerState.CLAIMED: _KNOWN_LIMIT_S,
    WorkerState.RETIRING: START_LIMIT_S,
}
_END_LIMIT_S = 60.0
"""From the end of a session to an idle worker: a BYE that nobody answers is repeated for 32 s (RFC
3261 §17.1.2.2), and a recording may have to be completed before."""


@dataclass(slots=True)
class Waiter:
    """Who waits for a worker, for a session that begins with us."""

    number: int
    until: float
    """Then it is refused."""

    def refuse(self, reason: str) -> RefuseWaiter:
        """Send it away."""
        return RefuseWaiter(waiter=self.number, reason=reason)


@dataclass(slots=True)
class PooledWorker:
    """A worker, from its order to the end of its process."""

    name: WorkerId
    block: int
    since: float
    """When it came into its state."""
    state: WorkerState = WorkerState.STARTING
    waiter: Waiter | None = None
    """Whose claim it has; None in CLAIMED: the one who claimed it has left."""
    lease: Lease | None = None
    """What the edge has spent its lease on; so long as the call has not arrived."""
    invite: LegIncoming | None = None
    """The call that has arrived; so long as the edge's word of it has not."""
    ending_since: float | None = None
    """When its session was told to end; None: it goes on, or there is none."""

    def enter(self, state: WorkerState, now: float) -> None:
        """It is in this state from ``now`` on."""
        self.state = state
        self.since = now

    def report(self, text: str) -> Report:
        """What the log is to say of it."""
        return Report(text=text, worker=self.name, state=self.state)

    @property
    def due(self) -> float:
        """When something is to be done about it, if nothing happens before."""
        if self.state is WorkerState.BUSY:
            return math.inf if self.ending_since is None else self.ending_since + _END_LIMIT_S
        return self.since + _LIMITS_S[self.state]


class Roster:
    """All of them."""

    def __init__(self) -> None:
        self._workers: dict[WorkerId, PooledWorker] = {}
        self._added = 0

    def __iter__(self) -> Iterator[PooledWorker]:
        return iter(list(self._workers.values()))

    def get(self, worker: WorkerId) -> PooledWorker | None:
        """The worker of this name; None: there is none (any more)."""
        return self._workers.get(worker)

    def state(self, worker: WorkerId) -> WorkerState | None:
        """Of a worker; None: there is none of this name (any more)."""
        found = self._workers.get(worker)
        return found.state if found is not None else None

    def count(self, *states: WorkerState) -> int:
        """How many workers are in one of ``states``; all without arguments."""
        return sum(not states or each.state in states for each in self._workers.values())

    def those(self, state: WorkerState) -> list[PooledWorker]:
        """Who is in a state."""
        return [each for each in self._workers.values() if each.state is state]

    def add(self, block: int, now: float) -> PooledWorker:
        """A new one, with a block of ports; names are used once."""
        self._added += 1
        worker = PooledWorker(WorkerId(f"w{self._added}"), block, now)
        self._workers[worker.name] = worker
        return worker

    def remove(self, worker: PooledWorker) -> None:
        """Its process has ended, or is not waited for."""
        del self._workers[worker.name]

    def waiter_left(self, number: int) -> None:
        """Whoever has claimed a worker wants it no longer; it is leased again when the edge has answered."""
        for worker in self.those(WorkerState.CLAIMED):
            if worker.waiter is not None and worker.waiter.number == number:
                worker.waiter = None
