"""Whatever happens to a queue: no caller is lost, in two bridges, or told two results."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.core.ids import CallSid
from b2bua.core.queue_inputs import (
    AgentEntered,
    AgentLeft,
    CallerEntered,
    CallerExit,
    CallerLeft,
    CloseQueue,
    DequeueCaller,
    Following,
    OfferEnded,
    PrioritizeCaller,
    QueueInput,
    ResizeQueue,
    WaitEnded,
    WaitFailed,
    WaitFetched,
)
from b2bua.core.queue_outputs import BridgeCalls
from b2bua.core.room_inputs import Document
from tests.effort import examples
from tests.unit.core.queue_scene import C1, OFFER, WAIT, Scene, X, Y, find

pytestmark = [pytest.mark.unit, pytest.mark.no_cover]

callers = st.sampled_from([CallSid(f"CA-c{number}") for number in range(5)])
agents = st.sampled_from([CallSid(f"CA-a{number}") for number in range(4)])
STEPS = st.lists(
    st.one_of(
        st.builds(CallerEntered, call=callers, wait=st.sampled_from([WAIT, Document(), Document("")])),
        st.builds(CallerEntered, call=callers, wait=st.just(WAIT)),
        st.builds(
            AgentEntered,
            call=agents,
            timeout_s=st.sampled_from([1.0, 5.0, 60.0]),
            offer=st.sampled_from([None, OFFER]),
            caller=st.none() | st.none() | callers,
        ),
        st.builds(PrioritizeCaller, call=callers, priority=st.just(0)),
        st.builds(
            CallerEntered,
            call=callers,
            max_wait_s=st.sampled_from([None, 2.0]),
            say_every_s=st.sampled_from([None, 1.0]),
            events=st.just(frozenset(("joined", "offered", "bridged", "left"))),
        ),
        st.builds(WaitFetched, call=callers),
        st.builds(WaitEnded, call=callers, following=st.sampled_from([None, Following(url="http://a/b")])),
        st.builds(WaitFailed, call=callers),
        st.builds(CallerLeft, call=callers, exit=st.sampled_from(CallerExit)),
        st.builds(OfferEnded, call=callers),
        st.builds(AgentLeft, call=agents),
        st.builds(DequeueCaller, call=st.none() | callers),
        st.builds(ResizeQueue, max_size=st.integers(1, 6)),
        st.sampled_from(["tick", "due"]),
        st.sampled_from(["tick", "due", "due", CloseQueue()]),
    ),
    max_size=50,
)


@settings(database=None, max_examples=examples(150))
@given(size=st.integers(1, 5), steps=STEPS)
def test_nobody_is_lost_or_told_twice_or_in_two_bridges(size: int, steps: list[QueueInput | str]) -> None:
    scene = Scene(size)
    for step in steps:
        if isinstance(step, str):
            due = scene.queue.next_deadline() if step == "due" else None
            scene.tick(max(scene.now + 0.1, due or 0.0))
        else:
            scene.send(step, scene.now + 0.3)
        # Nobody waits for an agent while an agent waits for anybody.
        waiting_agents = {call for call, stage in scene.witness.agents.items() if stage == "waiting"}
        offered = {caller.agent for caller in scene.queue._course.callers.values() if caller.agent}
        assert not (scene.queue.waiting and waiting_agents - offered)
        entered = [caller.entered_at for caller in scene.queue.waiting]
        assert entered == sorted(entered)
    scene.send(CloseQueue())
    for agent in list(scene.witness.agents):
        scene.send(AgentLeft(call=agent))

    assert scene.queue.unused
    assert scene.queue.next_deadline() is None
    assert not scene.witness.callers and not scene.witness.agents


def test_a_thousand_races_of_two_agents_for_one_caller_have_one_bridge_each():
    chance = random.Random(7)
    for _ in range(1000):
        scene = Scene()
        events: list[QueueInput] = [
            CallerEntered(call=C1),
            AgentEntered(call=X, timeout_s=30.0),
            AgentEntered(call=Y, timeout_s=30.0),
        ]
        chance.shuffle(events)
        bridges = [bridge for event in events for bridge in find(scene.send(event, 100.0), BridgeCalls)]

        first = next(event.call for event in events if isinstance(event, AgentEntered))
        assert bridges == [BridgeCalls(call=C1, agent=first)]
