"""The table of workers: each state and event, and the rules for idle, max, waiting and time."""

import pytest

from b2bua.core.admission import AdmittedCall, Lease, Origin
from b2bua.core.events import LegIncoming
from b2bua.core.ids import LegId, SipCallId, WorkerId
from b2bua.engine.port_blocks import PortBlocks
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
    RefuseWaiter,
    Report,
    RetireWorker,
    SessionClosed,
    SessionEnding,
    SocketClosed,
    StartWorker,
    Tick,
    WaiterLeft,
    WorkerEvent,
    WorkerReady,
    WorkerState,
    WorkerWanted,
)
from b2bua.engine.workers import Workers

pytestmark = pytest.mark.unit

W1, W2, W3, W4 = (WorkerId(f"w{number}") for number in range(1, 5))


ORIGIN = Origin(source="udp:192.0.2.1:5060", trunk="carrier")


def spent(worker: WorkerId, call_id: str = "call") -> LeaseSpent:
    """The edge's half of a call."""
    return LeaseSpent(worker=worker, lease=Lease(sip_call_id=SipCallId(call_id), origin=ORIGIN))


def came(worker: WorkerId, call_id: str = "call") -> CallCame:
    """The worker's half of a call."""
    invite = LegIncoming(
        leg=LegId("in1"),
        at=0.0,
        sip_call_id=SipCallId(call_id),
        request_uri="sip:1@h",
        from_header="<sip:a@h>",
        to_header="<sip:1@h>",
        headers=(),
    )
    return CallCame(worker=worker, invite=invite)


class Scene:
    """A table with its own clock."""

    def __init__(self, idle: int = 2, most: int = 4) -> None:
        self.blocks = PortBlocks((20000, 20000 + 16 * most - 1), most)
        self.workers = Workers(idle, self.blocks)
        self.now = 100.0

    def at(self, seconds: float, *events: PoolEvent) -> list[PoolCommand]:
        """``events``, this many seconds after the last ones."""
        self.now += seconds
        return [command for event in events for command in self.workers.handle(event, self.now)]

    def tick(self) -> list[PoolCommand]:
        """Wait for the next deadline."""
        deadline = self.workers.next_deadline()
        assert deadline is not None and deadline > self.now
        return self.at(deadline - self.now, Tick())

    def states(self) -> dict[str, int]:
        return {state: n for state in WorkerState if (n := self.workers.roster.count(state))}


def warm(idle: int = 2, most: int = 4) -> Scene:
    """A scene with all its idle workers."""
    scene = Scene(idle, most)
    scene.at(0, PoolOpened(), ForksUp())
    scene.at(1, *(WorkerReady(worker=WorkerId(f"w{n + 1}")) for n in range(idle)))
    assert scene.workers.is_warm
    return scene


def in_state(state: WorkerState) -> Scene:
    """``w1`` is in this state; there are ``w2`` and perhaps others besides."""
    scene = warm()
    match state:
        case WorkerState.STARTING:
            scene = Scene()
            scene.at(0, PoolOpened(), ForksUp())
        case WorkerState.TAKEN:
            scene.at(0, spent(W1))
        case WorkerState.CLAIMED:
            scene = warm(idle=1, most=1)
            scene.at(0, WorkerWanted(waiter=1))
        case WorkerState.ARRIVED:
            scene.at(0, came(W1))
        case WorkerState.BUSY:
            scene.at(0, spent(W1), came(W1))
        case WorkerState.RETIRING:
            scene.at(0, spent(W1), came(W1), SessionClosed(worker=W1, reusable=False))
    assert scene.workers.roster.state(W1) is state
    return scene


def event_of(kind: type[WorkerEvent]) -> WorkerEvent:
    if kind is LeaseSpent:
        return spent(W1)
    if kind is CallCame:
        return came(W1)
    if kind is EdgeKnows:
        return EdgeKnows(worker=W1, waiter=1)
    if kind is SessionClosed:
        return SessionClosed(worker=W1, reusable=True)
    return kind(worker=W1)


