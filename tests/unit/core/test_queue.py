"""A queue: order, wait documents, offers, bridges, and the result of everybody."""

import pytest

from b2bua.core.ids import CallSid
from b2bua.core.queue import Queue
from b2bua.core.queue_inputs import (
    AgentLeft,
    CallerEntered,
    CallerExit,
    CloseQueue,
    DequeueCaller,
    Following,
    OfferEnded,
    PrioritizeCaller,
    ResizeQueue,
    WaitEnded,
    WaitFailed,
    WaitFetched,
)
from b2bua.core.queue_outputs import (
    AgentDone,
    AskWait,
    BridgeCalls,
    CallerDone,
    EndBridge,
    PlayRingback,
    PlayWait,
    QueueEvent,
    QueueResult,
    SayPosition,
    StartOffer,
    StopOffer,
    StopWait,
)
from b2bua.core.queue_table import AGENTS, CALLERS
from b2bua.core.room_inputs import Document
from b2bua.core.room_outputs import OrderRefused
from tests.unit.core.queue_scene import C1, C2, C3, OFFER, WAIT, Scene, X, Y, find

pytestmark = pytest.mark.unit


# -- waiting ----------------------------------------------------------------------------------------


def test_who_is_in_it():
    scene = Scene()
    assert scene.queue.unused and scene.queue.calls == []
    scene.caller(C1)
    assert scene.queue.calls == [C1] and scene.queue.has(C1) and not scene.queue.has(C2)


def test_a_wait_document_is_asked_with_the_figures_of_its_caller():
    scene = Scene(max_size=5)
    scene.caller(C1, WAIT, at=100.0)

    output = scene.caller(C2, WAIT, at=110.5)

    assert output == [
        AskWait(call=C2, document=WAIT, position=2, waited_s=0, average_s=5, size=2, max_size=5)
    ]
    assert scene.queue.average_wait_s(121.0) == 15
    assert Queue().average_wait_s(1.0) == 0


@pytest.mark.parametrize(("wait", "music"), [(Document(), True), (Document(""), False)])
def test_without_a_wait_document_there_is_music_or_silence(wait, music):
    assert Scene().caller(C1, wait) == [PlayWait(call=C1, music=music)]


def test_a_document_that_follows_is_asked_at_once_with_new_figures():
    scene = Scene()
    scene.caller(C1, WAIT, at=100.0)
    scene.caller(C2, WAIT, at=100.0)
    scene.send(WaitFetched(call=C2), 100.1)
    scene.caller_leaves(C1)
    following = Following(url="https://app.example/more", params=(("Digits", "1"),))

    [ask] = scene.send(WaitEnded(call=C2, following=following), 102.0)

    assert ask == AskWait(
        call=C2,
        document=WAIT,
        following=following,
        position=1,
        waited_s=2,
        average_s=2,
        size=1,
        max_size=1000,
    )
    scene.send(WaitEnded(call=C2), 102.5)
    assert scene.queue.next_deadline() == 103.0
    [again] = scene.tick(103.0)
    assert again.following is None


def test_priority_comes_before_the_order_of_entering_and_changes_live():
    scene = Scene()
    for call, priority in ((C1, 0), (C2, 5), (C3, 5)):
        scene.send(CallerEntered(call=call, priority=priority))
    assert [caller.call for caller in scene.queue.waiting] == [C2, C3, C1]
    assert scene.send(PrioritizeCaller(call=C1, priority=6)) == []
    assert scene.send(PrioritizeCaller(call=C2, priority=0)) == []
    assert [caller.call for caller in scene.queue.waiting] == [C1, C3, C2]
    assert find(scene.agent(X), BridgeCalls) == [BridgeCalls(call=C1, agent=X)]
    [refused] = scene.send(PrioritizeCaller(call=C1, priority=1))
    assert (refused.status, refused.code) == (404, 20404)


def test_a_caller_leaves_when_it_has_waited_long_enough_but_not_from_an_agent():
    scene = Scene()
    for call in (C1, C2):
        scene.send(CallerEntered(call=call, max_wait_s=10.0), 100.0)
    scene.agent(X, at=105.0, offer=OFFER)
    assert scene.queue.next_deadline() == 110.0
    assert [(done.call, done.result) for done in find(scene.tick(110.0), CallerDone)] == [(C2, "leave")]
    assert scene.queue.next_deadline() is None
    scene.agent_leaves(X)
    assert scene.queue.next_deadline() == 110.0  # back at its place, and its time is over
    assert [done.call for done in find(scene.tick(112.0), CallerDone)] == [C1]


