"""In any order of events: one end per worker, one block per worker, one answer per waiter."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.core.ids import WorkerId
from b2bua.engine.port_blocks import PortBlocks
from b2bua.engine.worker_table import (
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
    RefuseWaiter,
    Report,
    RetireWorker,
    SessionClosed,
    SessionEnding,
    SocketClosed,
    StartWorker,
    Tick,
    WaiterLeft,
    WorkerReady,
    WorkerState,
    WorkerWanted,
)
from b2bua.engine.workers import Workers
from tests.effort import examples
from tests.unit.engine.test_workers import came, spent

pytestmark = [pytest.mark.unit, pytest.mark.no_cover]

places = st.integers(0, 7)
"""Index of a live worker; the last number stands for one that no longer exists."""
facts = st.one_of(
    st.tuples(st.just(WorkerReady), places),
    st.tuples(st.just(WorkerReady), places),
    st.tuples(st.just(LeaseSpent), places, st.sampled_from(["call", "call", "other"])),
    st.tuples(st.just(CallCame), places, st.sampled_from(["call", "call", "other"])),
    st.tuples(st.just(EdgeKnows), places),
    st.tuples(st.just(SessionEnding), places),
    st.tuples(st.just(SessionClosed), places, st.booleans()),
    st.tuples(st.just(SocketClosed), places),
    st.tuples(st.just(ProcessExited), places),
    st.tuples(st.just(WorkerWanted)),
    st.tuples(st.just(WorkerWanted)),
    st.tuples(st.just(WaiterLeft), places),
    st.tuples(st.sampled_from([ForksUp, ForksDown, Tick, Tick, PoolOpened, PoolClosing])),
)
steps = st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.05, 1.0, 3.0, 11.0, 70.0]), facts), max_size=60)


class Witness:
    """Simulates the commands, and fails on forbidden ones."""

    def __init__(self, idle: int, most: int) -> None:
        self.most = most
        self.workers = Workers(idle, PortBlocks((20000, 20000 + 16 * most - 1), most))
        self.now = 0.0
        self.next_waiter = 1
        self.blocks: dict[WorkerId, int] = {}
        """Workers that were started and not forgotten."""
        self.ended: set[WorkerId] = set()
        self.leased: set[WorkerId] = set()
        self.claimed: dict[WorkerId, int] = {}
        self.halves: dict[WorkerId, dict[type[PoolEvent], str]] = {}
        """Call-IDs reported for workers that have no session yet."""
        self.sessions: set[WorkerId] = set()
        self.retired: set[WorkerId] = set()
        self.waiting: set[int] = set()
        self.settled: set[int] = set()

    def event(self, kind: type[Any], place: int = 0, detail: Any = True) -> PoolEvent:
        """An event about an existing worker."""
        if kind is WorkerWanted:
            self.waiting.add(self.next_waiter)
            self.next_waiter += 1
            return WorkerWanted(waiter=self.next_waiter - 1)
        if kind is WaiterLeft:
            here = sorted(self.waiting)
            return WaiterLeft(waiter=here[place % len(here)] if here else 0)
        if kind in (ForksUp, ForksDown, Tick, PoolOpened, PoolClosing):
            event: PoolEvent = kind()
            return event
        live = sorted(self.claimed if kind is EdgeKnows else self.blocks)
        worker = live[place % len(live)] if live and place < 7 else WorkerId("w1")
        if kind is EdgeKnows:
            return EdgeKnows(worker=worker, waiter=self.claimed.get(worker, 1))
        if kind is SessionClosed:
            return SessionClosed(worker=worker, reusable=detail)
        if kind in (LeaseSpent, CallCame):
            return spent(worker, detail) if kind is LeaseSpent else came(worker, detail)
        event = kind(worker=worker)
        return event

    def step(self, after_s: float, event: PoolEvent) -> None:
        self.now += after_s
        if isinstance(event, WaiterLeft):
            self.waiting.discard(event.waiter)
            self.settled.add(event.waiter)
        if isinstance(event, EdgeKnows) and event.waiter not in self.waiting:
            self.claimed.pop(event.worker, None)  # who claimed it has left
        if isinstance(event, SessionClosed):
            self.sessions.discard(event.worker)
        if isinstance(event, LeaseSpent | CallCame):  # the edge has no lease of it any more
            self.leased.discard(event.worker)
            self.claimed.pop(event.worker, None)
            self.hear(event)
        for command in self.workers.handle(event, self.now):
            self.check(command)
        self.check_all(event)

    def hear(self, event: LeaseSpent | CallCame) -> None:
        """One half of a call; the second half of the same kind is ignored."""
        state = self.workers.roster.state(event.worker)
        if state not in (WorkerState.STARTING, WorkerState.BUSY, WorkerState.RETIRING, None):
            call_id = event.lease.sip_call_id if isinstance(event, LeaseSpent) else event.invite.sip_call_id
            self.halves.setdefault(event.worker, {}).setdefault(type(event), call_id)

    def check(self, command: PoolCommand) -> None:
        if isinstance(command, RefuseWaiter):
            self.settle(command.waiter)
            return
        worker = command.worker
        assert worker not in self.ended, f"{command} after its end"
        match command:
            case StartWorker():
                assert worker not in self.blocks
                assert command.block not in self.blocks.values(), "a block for two"
                self.blocks[worker] = command.block
                return
            case GrantLease():
                assert worker not in self.leased | self.claimed.keys() | self.sessions
                self.leased.add(worker)
            case ClaimWorker():
                assert (worker in self.leased) is command.leased
                assert command.waiter in self.waiting
                self.leased.discard(worker)
                self.claimed[worker] = command.waiter
            case GiveWorker():
                assert self.claimed.pop(worker) == command.waiter
                self.settle(command.waiter)
                self.begin(worker)
            case BeginSession():
                halves = self.halves.pop(worker)
                assert len(halves) == 2 and set(halves.values()) == {command.call.invite.sip_call_id}
                self.begin(worker)
            case RefuseCall():
                halves = self.halves.pop(worker)
                assert CallCame in halves and (len(halves) == 1 or len(set(halves.values())) == 2)
            case RetireWorker():
                self.leased.discard(worker)
                self.claimed.pop(worker, None)
                self.retired.add(worker)
            case ForgetWorker():
                del self.blocks[worker]
                self.ended.add(worker)
                self.leased.discard(worker)
                self.claimed.pop(worker, None)
                self.sessions.discard(worker)
                return
            case KillWorker():
                self.retired.add(worker)
            case Report():
                pass
        assert worker in self.blocks
        if isinstance(command, GrantLease | ClaimWorker | GiveWorker | BeginSession):
            assert worker not in self.retired

    def begin(self, worker: WorkerId) -> None:
        assert worker not in self.sessions, "two sessions in one worker"
        assert worker not in self.leased
        self.sessions.add(worker)

    def settle(self, waiter: int) -> None:
        assert waiter in self.waiting, "answered twice, or for nobody"
        self.waiting.remove(waiter)
        self.settled.add(waiter)

    def check_all(self, event: PoolEvent) -> None:
        workers = self.workers
        assert workers.roster.count() == len(self.blocks) <= self.most
        assert workers.roster.count(WorkerState.LEASED) == len(self.leased)
        for worker in self.leased:
            assert workers.roster.state(worker) is WorkerState.LEASED
        for worker, waiter in self.claimed.items():
            assert workers.roster.state(worker) is WorkerState.CLAIMED
            assert waiter in self.waiting | self.settled
        for surplus in (False, True):
            counted = [w for w in workers.roster if surplus or w.state is not WorkerState.LEASED]
            assert workers.roster.next_due(surplus=surplus) == min((w.due for w in counted), default=math.inf)
        if isinstance(event, Tick):
            deadline = workers.next_deadline()
            assert deadline is None or deadline > self.now, "what is due is not done"
        elif self.waiting:
            assert workers.next_deadline() is not None, "somebody waits for nothing"


@given(steps, st.integers(0, 3), st.integers(1, 4))
@settings(max_examples=examples(100), deadline=None)
def test_whatever_happens(events: list[tuple[float, Any]], idle: int, most: int) -> None:
    witness = Witness(idle, most)
    witness.step(0, PoolOpened())
    witness.step(0, ForksUp())
    for after_s, (kind, *details) in events:
        witness.step(after_s, witness.event(kind, *details))

    # Then nothing happens any more but time: who waits is answered, what hangs is forgotten.
    witness.step(0, ForksDown())
    for _ in range(30):
        deadline = witness.workers.next_deadline()
        if deadline is not None:
            witness.step(max(0.0, deadline - witness.now), Tick())
    assert not witness.waiting
    in_peace = witness.workers.roster.count(WorkerState.LEASED, WorkerState.BUSY)
    assert witness.workers.roster.count() == in_peace

    # And when all sockets close, every worker has ended, and no block is missing.
    for worker in list(witness.blocks):
        witness.step(0, SocketClosed(worker=worker))
    assert witness.workers.roster.count() == 0
    witness.step(0, PoolOpened())
    witness.step(20, ForksUp())
    while witness.waiting or witness.workers.roster.count() < min(most, idle):
        deadline = witness.workers.next_deadline()
        assert deadline is not None
        witness.step(max(0.0, deadline - witness.now), Tick())


@given(
    st.lists(st.sampled_from(["call", "wanted", "kill", "end", "bad end"]), max_size=80),
    st.integers(1, 4),
    st.integers(4, 8),
    st.randoms(use_true_random=False),
)
@settings(max_examples=examples(80), deadline=None)
def test_in_a_world_that_works_there_are_always_as_many_idle_ones_as_can_be(
    acts: list[str], idle: int, most: int, random: Any
) -> None:
    """Workers say hello, the edge answers; calls come and go, workers are killed."""
    witness = Witness(idle, most)
    witness.step(0, PoolOpened())
    witness.step(0, ForksUp())
    settle(witness)
    for act in acts:
        busy, leased = sorted(witness.sessions), sorted(witness.leased)
        if act == "wanted":
            witness.step(0, witness.event(WorkerWanted))
        elif act == "call" and leased:
            worker = random.choice(leased)
            for half in random.sample([spent(worker), came(worker)], 2):
                witness.step(0, half)
        elif act == "kill" and witness.blocks:
            witness.step(0, SocketClosed(worker=random.choice(sorted(witness.blocks))))
        elif busy:
            worker = random.choice(busy)
            witness.step(0, SessionEnding(worker=worker))
            witness.step(0, SessionClosed(worker=worker, reusable=act == "end"))
        settle(witness)
        assert not witness.waiting
        left = most - len(witness.sessions)
        assert len(witness.leased) >= min(idle, left)


def settle(witness: Witness) -> None:
    """Let every process answer its pending requests, and some time pass."""
    for _ in range(4):
        for worker in list(witness.blocks):
            state = witness.workers.roster.state(worker)
            if state is WorkerState.STARTING:
                witness.step(0, WorkerReady(worker=worker))
            elif state is WorkerState.CLAIMED:
                witness.step(0, EdgeKnows(worker=worker, waiter=witness.claimed[worker]))
            elif state is WorkerState.RETIRING:
                witness.step(0, SocketClosed(worker=worker))
        witness.step(0.06, Tick())