S = WorkerState
EXPECTED: dict[tuple[WorkerState, type[WorkerEvent]], WorkerState | None] = {
    (S.STARTING, WorkerReady): S.LEASED,
    (S.STARTING, ProcessExited): None,
    (S.LEASED, LeaseSpent): S.TAKEN,
    (S.LEASED, CallCame): S.ARRIVED,
    (S.LEASED, SocketClosed): None,
    (S.TAKEN, CallCame): S.BUSY,
    (S.TAKEN, SocketClosed): None,
    (S.ARRIVED, LeaseSpent): S.BUSY,
    (S.ARRIVED, SocketClosed): None,
    (S.CLAIMED, EdgeKnows): S.BUSY,
    (S.CLAIMED, LeaseSpent): S.TAKEN,
    (S.CLAIMED, CallCame): S.ARRIVED,
    (S.CLAIMED, SocketClosed): None,
    (S.BUSY, SessionClosed): S.LEASED,
    (S.BUSY, SocketClosed): None,
    (S.RETIRING, SocketClosed): None,
}
"""The state that an event leads to; None: the worker is forgotten. Other events change nothing."""
KINDS = [
    WorkerReady,
    LeaseSpent,
    CallCame,
    EdgeKnows,
    SessionEnding,
    SessionClosed,
    SocketClosed,
    ProcessExited,
]


@pytest.mark.parametrize("state", WorkerState)
@pytest.mark.parametrize("kind", KINDS)
def test_each_pair_leads_where_it_should(state: WorkerState, kind: type[WorkerEvent]) -> None:
    scene = in_state(state)
    commands = scene.at(0, event_of(kind))
    assert scene.workers.roster.state(W1) is EXPECTED.get((state, kind), state)
    unlisted = (state, kind) not in TRANSITIONS
    told = [each.text for each in commands if isinstance(each, Report)]
    assert (f"unexpected {kind.__name__}" in told) is unlisted
    if unlisted:
        assert commands == [Report(text=f"unexpected {kind.__name__}", worker=W1, state=state)]


def test_what_happens_to_a_worker_that_is_forgotten_is_nothing() -> None:
    scene = warm()
    assert ForgetWorker(worker=W1) in scene.at(0, SocketClosed(worker=W1))
    assert scene.at(0, *(event_of(kind) for kind in KINDS)) == []


class TestIdle:
    def test_nothing_starts_before_there_is_an_edge_and_a_fork_server(self) -> None:
        assert Scene().at(0, ForksUp()) == []
        scene = Scene()
        assert scene.at(0, PoolOpened()) == []
        assert scene.at(0, ForksUp()) == [StartWorker(worker=W1, block=0), StartWorker(worker=W2, block=1)]

    def test_a_taken_worker_is_replaced_a_moment_later_while_there_are_others(self) -> None:
        scene = warm()
        assert scene.at(0, spent(W1)) == []
        assert scene.tick() == [StartWorker(worker=W3, block=2)]
        assert scene.now == pytest.approx(101.05)

    def test_the_last_idle_one_is_replaced_at_once(self) -> None:
        scene = warm(idle=1)
        assert scene.at(0, spent(W1)) == [StartWorker(worker=W2, block=1)]

    def test_one_too_many_is_retired_after_a_while_and_the_others_stay(self) -> None:
        scene = warm()
        scene.at(0, spent(W1), came(W1), spent(W2), came(W2))
        scene.at(1, WorkerReady(worker=W3), Tick())
        scene.at(0, WorkerReady(worker=W4))
        scene.at(1, SessionClosed(worker=W1, reusable=True))
        assert scene.states() == {"leased": 3, "busy": 1}
        assert scene.tick() == [RetireWorker(worker=W3)]
        assert scene.now == pytest.approx(132)
        assert scene.workers.next_deadline() == pytest.approx(142)  # of the one that retires

    def test_a_worker_that_misbehaved_is_retired(self) -> None:
        scene = in_state(WorkerState.BUSY)
        assert scene.at(0, SessionClosed(worker=W1, reusable=False))[0] == RetireWorker(worker=W1)