def test_a_position_is_said_when_it_is_time_and_it_has_improved():
    scene = Scene()
    scene.caller(C1, at=100.0)
    scene.caller(C2, at=100.0)
    scene.send(CallerEntered(call=C3, say_every_s=20.0), 100.0)
    assert scene.queue.next_deadline() == 120.0
    assert scene.tick(120.0) == [SayPosition(call=C3, position=3)]
    assert scene.tick(140.0) == []
    scene.caller_leaves(C1)
    assert scene.queue.next_deadline() == 160.0
    assert scene.tick(160.0) == [SayPosition(call=C3, position=2)]


def test_the_wait_is_estimated_by_the_last_twenty_that_were_bridged():
    scene = Scene()
    assert find(scene.caller(C1, WAIT, at=100.0), AskWait)[0].estimated_s is None
    scene.agent(X, at=110.0)
    scene.agent_leaves(X)
    assert find(scene.caller(C2, WAIT, at=200.0), AskWait)[0].estimated_s == 10
    for number in range(20):
        call = CallSid(f"CA-{number + 10}")
        scene.agent(X, at=300.0 + number)
        scene.agent_leaves(X)
        scene.caller(call, at=300.0 + number)
    assert find(scene.caller(C3, WAIT, at=400.0), AskWait)[0].estimated_s is not None


def test_what_an_application_wants_to_know_of_its_caller():
    scene = Scene()
    scene.caller(C1, at=100.0)
    every = frozenset(("joined", "offered", "bridged", "left"))
    output = scene.send(CallerEntered(call=C2, events=every), 100.0)
    assert output[0] == QueueEvent(call=C2, name="joined", position=2, size=2, waited_s=0)
    scene.caller_leaves(C1)
    told = find(scene.agent(X, at=107.0, offer=OFFER), QueueEvent)
    assert told == [QueueEvent(call=C2, name="offered", position=1, size=0, waited_s=7, agent=X)]
    told = find(scene.send(OfferEnded(call=C2), 109.0), QueueEvent)
    assert told == [QueueEvent(call=C2, name="bridged", position=1, size=0, waited_s=7, agent=X)]
    told = find(scene.send(AgentLeft(call=X), 112.0), QueueEvent)
    assert [(each.name, each.result, each.bridge_s, each.agent) for each in told] == [
        ("left", "bridged", 3, X)
    ]
    assert find(scene.send(CallerEntered(call=C3, events=frozenset(("left",)))), QueueEvent) == []


def test_a_wait_document_that_has_run_out_is_asked_again_at_most_once_a_second():
    scene = Scene()
    scene.caller(C1, WAIT, at=100.0)
    scene.send(WaitFetched(call=C1), at=100.1)

    assert scene.send(WaitEnded(call=C1), at=100.3) == []
    assert scene.queue.next_deadline() == 101.0
    assert find(scene.tick(101.0), AskWait)[0].waited_s == 1
    assert scene.queue.next_deadline() is None
    assert find(scene.send(WaitEnded(call=C1), at=140.0), AskWait)[0].waited_s == 40


def test_a_caller_whose_first_document_fails_gets_an_error():
    scene = Scene()
    scene.caller(C1, WAIT, at=100.0)

    output = scene.send(WaitFailed(call=C1), at=102.5)

    assert output == [CallerDone(call=C1, result=QueueResult.ERROR, goes_on=True, waited_s=2, position=1)]


def test_a_caller_whose_later_documents_fail_keeps_its_place_and_hears_music():
    scene = Scene()
    scene.caller(C1, WAIT, at=100.0)
    scene.send(WaitFetched(call=C1))
    scene.send(WaitEnded(call=C1), at=110.0)
    waits = []
    for _ in range(5):
        assert scene.send(WaitFailed(call=C1), at=scene.now + 0.5) == [PlayWait(call=C1, music=True)]
        due = scene.queue.next_deadline()
        waits.append(due - scene.now)
        assert find(scene.tick(due), AskWait)

    assert waits == [5.0, 10.0, 30.0, 30.0, 30.0]
    scene.send(WaitFetched(call=C1))
    scene.send(WaitEnded(call=C1), at=500.0)
    scene.send(WaitFailed(call=C1))
    assert scene.queue.next_deadline() == scene.now + 5.0


@pytest.mark.parametrize(
    ("way", "result", "goes_on"),
    [
        (CallerExit.LEAVE, QueueResult.LEAVE, True),
        (CallerExit.HANGUP, QueueResult.HANGUP, False),
        (CallerExit.HUNG_UP, QueueResult.HANGUP, False),
        (CallerExit.REDIRECTED, QueueResult.REDIRECTED, False),
        (CallerExit.CRASHED, QueueResult.SYSTEM_ERROR, True),
    ],
)
def test_each_way_of_leaving_while_waiting_has_its_result(way, result, goes_on):
    scene = Scene()
    scene.caller(C1)
    scene.caller(C2, at=110.0)

    (done,) = scene.caller_leaves(C2, way)

    assert done == CallerDone(call=C2, result=result, goes_on=goes_on, waited_s=1, position=2)
    assert [caller.call for caller in scene.queue.waiting] == [C1]


