"""Decides how many workers a node has, which of them the edge may use, and which session each belongs to.

``idle`` workers are kept warm and leased to the edge, so that a call gets one without a request. A session
that we originate claims a worker that the edge can spare, or waits for a new one. Workers that die, hang or
have had their maximum of sessions are replaced. ``worker_table`` has the states and transitions.

No I/O and no clock: ``handle`` takes an event and its time, and returns the commands to carry out.
"""

import math
from collections import deque
from collections.abc import Callable

from b2bua.core.admission import AdmittedCall
from b2bua.engine.port_blocks import PortBlocks
from b2bua.engine.worker_roster import START_LIMIT_S, PooledWorker, Roster, Waiter
from b2bua.engine.worker_table import (
    TRANSITIONS,
    BeginSession,
    CallCame,
    ClaimWorker,
    EdgeKnows,
    ForgetWorker,
    ForksDown,
    ForksUp,
    GiveWorker,
    GrantLease,
    KillWorker,
    LeaseSpent,
    PoolClosing,
    PoolCommand,
    PoolEvent,
    PoolOpened,
    ProcessExited,
    RefuseCall,
    RetireWorker,
    SessionClosed,
    SessionEnding,
    SocketClosed,
    StartWorker,
    Tick,
    WaiterLeft,
    WorkerEvent,
    WorkerFound,
    WorkerReady,
    WorkerState,
    WorkerWanted,
)

__all__ = ["START_LIMIT_S", "Workers"]

_FILL_DELAY_S = 0.05
_FIRST_PAUSE_S = 0.1
_MAX_PAUSE_S = 5.0
"""Longest pause between failing starts."""
_STARTS_FAIL = 3
"""This many failures in a row are no accident."""