EITHER_ORDER = [(spent(W1), came(W1)), (came(W1), spent(W1))]


class TestAdmission:
    """A session begins with a call that both sides have reported."""

    @pytest.mark.parametrize(("first", "second"), EITHER_ORDER)
    def test_either_half_may_be_first(self, first: WorkerEvent, second: WorkerEvent) -> None:
        scene = warm()
        assert scene.at(0, first) == []
        assert scene.workers.roster.state(W1) is not WorkerState.BUSY
        call = AdmittedCall(invite=came(W1).invite, origin=ORIGIN)
        assert scene.at(1.9, second) == [BeginSession(worker=W1, call=call)]
        assert scene.workers.roster.state(W1) is WorkerState.BUSY

    @pytest.mark.parametrize(("first", "second"), EITHER_ORDER)
    def test_a_claim_that_was_overtaken_is_no_session(self, first: WorkerEvent, second: WorkerEvent) -> None:
        scene = in_state(WorkerState.CLAIMED)
        commands = scene.at(0, first, second, EdgeKnows(worker=W1, waiter=1))
        assert [type(each) for each in commands] == [RefuseWaiter, BeginSession]

    @pytest.mark.parametrize(
        ("first", "second", "state"),
        [(spent(W1), came(W1, "other"), S.TAKEN), (came(W1), spent(W1, "other"), S.ARRIVED)],
    )
    def test_halves_of_two_calls_are_none(
        self, first: WorkerEvent, second: WorkerEvent, state: WorkerState
    ) -> None:
        scene = warm(most=2)
        assert scene.at(0, first, second) == [
            Report(text="a call that the edge has not sent", worker=W1, state=state),
            RefuseCall(worker=W1),
            RetireWorker(worker=W1),
        ]

    def test_a_call_of_which_the_edge_says_nothing_is_refused_in_time(self) -> None:
        scene = warm(most=2)
        assert scene.at(0, came(W1)) == []
        assert scene.at(1.9, Tick()) == []
        assert scene.at(0.1, Tick()) == [
            Report(text="the edge has not said whose a call is", worker=W1, state=S.ARRIVED),
            RefuseCall(worker=W1),
            RetireWorker(worker=W1),
        ]
        assert scene.at(0, spent(W1)) == []  # it is too late

    def test_what_was_said_of_one_call_is_not_the_next_ones(self) -> None:
        scene = warm(most=2)
        scene.at(0, spent(W1), came(W1), SessionClosed(worker=W1, reusable=True))
        assert scene.at(0, came(W1, "second")) == []
        assert scene.workers.roster.state(W1) is WorkerState.ARRIVED