def test_a_full_queue_takes_nobody_and_throws_nobody_out():
    scene = Scene(max_size=2)
    scene.caller(C1)
    scene.caller(C2)
    scene.send(ResizeQueue(max_size=1))
    assert scene.queue.max_size == 1

    assert scene.caller(C3) == [CallerDone(call=C3, result=QueueResult.FULL, goes_on=True, queued=False)]
    assert len(scene.queue.waiting) == 2


def test_an_offered_caller_has_left_its_place_at_once():
    scene = Scene(max_size=1)
    scene.caller(C1)
    scene.agent(X, offer=OFFER)

    assert find(scene.caller(C2), PlayWait)


# -- bridges ----------------------------------------------------------------------------------------


def test_the_first_caller_is_bridged_and_its_document_goes_on():
    scene = Scene()
    scene.caller(C1, at=100.0)
    scene.caller(C2, at=105.0)

    assert scene.agent(X, at=110.0) == [
        PlayRingback(agent=X),
        StopWait(call=C1),
        BridgeCalls(call=C1, agent=X),
    ]
    scene.now = 129.0
    assert scene.agent_leaves(X) == [
        EndBridge(call=C1, agent=X),
        AgentDone(agent=X, status="completed", caller=C1, waited_s=10, bridge_s=20),
        CallerDone(
            call=C1,
            result=QueueResult.BRIDGED,
            goes_on=True,
            waited_s=10,
            position=1,
            agent=X,
            bridge_s=20,
        ),
    ]
    assert not scene.queue.unused


@pytest.mark.parametrize(
    ("way", "result"),
    [
        (CallerExit.HUNG_UP, QueueResult.BRIDGED),
        (CallerExit.CRASHED, QueueResult.BRIDGED),
        (CallerExit.REDIRECTED, QueueResult.REDIRECTED_FROM_BRIDGE),
    ],
)
def test_a_caller_that_leaves_its_bridge_has_no_document_left(way, result):
    scene = Scene()
    scene.caller(C1)
    scene.agent(X)

    output = scene.caller_leaves(C1, way)

    (done,) = find(output, CallerDone)
    assert (done.result, done.goes_on) == (result, False)
    assert find(output, AgentDone)[0].status == "completed"
    assert scene.queue.unused


def test_an_agent_that_waits_gets_the_next_caller_without_a_wait_document():
    scene = Scene()
    assert scene.agent(X) == [PlayRingback(agent=X)]
    scene.agent(Y)

    output = scene.caller(C1, WAIT)

    assert output == [StopWait(call=C1), BridgeCalls(call=C1, agent=X)]
    assert find(scene.caller(C2, WAIT), BridgeCalls) == [BridgeCalls(call=C2, agent=Y)]


def test_an_agent_that_nobody_comes_to_gives_up_in_time():
    scene = Scene()
    scene.agent(X, at=100.0, timeout_s=5.0)
    assert scene.queue.next_deadline() == 105.0
    assert scene.tick(104.9) == []

    assert scene.tick(105.0) == [AgentDone(agent=X, status="no-answer")]
    scene.agent(Y)
    assert scene.agent_leaves(Y) == [AgentDone(agent=Y, status="no-answer")]


# -- offers -----------------------------------------------------------------------------------------


def test_the_document_before_the_bridge_comes_first():
    scene = Scene()
    scene.caller(C1, WAIT, at=100.0)

    output = scene.agent(X, at=107.0, offer=OFFER)

    assert output == [
        PlayRingback(agent=X),
        StopWait(call=C1),
        StartOffer(call=C1, agent=X, document=OFFER, waited_s=7),
    ]
    for late in (WaitFetched(call=C1), WaitEnded(call=C1), WaitFailed(call=C1)):
        assert scene.send(late) == []
    assert scene.caller_leaves(C1, CallerExit.LEAVE) == []
    assert scene.offer_ends(C1) == [BridgeCalls(call=C1, agent=X)]
    assert scene.caller_leaves(C1, CallerExit.HANGUP) == []
    assert scene.send(WaitEnded(call=C1)) == []
    assert not scene.queue.unexpected
    assert scene.offer_ends(C1) == []
    assert scene.queue.unexpected == {"bridged OfferEnded": 1}


def test_a_caller_goes_back_to_its_place_and_time_when_its_agent_leaves():
    scene = Scene()
    scene.caller(C1, WAIT, at=100.0)
    scene.caller(C2, at=101.0)
    scene.agent(X, at=110.0, offer=OFFER)

    output = scene.agent_leaves(X)

    assert output[:2] == [StopOffer(call=C1), AgentDone(agent=X, status="no-answer")]
    (asked,) = find(output, AskWait)
    assert (asked.position, asked.waited_s, asked.size) == (1, 11, 2)
    assert [caller.call for caller in scene.queue.waiting] == [C1, C2]


