"""The workers of the pool and their states; ``workers`` has the transitions.

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
"""For a new worker to say hello, for a retiring one to end, and for a waiter to get one."""
_SURPLUS_IDLE_S = 30.0
"""A worker beyond ``idle`` that has been unused for this long is ended."""
_LEASE_SPENT_S = 2.0
"""For an INVITE that the edge has sent to arrive in the worker; after that the worker is broken."""
_ADMITTED_LIMIT_S = 2.0
"""For the edge's report of a call that has arrived; the report was sent before the call."""
_KNOWN_LIMIT_S = 2.0
"""For the edge to confirm a claim on a worker."""
_LIMITS_S = {
    WorkerState.STARTING: START_LIMIT_S,
    WorkerState.LEASED: _SURPLUS_IDLE_S,
    WorkerState.TAKEN: _LEASE_SPENT_S,
    WorkerState.ARRIVED: _ADMITTED_LIMIT_S,
    WorkerState.CLAIMED: _KNOWN_LIMIT_S,
    WorkerState.RETIRING: START_LIMIT_S,
}
_END_LIMIT_S = 60.0
"""From the end of a session to an idle worker: an unanswered BYE is retransmitted for 32 s (RFC
3261 §17.1.2.2), and a recording may have to be completed first."""


@dataclass(slots=True)
class Waiter:
    """A request for a worker, for a session that we originate."""

    number: int
    until: float
    """When it is refused."""
    at_once: bool = False
    """It gets any idle worker."""

    def refuse(self, reason: str) -> RefuseWaiter:
        """Return the command that refuses it."""
        return RefuseWaiter(waiter=self.number, reason=reason)


@dataclass(slots=True)
class PooledWorker:
    """A worker, from its order to the end of its process."""

    name: WorkerId
    block: int
    since: float
    """When it entered its state."""
    state: WorkerState = WorkerState.STARTING
    waiter: Waiter | None = None
    """The waiter that has claimed it; None in CLAIMED: that waiter has left."""
    lease: Lease | None = None
    """The call that the edge has spent its lease on, until that call has arrived."""
    invite: LegIncoming | None = None
    """The call that has arrived, until the edge's report of it has."""
    ending_since: float | None = None
    """When its session was ordered to end; None: the session continues, or there is none."""

    def report(self, text: str) -> Report:
        """Return the command that logs an error about it."""
        return Report(text=text, worker=self.name, state=self.state)

    @property
    def due(self) -> float:
        """When its state times out, if nothing happens before."""
        if self.state is WorkerState.BUSY:
            return math.inf if self.ending_since is None else self.ending_since + _END_LIMIT_S
        return self.since + _LIMITS_S[self.state]


class Roster:
    """All workers of the pool.

    Each step of a call asks for counts and for the next deadline, so neither looks at every worker.

    Args:
        generation: of the controller, from 1: the workers of an earlier one may still be there.
    """

    def __init__(self, generation: int = 1) -> None:
        self._prefix = "w" if generation == 1 else f"w{generation}-"
        self._workers: dict[WorkerId, PooledWorker] = {}
        self._in_state: dict[WorkerState, dict[WorkerId, PooledWorker]] = {each: {} for each in WorkerState}
        """By state, in the order in which they entered it, which is that of their deadlines."""
        self._ending: dict[WorkerId, PooledWorker] = {}
        """Those in BUSY whose session was ordered to end, in the order of these orders."""
        self._added = 0

    def __iter__(self) -> Iterator[PooledWorker]:
        return iter(list(self._workers.values()))

    def get(self, worker: WorkerId) -> PooledWorker | None:
        """Return the worker of this name; None: there is none (any more)."""
        return self._workers.get(worker)

    def state(self, worker: WorkerId) -> WorkerState | None:
        """Return a worker's state; None: there is none of this name (any more)."""
        found = self._workers.get(worker)
        return found.state if found is not None else None

    def count(self, *states: WorkerState) -> int:
        """Count the workers in one of ``states``; all workers without arguments."""
        return sum([len(self._in_state[state]) for state in states]) if states else len(self._workers)

    def those(self, state: WorkerState) -> list[PooledWorker]:
        """Return the workers in a state."""
        return list(self._in_state[state].values())

    def add(self, block: int, now: float) -> PooledWorker:
        """Add a new worker with a block of ports; names are used once."""
        self._added += 1
        worker = PooledWorker(WorkerId(f"{self._prefix}{self._added}"), block, now)
        self._workers[worker.name] = self._in_state[worker.state][worker.name] = worker
        return worker

    def enter(self, worker: PooledWorker, state: WorkerState, now: float) -> None:
        """Change a worker to this state at ``now``."""
        del self._in_state[worker.state][worker.name]
        self._ending.pop(worker.name, None)
        self._in_state[state][worker.name] = worker
        worker.state = state
        worker.since = now

    def end(self, worker: PooledWorker, now: float) -> None:
        """Note that the session of a worker in BUSY was ordered to end."""
        if worker.ending_since is None:
            worker.ending_since = now
            self._ending[worker.name] = worker

    def next_due(self, *, surplus: bool) -> float:
        """Return when the first worker's state times out; infinity: never.

        Args:
            surplus: whether more are idle than wanted, so that the time of the idle ones counts.
        """
        first = math.inf
        for state, workers in self._in_state.items():
            if workers and state in _LIMITS_S and (surplus or state is not WorkerState.LEASED):
                first = min(first, next(iter(workers.values())).due)
        return min(first, next(iter(self._ending.values())).due) if self._ending else first

    def adopt(self, name: WorkerId, block: int, now: float) -> PooledWorker:
        """Add a worker that an earlier controller has started."""
        worker = PooledWorker(name, block, now)
        self._workers[name] = self._in_state[worker.state][name] = worker
        return worker

    def remove(self, worker: PooledWorker) -> None:
        """Remove a worker whose process has ended or is no longer awaited."""
        del self._workers[worker.name], self._in_state[worker.state][worker.name]
        self._ending.pop(worker.name, None)

    def waiter_left(self, number: int) -> None:
        """Drop a waiter's claim on a worker, which is leased again when the edge has answered."""
        for worker in self.those(WorkerState.CLAIMED):
            if worker.waiter is not None and worker.waiter.number == number:
                worker.waiter = None