class TestTime:
    def test_a_lease_that_brings_no_call_is_a_broken_worker(self) -> None:
        scene = in_state(WorkerState.TAKEN)
        scene.tick()  # its replacement
        scene.at(0.5, WorkerReady(worker=W3))
        assert scene.tick() == [RetireWorker(worker=W1)]
        assert scene.now == pytest.approx(103)

    def test_a_session_that_does_not_end_is_killed_and_its_socket_says_the_rest(self) -> None:
        scene = in_state(WorkerState.BUSY)
        scene.at(0, Tick(), WorkerReady(worker=W3), SessionEnding(worker=W1))
        scene.at(30, SessionEnding(worker=W1))
        scene.at(29.9, Tick())
        assert scene.workers.roster.state(W1) is WorkerState.BUSY
        assert KillWorker(worker=W1) in scene.at(0.2, Tick())
        assert ForgetWorker(worker=W1) in scene.at(0, SocketClosed(worker=W1))

    def test_the_end_of_one_session_is_not_the_next_ones(self) -> None:
        scene = warm(idle=1, most=1)
        scene.at(0, spent(W1), came(W1))
        scene.at(0, SessionEnding(worker=W1), SessionClosed(worker=W1, reusable=True))
        scene.at(50, spent(W1), came(W1))
        assert scene.at(20, Tick()) == []

    def test_a_session_may_last(self) -> None:
        scene = in_state(WorkerState.BUSY)
        scene.at(1, Tick(), WorkerReady(worker=W3))
        assert scene.workers.next_deadline() is None

    def test_a_worker_that_does_not_end_is_killed_and_forgotten(self) -> None:
        scene = in_state(WorkerState.RETIRING)
        scene.at(0, Tick(), *(WorkerReady(worker=w) for w in (W2, W3)))
        commands = scene.at(10, Tick())
        assert [KillWorker(worker=W1), ForgetWorker(worker=W1)] == commands[1:3]
        assert scene.blocks.free == 2  # of four; w2 and w3 live

    def test_a_worker_that_does_not_start_is_killed_and_the_next_one_waits(self) -> None:
        scene = Scene(idle=1)
        scene.at(0, PoolOpened(), ForksUp())
        first, *rest = scene.tick()
        assert isinstance(first, Report)
        assert rest == [KillWorker(worker=W1), ForgetWorker(worker=W1)]
        assert scene.tick() == [StartWorker(worker=W2, block=1)]

    def test_starts_that_fail_come_after_longer_and_longer_pauses(self) -> None:
        scene = Scene(idle=1)
        scene.at(0, PoolOpened(), ForksUp())
        pauses = []
        for number in range(1, 10):
            scene.at(0, ProcessExited(worker=WorkerId(f"w{number}")))
            assert scene.workers.starts_fail is (number >= 3)
            before = scene.now
            assert [type(each) for each in scene.tick()] == [StartWorker]
            pauses.append(round(scene.now - before, 3))
        assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
        scene.at(0, WorkerReady(worker=WorkerId("w10")))
        assert not scene.workers.starts_fail