def test_a_caller_that_goes_back_meets_the_agent_that_waits():
    scene = Scene()
    scene.caller(C1)
    scene.agent(X, offer=OFFER)
    scene.agent(Y)

    output = scene.agent_leaves(X)

    assert find(output, PlayWait) == []
    assert find(output, BridgeCalls) == [BridgeCalls(call=C1, agent=Y)]


@pytest.mark.parametrize(
    ("way", "result"),
    [
        (CallerExit.HUNG_UP, QueueResult.BRIDGING),
        (CallerExit.REDIRECTED, QueueResult.BRIDGING),
        (CallerExit.CRASHED, QueueResult.SYSTEM_ERROR),
    ],
)
def test_an_agent_whose_caller_leaves_before_the_bridge_waits_for_the_rest_of_its_time(way, result):
    scene = Scene()
    scene.caller(C1, at=100.0)
    scene.agent(X, at=110.0, timeout_s=30.0, offer=OFFER)
    assert scene.queue.next_deadline() is None
    scene.now = 149.0

    (done,) = scene.caller_leaves(C1, way)

    assert (done.result, done.agent, done.waited_s) == (result, X, 10)
    assert scene.queue.next_deadline() == 180.0
    assert find(scene.caller(C2), StartOffer)[0].agent == X


def test_an_agent_can_ask_for_one_caller():
    scene = Scene()
    scene.caller(C1)
    scene.caller(C2)

    output = scene.agent(X, caller=C2, offer=OFFER)
    assert find(output, StartOffer)[0].call == C2
    assert scene.agent(Y, caller=C2) == [AgentDone(agent=Y, status="failed", number=14214)]
    assert scene.agent(Y, caller=C3) == [AgentDone(agent=Y, status="failed", number=14214)]

    output = scene.caller_leaves(C2)
    assert find(output, CallerDone)[0].position == 2
    assert find(output, AgentDone) == [AgentDone(agent=X, status="failed", number=14214)]
    assert [caller.call for caller in scene.queue.waiting] == [C1]


# -- orders -----------------------------------------------------------------------------------------


def test_rest_takes_out_the_first_or_a_certain_caller():
    scene = Scene()
    for call in (C1, C2, C3):
        scene.caller(call)

    (done,) = scene.send(DequeueCaller(call=C2))
    assert (done.call, done.result, done.goes_on) == (C2, QueueResult.REDIRECTED, False)
    assert scene.send(DequeueCaller())[0].call == C1
    scene.agent(X)
    for order in (DequeueCaller(), DequeueCaller(call=C3)):
        (refusal,) = scene.send(order)
        assert isinstance(refusal, OrderRefused)
        assert (refusal.status, refusal.code) == (404, 20404)


def test_a_queue_that_closes_ends_all_waiting_and_no_bridge():
    scene = Scene()
    scene.caller(C1)
    scene.agent(X)
    scene.caller(C2)
    scene.agent(Y, offer=OFFER)
    scene.caller(C3)

    output = scene.send(CloseQueue())

    assert {(done.call, done.result) for done in find(output, CallerDone)} == {
        (C2, QueueResult.SYSTEM_ERROR),
        (C3, QueueResult.SYSTEM_ERROR),
    }
    assert find(output, AgentDone) == [AgentDone(agent=Y, status="failed")]
    assert scene.agent(Y) == [AgentDone(agent=Y, status="failed")]
    (done,) = scene.caller(C3)
    assert (done.result, done.queued) == (QueueResult.SYSTEM_ERROR, False)
    assert find(scene.agent_leaves(X), CallerDone)[0].result is QueueResult.BRIDGED


# -- the tables -------------------------------------------------------------------------------------


def test_every_handler_of_the_tables_exists():
    assert all(hasattr(Queue, handler) for handler in (*CALLERS.values(), *AGENTS.values()) if handler)


def test_what_is_not_legal_is_counted():
    scene = Scene()
    scene.caller(C1)

    assert scene.caller(C1) == []
    assert scene.offer_ends(C1) == []
    assert scene.offer_ends(C2) == []
    assert scene.agent_leaves(X) == []
    scene.agent(X)
    assert scene.agent(X) == []
    assert scene.queue.unexpected == {
        "waiting CallerEntered": 1,
        "waiting OfferEnded": 1,
        "absent OfferEnded": 1,
        "absent AgentLeft": 1,
        "absent AgentEntered": 1,
    }
    assert OfferEnded not in {kind for _, kind in AGENTS}
