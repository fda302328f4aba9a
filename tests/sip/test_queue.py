"""Calls that wait in a queue and agents that take them out, over real SIP, RTP and HTTP."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess
from tests.sip.queue_scene import answered, enqueues, queue_node, takes, talk

pytestmark = [pytest.mark.sip, pytest.mark.measured]


@pytest.fixture(scope="module")
async def module_node(
    module_app: WebApp, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[NodeProcess]:
    async with queue_node(module_app, tmp_path_factory.mktemp("node")) as node:
        yield node


async def test_wait_documents_are_asked_again_with_position_and_time(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    enqueues(app, "waits")
    app.reply("/wait", "<Response><Pause length='1'/></Response>")
    first = await answered(node, ann, "100")
    asked = await app.expect("/wait")
    assert (asked["QueuePosition"], asked["CurrentQueueSize"], asked["QueueTime"]) == ("1", "1", "0")
    assert asked["MaxQueueSize"] == "1000"
    assert asked["QueueSid"].startswith("QU")
    sid = asked["CallSid"]
    second = await answered(node, bob, "100")
    asked = await app.expect("/wait")
    while asked["CallSid"] == sid:
        asked = await app.expect("/wait")
    assert (asked["QueuePosition"], asked["CurrentQueueSize"]) == ("2", "2")
    times = [int(each["QueueTime"]) for each in app.of("/wait") if each["CallSid"] == sid]
    while times[-1] < 2:
        await app.expect("/wait")
        times = [int(each["QueueTime"]) for each in app.of("/wait") if each["CallSid"] == sid]
    assert times == sorted(times)
    await first.bye()
    left = await app.expect("/left")
    assert (left["QueueResult"], left["CallStatus"]) == ("hangup", "completed")
    while True:  # the other one moves up
        asked = await app.expect("/wait")
        if asked["CallSid"] != sid and asked["QueuePosition"] == "1":
            break
    await second.bye()
    await app.expect("/left")
    assert [each["QueueResult"] for each in app.of("/left")] == ["hangup", "hangup"]


async def test_leave_continues_with_the_next_verb(node: NodeProcess, app: WebApp, ann: Peer) -> None:
    enqueues(app, "leaves", after=f"<Redirect>{app.url('/next')}</Redirect>", action="")
    app.reply("/wait", "<Response><Leave/></Response>")
    app.reply("/next", "<Response><Hangup/></Response>")
    call = await answered(node, ann, "100")
    await app.expect("/next")
    await call.expect("BYE")


async def test_leave_is_reported_to_the_action_whose_document_runs(
    node: NodeProcess, app: WebApp, ann: Peer
) -> None:
    enqueues(app, "leaves2")
    app.reply("/wait", "<Response><Play>tone.wav</Play><Dial>100</Dial><Leave/></Response>")
    app.reply("/left", "<Response><Hangup/></Response>")
    call = await answered(node, ann, "100")
    left = await app.expect("/left")
    assert left["QueueResult"] == "leave"
    assert left["QueueSid"].startswith("QU")
    assert left["QueuePosition"] == "1"
    await call.expect("BYE")


async def test_hangup_in_the_wait_document_ends_the_call(node: NodeProcess, app: WebApp, ann: Peer) -> None:
    enqueues(app, "hangs")
    app.reply("/wait", "<Response><Hangup/></Response>")
    call = await answered(node, ann, "100")
    await call.expect("BYE")
    assert (await app.expect("/left"))["QueueResult"] == "hangup"


async def test_without_a_document_callers_hear_music(node: NodeProcess, app: WebApp, ann: Peer) -> None:
    enqueues(app, "music", wait=None)
    call = await answered(node, ann, "100")
    await call.media.expect_heard(2.0)
    heard = call.media.heard(1.0)
    assert abs(heard).max() > 500


async def test_an_agent_takes_the_first_caller_after_its_document(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    enqueues(app, "sales", wait=None)
    takes(app, "sales", url="/offer")
    release = app.hold("/offer")
    app.reply("/offer", "<Response><Pause length='1'/></Response>")
    caller = await answered(node, ann, "100")
    agent = await answered(node, bob, "700")
    offer = await app.expect("/offer")
    assert offer["DequeingCallSid"] == app.of("/agent")[-1]["CallSid"]
    assert offer["CallSid"] == app.of("/caller")[-1]["CallSid"]
    assert offer["QueueTime"].isdigit()
    await agent.media.expect_tone(440, min_dbfs=-35)  # ringback
    release.set()
    await talk(caller, agent)
    await agent.bye()
    left, done = await app.expect("/left"), await app.expect("/done")
    assert left["QueueResult"] == "bridged"
    assert left["DequeingCallSid"] == done["CallSid"]
    assert (done["DialCallStatus"], done["DialBridged"]) == ("completed", "true")
    assert done["DialCallSid"] == left["CallSid"]
    assert done["QueueSid"] == left["QueueSid"]
    await caller.media.expect_silence()
    await caller.bye()


async def test_the_caller_hangs_up_a_bridge_and_the_agent_goes_on(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    enqueues(app, "ends", wait=None)
    takes(app, "ends")
    caller = await answered(node, ann, "100")
    agent = await answered(node, bob, "700")
    await talk(caller, agent)
    await caller.bye()
    done = await app.expect("/done")
    assert done["DialCallStatus"] == "completed"
    assert done["CallStatus"] == "in-progress"
    assert (await app.expect("/left"))["QueueResult"] == "bridged"
    await agent.bye()


async def test_star_ends_the_bridge_and_is_not_heard(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    enqueues(app, "star", wait=None)
    takes(app, "star", hangupOnStar="true")
    caller = await answered(node, ann, "100")
    agent = await answered(node, bob, "700")
    await talk(caller, agent)
    await agent.media.send_digit("*")
    assert (await app.expect("/done"))["DialCallStatus"] == "completed"
    assert (await app.expect("/left"))["QueueResult"] == "bridged"
    assert caller.media.digits == ""
    await caller.bye()
    await agent.bye()


async def test_keys_by_info_reach_the_other_party_and_star_ends_the_bridge(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    enqueues(app, "info", wait=None)
    takes(app, "info", hangupOnStar="true")
    caller = await answered(node, ann, "100")
    agent = await answered(node, bob, "700")
    await talk(caller, agent)
    await caller.info_dtmf("7")
    await agent.media.expect_digit("7")
    await agent.info_dtmf("5")
    await caller.media.expect_digit("5")
    await agent.info_dtmf("*")
    assert (await app.expect("/done"))["DialCallStatus"] == "completed"
    assert (agent.media.digits, caller.media.digits) == ("7", "5")
    await caller.bye()
    await agent.bye()


async def test_a_caller_who_leaves_during_the_offer_frees_the_agent_for_the_next(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, carol: Peer
) -> None:
    enqueues(app, "next", wait=None)
    takes(app, "next", url="/offer")
    app.reply("/offer", "<Response><Pause length='30'/></Response>", "<Response/>")
    first = await answered(node, ann, "100")
    agent = await answered(node, bob, "700")
    await app.expect("/offer")
    await first.bye()
    assert (await app.expect("/left"))["QueueResult"] == "bridging-in-process"
    second = await answered(node, carol, "100")
    await talk(second, agent)
    assert len(app.of("/agent")) == 1
    await second.bye()
    await app.expect("/done")


async def test_a_caller_whose_agent_leaves_during_the_offer_keeps_its_place(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, carol: Peer
) -> None:
    enqueues(app, "keeps")
    app.reply("/wait", "<Response><Pause length='1'/></Response>")
    takes(app, "keeps", url="/offer")
    app.reply("/offer", "<Response><Pause length='30'/></Response>")
    first = await answered(node, ann, "100")
    sid = (await app.expect("/wait"))["CallSid"]
    await answered(node, carol, "101")
    agent = await answered(node, bob, "700")
    await app.expect("/offer")
    count = len(app.of("/wait"))
    await agent.bye()
    assert (await app.expect("/done"))["DialCallStatus"] == "no-answer"
    while not (again := [each for each in app.of("/wait")[count:] if each["CallSid"] == sid]):
        await app.expect("/wait")
    assert again[0]["QueuePosition"] == "1"
    assert int(again[0]["QueueTime"]) >= 1
    await first.bye()


async def test_nobody_waits(node: NodeProcess, app: WebApp, ann: Peer, bob: Peer) -> None:
    enqueues(app, "empty", wait=None)
    caller = await answered(node, ann, "100")
    await caller.bye()
    await app.expect("/left")
    takes(app, "empty", timeout="5")
    agent = await answered(node, bob, "700")
    answered_at = asyncio.get_running_loop().time()
    done = await app.expect("/done")
    assert (done["DialCallStatus"], done["DialBridged"]) == ("no-answer", "false")
    assert 4.8 < asyncio.get_running_loop().time() - answered_at < 7
    await agent.bye()


async def test_a_queue_that_does_not_exist(node: NodeProcess, app: WebApp, bob: Peer) -> None:
    takes(app, "no such queue")
    agent = await answered(node, bob, "700")
    done = await app.expect("/done")
    assert done["DialCallStatus"] == "failed"
    assert done.get("QueueSid") is None
    await agent.bye()


async def test_a_full_queue(node: NodeProcess, app: WebApp, ann: Peer, bob: Peer) -> None:
    enqueues(app, "small", wait=None, maxQueueSize="1")
    first = await answered(node, ann, "100")
    second = await answered(node, bob, "100")
    left = await app.expect("/left")
    assert left["QueueResult"] == "queue-full"
    assert left.get("QueueSid") is None
    assert left["CallSid"] == app.of("/caller")[-1]["CallSid"]
    await first.bye()
    await second.bye()
    await node.expect_log("twiml", number=14207)


async def test_the_first_document_fails(node: NodeProcess, app: WebApp, ann: Peer) -> None:
    enqueues(app, "broken")
    app.reply("/wait", "", status=500)
    app.reply("/left", "<Response><Hangup/></Response>")
    call = await answered(node, ann, "100")
    assert (await app.expect("/left"))["QueueResult"] == "error"
    await call.expect("BYE")


async def test_a_later_document_fails_and_the_place_is_kept(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    enqueues(app, "deploy")
    app.reply("/wait", "<Response><Pause length='1'/></Response>")
    caller = await answered(node, ann, "100")
    await app.expect("/wait")
    app.reply("/wait", "", status=500)
    await app.expect("/wait")
    heard = len(caller.media.heard()) / 8000
    await caller.media.expect_heard(heard + 2.0)
    assert abs(caller.media.heard(1.0)).max() > 500  # music meanwhile
    app.reply("/wait", "<Response><Pause length='1'/></Response>")
    failed = len(app.of("/wait"))
    while len(app.of("/wait")) <= failed + 1:
        await app.expect("/wait", timeout=20)
    takes(app, "deploy")
    agent = await answered(node, bob, "700")
    await talk(caller, agent)
    await agent.bye()
    assert (await app.expect("/left"))["QueueResult"] == "bridged"


async def test_keys_in_the_wait_document(node: NodeProcess, app: WebApp, ann: Peer) -> None:
    enqueues(app, "keys")
    gather = f"<Gather numDigits='1' timeout='20' action='{app.url('/key')}'/>"
    app.reply("/wait", f"<Response>{gather}</Response>")
    app.reply("/key", "<Response><Leave/></Response>")
    app.reply("/left", "<Response><Hangup/></Response>")
    call = await answered(node, ann, "100")
    await app.expect("/wait")
    await call.media.send_digit("5")
    assert (await app.expect("/key"))["Digits"] == "5"
    assert (await app.expect("/left"))["QueueResult"] == "leave"
    await call.expect("BYE")


async def test_a_redirect_in_the_wait_document_has_the_figures_of_the_queue(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    enqueues(app, "led on")
    app.reply("/wait", "<Response><Redirect>/more</Redirect></Response>")
    app.reply("/more", "<Response><Pause length='1'/><Redirect/></Response>")
    first = await answered(node, ann, "100")
    sid = (await app.expect("/more"))["CallSid"]
    second = await answered(node, bob, "100")
    asked = await app.expect("/more")
    while asked["CallSid"] == sid:
        asked = await app.expect("/more")
    assert (asked["QueuePosition"], asked["CurrentQueueSize"], asked["MaxQueueSize"]) == ("2", "2", "1000")
    await first.bye()
    while asked["QueuePosition"] != "1":
        asked = await app.expect("/more")
    assert int(asked["QueueTime"]) >= 1
    assert asked["QueueSid"].startswith("QU")
    assert len(app.of("/wait")) == 2
    await second.bye()


async def test_priority_callbacks_and_the_estimated_wait(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, carol: Peer
) -> None:
    app.reply("/queue-events", "", status=204)
    app.reply("/wait", "<Response><Pause length='60'/></Response>")
    enqueues(app, "urgent", wait=None, statusCallback=app.url("/queue-events"))
    first = await answered(node, ann, "100")
    assert (await app.expect("/queue-events"))["StatusCallbackEvent"] == "joined"
    enqueues(app, "urgent", wait=None, priority="5", statusCallback=app.url("/queue-events"))
    second = await answered(node, carol, "100")
    joined = await app.expect("/queue-events")
    assert (joined["StatusCallbackEvent"], joined["QueuePosition"]) == ("joined", "1")
    assert (joined["CurrentQueueSize"], joined["SequenceNumber"]) == ("2", "0")
    takes(app, "urgent")
    agent = await answered(node, bob, "700")
    await talk(second, agent)
    await agent.bye()
    events = [await app.expect("/queue-events") for _ in range(3)]
    assert [each["StatusCallbackEvent"] for each in events] == ["offered", "bridged", "left"]
    assert {each["CallSid"] for each in events} == {joined["CallSid"]}
    assert {each["DequeingCallSid"] for each in events} == {app.of("/agent")[-1]["CallSid"]}
    assert (events[2]["QueueResult"], events[2]["SequenceNumber"]) == ("bridged", "3")
    enqueues(app, "urgent")
    third = await answered(node, bob, "100")
    assert (await app.expect("/wait"))["EstimatedWait"].isdigit()
    for call in (first, second, third):
        await call.bye()


async def test_a_caller_is_told_its_position_and_leaves_when_it_has_waited_long_enough(
    node: NodeProcess, app: WebApp, ann: Peer
) -> None:
    words = f"waitUrl='' announcePosition='5' maxWait='8' action='{app.url('/left')}'"
    app.reply("/caller", f"<Response><Enqueue {words}>told</Enqueue></Response>")
    app.reply("/left", "<Response><Hangup/></Response>")
    call = await answered(node, ann, "100")
    await call.media.expect_heard(4.0)
    assert abs(call.media.heard(3.5)).max() < 500
    await call.media.expect_heard(7.8)
    assert abs(call.media.heard(3.0)).max() > 2000  # five seconds after it came
    left = await app.expect("/left")
    assert (left["QueueResult"], left["QueuePosition"]) == ("leave", "1")
    assert 8 <= int(left["QueueTime"]) < 12
    await call.expect("BYE")


async def test_two_agents_at_once_and_one_caller(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, carol: Peer
) -> None:
    enqueues(app, "race", wait=None)
    takes(app, "race", timeout="60")
    for _ in range(20):
        app.forget()
        caller = await answered(node, ann, "100")
        await app.expect("/caller")
        agents = await asyncio.gather(answered(node, bob, "700"), answered(node, carol, "701"))
        await caller.bye()
        done = await app.expect("/done")
        left = await app.expect("/left")
        assert left["DequeingCallSid"] == done["CallSid"]
        assert (left["QueueResult"], done["DialCallStatus"]) == ("bridged", "completed")
        # Only one of them had the caller: the other one still waits.
        assert len(app.of("/done")) == 1
        for each in agents:
            await each.bye()
        other = await app.expect("/done")
        assert (other["DialCallStatus"], other["DialBridged"]) == ("no-answer", "false")
        assert other["CallSid"] != done["CallSid"]


async def test_of_many_agents_at_once_each_caller_gets_one(
    node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    """Twenty callers, with two agents for each at the same time. Each bridge lasts its second."""
    enqueues(app, "races", wait=None)
    takes(app, "races", timeLimit="1", timeout="60")
    for _ in range(4):
        app.forget()
        callers = [await answered(node, ann, "100") for _ in range(5)]
        waiting = {each["CallSid"] for each in [await app.expect("/caller") for _ in callers]}
        agents = await asyncio.gather(*(answered(node, bob, "700") for _ in range(10)))
        left = [await app.expect("/left") for _ in callers]
        done = [await app.expect("/done") for _ in callers]
        assert {each["QueueResult"] for each in left} == {"bridged"}
        assert {each["DialCallStatus"] for each in done} == {"completed"}
        assert {each["CallSid"] for each in left} == {each["DialCallSid"] for each in done} == waiting
        assert {each["DequeingCallSid"] for each in left} == {each["CallSid"] for each in done}
        for agent in agents:
            await agent.bye()
        late = [await app.expect("/done") for _ in callers]
        assert {each["DialCallStatus"] for each in late} == {"no-answer"}
        for caller in callers:
            await caller.bye()
        assert len(app.of("/left")) == len(callers)
        await node.quiet()