class TestWaiting:
    def test_one_that_cannot_wait_gets_one_that_the_edge_would_keep(self) -> None:
        scene = warm(most=6)
        commands = scene.at(
            0, WorkerWanted(waiter=1), *(WorkerWanted(waiter=n, at_once=True) for n in (2, 3, 4))
        )
        assert [(each.waiter, each.worker) for each in commands if isinstance(each, ClaimWorker)] == [
            (2, W1),
            (3, W2),
        ]
        assert [each.worker for each in commands if isinstance(each, StartWorker)][:2] == [W3, W4]

    def test_an_idle_one_that_can_be_spared_is_claimed_and_given_when_the_edge_knows(self) -> None:
        scene = warm(idle=1, most=1)
        assert scene.at(0, WorkerWanted(waiter=1)) == [ClaimWorker(worker=W1, waiter=1, leased=True)]
        assert scene.at(0, EdgeKnows(worker=W1, waiter=1)) == [GiveWorker(worker=W1, waiter=1)]

    def test_else_a_new_one_is_started_for_it(self) -> None:
        scene = warm()
        assert scene.at(0, WorkerWanted(waiter=1)) == [StartWorker(worker=W3, block=2)]
        assert scene.at(0, WorkerReady(worker=W3)) == [ClaimWorker(worker=W3, waiter=1, leased=False)]

    def test_who_comes_when_all_are_busy_is_refused_at_once(self) -> None:
        scene = warm(idle=1, most=1)
        scene.at(0, came(W1))
        assert scene.at(0, WorkerWanted(waiter=1)) == [RefuseWaiter(waiter=1, reason="all workers are busy")]

    def test_a_call_that_overtakes_the_claim_has_the_worker(self) -> None:
        scene = warm(idle=1, most=2)
        scene.at(0, spent(W1))
        scene.at(0, WorkerReady(worker=W2), WorkerWanted(waiter=7))
        assert scene.workers.roster.state(W2) is WorkerState.CLAIMED
        assert scene.at(0, spent(W2)) == [RefuseWaiter(waiter=7, reason="all workers are busy")]
        assert scene.at(0, EdgeKnows(worker=W2, waiter=7)) == []

    def test_one_whose_claim_was_overtaken_is_served_before_others(self) -> None:
        scene = warm(idle=1, most=3)
        scene.at(0, ForksDown(), WorkerWanted(waiter=1), WorkerWanted(waiter=2))
        assert scene.workers.roster.state(W1) is WorkerState.CLAIMED
        scene.at(0, spent(W1), ForksUp())
        commands = scene.at(0, WorkerReady(worker=W2), WorkerReady(worker=W3))
        assert [each.waiter for each in commands if isinstance(each, ClaimWorker)] == [1, 2]

    def test_one_that_waits_behind_a_younger_one_is_refused_in_time_too(self) -> None:
        """Each of two claims was overtaken by a call: the younger waiter is in front of the older one."""
        scene = warm(idle=2, most=4)
        scene.at(0, ForksDown(), WorkerWanted(waiter=1))
        scene.at(3, WorkerWanted(waiter=2))
        scene.at(0.2, spent(W1), came(W1), spent(W2), came(W2))
        refused: list[int] = []
        for _ in range(9):  # the scene wants each deadline to be later than the last one
            refused += [each.waiter for each in scene.tick() if isinstance(each, RefuseWaiter)]
            if len(refused) == 2:
                break
        assert refused == [1, 2]

    def test_an_edge_that_does_not_answer_costs_the_worker(self) -> None:
        scene = in_state(WorkerState.CLAIMED)
        assert scene.tick()[:2] == [
            RefuseWaiter(waiter=1, reason="the edge does not answer"),
            RetireWorker(worker=W1),
        ]

    def test_one_for_whom_none_starts_in_time_is_refused(self) -> None:
        scene = Scene(idle=0)
        scene.at(0, PoolOpened(), WorkerWanted(waiter=1))
        assert scene.tick() == [RefuseWaiter(waiter=1, reason="no worker has started in time")]

    def test_the_worker_of_one_who_left_is_leased_again_once_the_edge_has_answered(self) -> None:
        scene = in_state(WorkerState.CLAIMED)
        assert scene.at(0, WaiterLeft(waiter=1)) == []
        assert scene.at(0, EdgeKnows(worker=W1, waiter=1)) == [GrantLease(worker=W1)]

    def test_one_who_left_is_not_served(self) -> None:
        scene = warm()
        scene.at(0, WorkerWanted(waiter=1), WaiterLeft(waiter=1))
        assert scene.at(0, WorkerReady(worker=W3)) == [GrantLease(worker=W3)]

    def test_the_end_of_the_node_refuses_all(self) -> None:
        scene = warm()
        scene.at(0, WorkerWanted(waiter=1))
        assert scene.at(0, PoolClosing()) == [RefuseWaiter(waiter=1, reason="all workers are busy")]
        assert scene.at(0, WorkerWanted(waiter=2)) == [RefuseWaiter(waiter=2, reason="all workers are busy")]


class TestForkServer:
    def test_what_it_was_ordered_is_ordered_again_from_the_next_one(self) -> None:
        scene = warm()
        scene.at(0, spent(W1))
        scene.at(1, Tick())
        assert scene.at(0, ForksDown()) == [ForgetWorker(worker=W3)]
        assert scene.at(5, Tick())[0] == RetireWorker(worker=W1)
        assert scene.at(0, ForksUp()) == [StartWorker(worker=W4, block=3)]

    def test_while_there_is_none_the_idle_ones_serve_who_waits(self) -> None:
        scene = warm()
        scene.at(0, ForksDown())
        assert scene.at(0, WorkerWanted(waiter=1)) == [ClaimWorker(worker=W1, waiter=1, leased=True)]