class Workers:
    """State machine of all workers of a node.

    Args:
        idle: number of workers to keep warm.
        blocks: blocks of RTP ports; their number limits that of workers.
        generation: of the controller, from 1.
    """

    def __init__(self, idle: int, blocks: PortBlocks, generation: int = 1) -> None:
        self._idle = idle
        self._blocks = blocks
        self.roster = Roster(generation)
        """Read by other classes, changed only here."""
        self._waiting: deque[Waiter] = deque()
        self._forks_are_up = False
        self._open = False
        self._fill_at: float | None = None
        self._failed_starts = 0
        """Failures in a row."""
        self._pause_until = 0.0
        self._out: list[PoolCommand] = []

    # -- queries ------------------------------------------------------------------------------------

    @property
    def is_warm(self) -> bool:
        """Whether as many workers as wanted, or as many as possible, are idle."""
        return self.roster.count(WorkerState.LEASED) >= min(self._idle, self._blocks.count)

    @property
    def starts_fail(self) -> bool:
        """Whether several starts in a row have failed."""
        return self._failed_starts >= _STARTS_FAIL

    def next_deadline(self) -> float | None:
        """Return when ``Tick`` is due; None: not before another event."""
        surplus = self.roster.count(WorkerState.LEASED) > self._idle
        deadlines = [waiter.until for waiter in self._waiting]
        deadlines.append(self.roster.next_due(surplus=surplus))
        if self._fill_at is not None:
            deadlines.append(self._fill_at)
        deadline = min(deadlines, default=math.inf)
        return deadline if deadline < math.inf else None

    # -- events -------------------------------------------------------------------------------------

    def handle(self, event: PoolEvent, now: float) -> list[PoolCommand]:
        """Take one event; ``now`` is monotonic and never goes back."""
        match event:
            case Tick():
                self._on_tick(now)
            case WorkerWanted():
                self._waiting.append(Waiter(event.waiter, now + START_LIMIT_S, event.at_once))
                self._serve(now)
            case WaiterLeft():
                self._waiting = deque(each for each in self._waiting if each.number != event.waiter)
                self.roster.waiter_left(event.waiter)
            case WorkerFound():
                self._on_found(event, now)
            case ForksUp():
                self._forks_are_up = True
                self._serve(now)
            case ForksDown():
                self._forks_are_up = False
                for each in self.roster.those(WorkerState.STARTING):
                    self._forget(each)  # its order may have been lost; if it starts after all, it is retired
                self._serve(now)
            case PoolOpened() | PoolClosing():
                self._open = isinstance(event, PoolOpened)
                self._serve(now)
            case _:
                self._on_worker_event(event, now)
        out, self._out = self._out, []
        return out

    def _on_worker_event(self, event: WorkerEvent, now: float) -> None:
        worker = self.roster.get(event.worker)
        if worker is None:
            return
        handler = TRANSITIONS.get((worker.state, type(event)))
        if handler is None:
            self._out.append(worker.report(f"unexpected {type(event).__name__}"))
        elif handler:
            method: Callable[[PooledWorker, WorkerEvent, float], None] = getattr(self, handler)
            method(worker, event, now)

    def _on_found(self, event: WorkerFound, now: float) -> None:
        worker = self.roster.adopt(event.worker, event.block, now)
        if event.busy:
            self.roster.enter(worker, WorkerState.BUSY, now)
            if event.ending:
                self.roster.end(worker, now)
        elif event.healthy:
            self._make_idle(worker, now)
        else:
            self._retire(worker, now)

    def _on_ready(self, worker: PooledWorker, event: WorkerReady, now: float) -> None:
        self._failed_starts = 0
        self._make_idle(worker, now)

    def _on_start_failed(self, worker: PooledWorker, event: ProcessExited | Tick, now: float) -> None:
        self._out.append(worker.report("a worker hangs" if isinstance(event, Tick) else "a worker died"))
        if isinstance(event, Tick):
            self._out.append(KillWorker(worker=worker.name))
        self._forget(worker)
        self._failed_starts += 1
        pause_s = _FIRST_PAUSE_S * 2 ** min(self._failed_starts - 1, 10)
        self._pause_until = now + min(pause_s, _MAX_PAUSE_S)
        self._serve(now)

    def _on_invited(self, worker: PooledWorker, event: LeaseSpent | CallCame, now: float) -> None:
        """Begin the session of a call once both worker and edge have reported it."""
        overtaken, worker.waiter = worker.waiter, None
        if isinstance(event, CallCame):
            worker.invite = event.invite
        else:
            worker.lease = event.lease
        lease, invite = worker.lease, worker.invite
        if lease is None or invite is None:  # the other half of the report follows
            self.roster.enter(worker, WorkerState.TAKEN if invite is None else WorkerState.ARRIVED, now)
            if overtaken is not None:
                self._waiting.appendleft(overtaken)
                self._serve(now)
            self._fill_soon(now)
        elif lease.sip_call_id != invite.sip_call_id:
            self._refuse_call(worker, "a call that the edge has not sent", now)
            self._serve(now)
        else:
            worker.lease = worker.invite = None
            self.roster.enter(worker, WorkerState.BUSY, now)
            call = AdmittedCall(invite=invite, origin=lease.origin)
            self._out.append(BeginSession(worker=worker.name, call=call))

    def _refuse_call(self, worker: PooledWorker, why: str, now: float) -> None:
        self._out += (worker.report(why), RefuseCall(worker=worker.name))
        self._retire(worker, now)

    def _on_known(self, worker: PooledWorker, event: EdgeKnows, now: float) -> None:
        if worker.waiter is None:
            self._make_idle(worker, now)
        elif worker.waiter.number == event.waiter:
            worker.waiter = None
            self.roster.enter(worker, WorkerState.BUSY, now)
            self._out.append(GiveWorker(worker=worker.name, waiter=event.waiter))
            self._fill_soon(now)

    def _on_ending(self, worker: PooledWorker, event: SessionEnding, now: float) -> None:
        self.roster.end(worker, now)

    def _on_session_closed(self, worker: PooledWorker, event: SessionClosed, now: float) -> None:
        if event.reusable:
            self._make_idle(worker, now)
        else:
            self._retire(worker, now)
            self._serve(now)

    def _on_closed(self, worker: PooledWorker, event: SocketClosed, now: float) -> None:
        if worker.state is not WorkerState.RETIRING:
            self._out.append(worker.report("a worker died"))
        if worker.waiter is not None:
            self._waiting.appendleft(worker.waiter)
        self._forget(worker)
        self._serve(now)

    # -- time ---------------------------------------------------------------------------------------

    def _on_tick(self, now: float) -> None:
        for worker in self.roster:
            if worker.due <= now:
                self._overdue(worker, now)
        late = [waiter for waiter in self._waiting if waiter.until <= now]
        for waiter in late:  # not always the first ones: one that was overtaken waits in front again
            self._waiting.remove(waiter)
            self._out.append(waiter.refuse("no worker has started in time"))
        self._serve(now)

    def _overdue(self, worker: PooledWorker, now: float) -> None:
        match worker.state:
            case WorkerState.STARTING:
                self._on_start_failed(worker, Tick(), now)
            case WorkerState.RETIRING:
                self._out.append(worker.report("a worker hangs"))
                self._out.append(KillWorker(worker=worker.name))
                self._forget(worker)
            case WorkerState.CLAIMED:
                if worker.waiter is not None:
                    self._out.append(worker.waiter.refuse("the edge does not answer"))
                    worker.waiter = None
                self._retire(worker, now)
            case WorkerState.BUSY:
                self._out.append(worker.report("a worker did not end its session"))
                self._out.append(KillWorker(worker=worker.name))
                self.roster.enter(worker, WorkerState.RETIRING, now)  # SocketClosed does the rest
            case WorkerState.TAKEN:  # the library could not take the INVITE that the edge has sent
                self._retire(worker, now)
            case WorkerState.ARRIVED:
                self._refuse_call(worker, "the edge has not said whose a call is", now)
            case WorkerState.LEASED:
                if self.roster.count(WorkerState.LEASED) > self._idle:
                    self._retire(worker, now)

    # -- waiters ------------------------------------------------------------------------------------

    def _serve(self, now: float) -> None:
        """Serve waiters, start the missing workers, and refuse the waiters that can get none."""
        for waiter in list(self._waiting) if self._open else ():
            if (spare := self._dispensable(waiter)) is not None:
                self._waiting.remove(waiter)
                self._claim(spare, waiter, now, leased=True)
        self._fill(now)
        none_can_come = not self._blocks.free and not self.roster.count(WorkerState.STARTING)
        while self._waiting and (none_can_come or not self._open):
            self._out.append(self._waiting.popleft().refuse("all workers are busy"))

    def _dispensable(self, waiter: Waiter) -> PooledWorker | None:
        """Return the idle worker that the edge would use last, if the edge can spare one for the waiter."""
        leased = self.roster.those(WorkerState.LEASED)
        another_can_start = self._blocks.free and self._forks_are_up and not self.starts_fail
        if len(leased) <= self._idle and another_can_start and not waiter.at_once:
            return None
        return max(leased, key=lambda each: each.since, default=None)

    def _claim(self, worker: PooledWorker, waiter: Waiter, now: float, *, leased: bool) -> None:
        self.roster.enter(worker, WorkerState.CLAIMED, now)
        worker.waiter = waiter
        self._out.append(ClaimWorker(worker=worker.name, waiter=waiter.number, leased=leased))

    # -- workers ------------------------------------------------------------------------------------

    def _fill(self, now: float) -> None:
        self._fill_at = None
        if not self._open or not self._forks_are_up:
            return
        missing = max(0, self._idle - self.roster.count(WorkerState.LEASED))
        wanted = len(self._waiting) + missing - self.roster.count(WorkerState.STARTING)
        if wanted > 0 and now < self._pause_until:
            self._fill_at = self._pause_until
            return
        for _ in range(wanted):
            if (block := self._blocks.take()) is None:
                return
            worker = self.roster.add(block, now)
            self._out.append(StartWorker(worker=worker.name, block=block))

    def _fill_soon(self, now: float) -> None:
        """Replace a worker that was taken, but not while its call is being set up.

        Starting a worker costs as much CPU as setting up a call; while others are idle, it can wait.
        """
        if self.roster.count(WorkerState.LEASED) == 0:
            self._fill(now)
        elif self._fill_at is None:
            self._fill_at = now + _FILL_DELAY_S

    def _make_idle(self, worker: PooledWorker, now: float) -> None:
        worker.ending_since = None
        if self._waiting:
            self._claim(worker, self._waiting.popleft(), now, leased=False)
        else:
            self.roster.enter(worker, WorkerState.LEASED, now)
            self._out.append(GrantLease(worker=worker.name))

    def _retire(self, worker: PooledWorker, now: float) -> None:
        """Order a worker to end; it closes its socket when it does."""
        self.roster.enter(worker, WorkerState.RETIRING, now)
        self._out.append(RetireWorker(worker=worker.name))

    def _forget(self, worker: PooledWorker) -> None:
        self.roster.remove(worker)
        self._blocks.give_back(worker.block)
        self._out.append(ForgetWorker(worker=worker.name))
