"""Wherever and whenever a session raises, its call ends once and completely, and is reported as failed."""

import asyncio
import functools
import gc
import logging
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable
from unittest import mock

import pytest
from prometheus_client import generate_latest

from b2bua.calls.caller import Caller
from b2bua.calls.dial_run import DialRun
from b2bua.calls.orders import CallCanceled, ChangeRecording, RecordCall, Redirected
from b2bua.calls.outbound import OutboundCall
from b2bua.core.commands import InviteLeg
from b2bua.core.ids import CallSid, LegId, SipCallId
from b2bua.node import session_facts
from b2bua.sip.uri import parse_uri
from b2bua.web.metrics import Metrics
from tests.effort import THOROUGH
from tests.unit.node.faults import Fault, injected, traced
from tests.unit.node.scene import A, Clock, JumpingLoop, Story, World, incoming

pytestmark = pytest.mark.unit

CHILD = 'statusCallback="http://app.test/child" statusCallbackEvent="initiated ringing answered completed"'
PAGES = {
    "http://app.test/voice": f"""<Response>
        <Dial action="/after" referUrl="/refer" answerOnBridge="true" record="record-from-answer-dual">
        <Sip {CHILD}>sip:bob@192.0.2.9</Sip><Sip {CHILD}>sip:carol@192.0.2.7</Sip></Dial></Response>""",
    "http://app.test/refer": f"""<Response><Dial action="/after-transfer">
        <Sip {CHILD}>sip:dave@192.0.2.5</Sip></Dial></Response>""",
    "http://app.test/after": "<Response><Pause length='2'/></Response>",
    "http://app.test/verbs": """<Response><Say>hello</Say><Gather numDigits="1" action="/next" timeout="3">
        <Say>press</Say></Gather></Response>""",
    "http://app.test/next": f"""<Response><Record action="/recorded" timeout="0" maxLength="5"/>
        <Dial action="/after" timeout="5"><Sip {CHILD}>sip:bob@192.0.2.9</Sip></Dial></Response>""",
    "http://app.test/recorded": f"""<Response><Dial action="/after" timeout="5">
        <Sip {CHILD} url="/screen">sip:bob@192.0.2.9</Sip></Dial></Response>""",
    "http://app.test/screen": """<Response><Gather numDigits="1" action="/accept"><Say>take it?</Say>
        </Gather><Hangup/></Response>""",
    "http://app.test/accept": "<Response/>",
}


async def bridged(world: World) -> Story:
    """A fork whose second callee fails, a bridge that is recorded, keys, and the caller's BYE."""
    story = Story(world, incoming())
    await story.moment()
    await story.rings("b1")
    await story.ends("b2", 486)
    await story.answers("b1")
    await story.confirms()
    await story.presses("5")
    await story.presses("6", "b1")
    await story.ends(A)
    return story


async def transferred(world: World) -> Story:
    """The callee transfers the caller to a third party; both of them hang up."""
    story = Story(world, incoming())
    await story.moment()
    await story.answers("b1")
    await story.confirms()
    await story.refers("b1")
    await story.moment()
    await story.rings("b3")
    await story.answers("b3")
    await story.ends("b3")
    await story.moment(1)
    return story


async def verbs(world: World) -> Story:
    """A text, a key, a recorded message, a callee who is screened, accepts and hangs up."""
    story = Story(world, incoming(), voice_url="http://app.test/verbs")
    await story.moment()
    await story.confirms()
    await story.moment(2)
    await story.presses("1")
    await story.moment(4)
    await story.presses("#")
    await story.moment(1)
    await story.answers("b1")
    await story.moment(1)
    await story.presses("1", "b1")
    await story.moment(1)
    await story.ends("b1")
    await story.moment(5)
    return story


async def timed_out(world: World) -> Story:
    """Nobody answers; the document of the action runs to its end."""
    story = Story(world, incoming(), voice_url="http://app.test/next")
    await story.moment(20)
    return story


async def ordered(world: World) -> Story:
    """A call that REST makes, records, pauses, redirects and ends."""
    opening = OutboundCall(
        invites=(
            InviteLeg(
                leg=A,
                sip_call_id=SipCallId("o"),
                uri="sip:bob@192.0.2.9",
                from_header="<sip:+14155550123@node.test>",
            ),
        ),
        caller=Caller.of_ours(
            "+14155550123", "sip:bob@192.0.2.9", parse_uri("sip:bob@192.0.2.9"), SipCallId("o")
        ),
    )
    story = Story(world, opening)
    await story.moment()
    await story.rings(A)
    await story.answers(A)
    sid = story.call.sid
    story.call.bring(RecordCall(call_sid=sid, dual=True, track="both", trim=False))
    await story.moment()
    story.call.bring(ChangeRecording(call_sid=sid, recording=None, status="paused"))
    await story.answers("b1")
    child = next((row.sid for row in world.rows.values() if row.parent_sid), "CA0")
    story.call.bring(CallCanceled(call_sid=CallSid(child), by="api"))
    await story.moment()
    story.call.bring(Redirected(call_sid=sid, url="http://app.test/next"))
    await story.moment()
    story.call.bring(CallCanceled(by="api"))
    await story.moment()
    return story


async def lost(world: World) -> Story:
    """The worker dies in a bridge that is recorded."""
    story = Story(world, incoming())
    await story.moment()
    await story.answers("b1")
    await story.confirms()
    world.dies()
    story.call.worker_lost(world.worker)
    await story.moment()
    return story


STORIES: dict[str, Callable[[World], Awaitable[Story]]] = {
    story.__name__: story for story in (bridged, transferred, verbs, timed_out, ordered, lost)
}
ACTIONS = {"http://app.test/after", "http://app.test/after-transfer"}
TRUSTED = (
    "CallReport.",
    "CallDocuments.",
    "FrameDocument.request",
    "FrameDocument.resolve",
    "FrameDocument.notes",
    "FrameStack.report_of",
    "Session.report_of",
    "DialTargets.report_of",
)
"""Functions that build reports: while one of these raises, some reports cannot be made."""


def play(name: str, *, look_for_garbage: bool = False) -> tuple[World, list[str]]:
    """Run a story to its end and an hour beyond; returns what is left and should not be.

    Thousands of stories are played: those with a fault without asyncio's debug mode.
    """
    debug = None if look_for_garbage else False
    with asyncio.Runner(debug=debug, loop_factory=JumpingLoop) as runner:
        return runner.run(_play(name, look_for_garbage))


async def _play(name: str, look_for_garbage: bool) -> tuple[World, list[str]]:
    world = World(PAGES)
    with mock.patch.object(session_facts, "time", Clock):
        story = await STORIES[name](world)
        await asyncio.sleep(60)
    wrong = ["a timer is left"] * bool(world.loop.timers) + ["a task is left"] * bool(world.tasks)
    if look_for_garbage:
        call = weakref.ref(story.call)
        world.sink = lambda event: None
        del story
        gc.collect()
        wrong += ["the call is kept in memory"] * (call() is not None)
    return world, wrong


def troubles(world: World) -> list[str]:
    """Violations, whatever has happened."""
    wrong = [f"{leg} is {state}" for leg, state in world.legs.items() if state != "ended"]
    wrong += [f"{sid} has not ended" for sid, row in world.rows.items() if row.ended_at is None]
    wrong += [f"{sid} is finished {1 - n} times" for sid, n in world.kept.items() if n]
    if (world.over, world.ends) != (1, 1):
        wrong.append(f"over {world.over} times, EndSession {world.ends} times")
    wrong += [f"the row of {sid} has ended twice" for sid in world.ended_twice]
    if world.after_end:
        wrong.append(f"the worker is written to after the end: {world.after_end}")
    return wrong


def unsaid(world: World) -> list[str]:
    """Reports that the application waits for in vain, or has received twice."""
    last = Counter(
        params["CallSid"]
        for params in (dict(request.params) for request in world.posted)
        if params["CallStatus"] not in ("queued", "initiated", "ringing", "in-progress")
    )
    wrong = [f"{sid} has {last[sid]} last words" for sid in world.rows if last[sid] != 1]
    actions = sum(order.url in ACTIONS for order in world.asked)
    # Whether it is owed where a Dial has begun and its INVITEs were lost is anybody's choice.
    if actions > 1 or actions < ("b1" in world.legs):
        wrong.append(f"action was asked for {actions} times")
    return wrong


def session_faults(world: World) -> bytes:
    """The metric, without the cost of writing all others too."""
    return generate_latest(world.metrics.registry.restricted_registry(["b2bua_session_faults_total"]))


@pytest.mark.parametrize("name", STORIES)
def test_without_a_fault_all_ends_well(name: str) -> None:
    world, wrong = play(name, look_for_garbage=True)
    assert wrong + troubles(world) + unsaid(world) == []
    assert not [note for note in world.notes if note.number == 12400]
    assert world.lost_facts == []
    assert b"b2bua_session_faults_total 0.0" in session_faults(world)


@functools.cache
def calls_in(name: str) -> Counter[str]:
    """How often a story calls each method."""
    calls: list[str] = []
    with traced(calls):
        play(name)
    return Counter(calls)


def faults_in(name: str) -> list[tuple[Fault, Fault]]:
    """In each method that a story calls: at its first call and at its last, once and repeatedly."""
    faults = []
    for method, count in calls_in(name).items():
        last = count - 1
        faults += [
            (Fault(method, 0, "before", lasts=False), Fault(method, last, "before", lasts=True)),
            (Fault(method, 0, "after", lasts=True), Fault(method, last, "after", lasts=False)),
        ]
    return faults


def tried_in(name: str) -> list[Fault]:
    """The faults that this story tries: a method that several stories call has the two pairs in turn.

    In all, each method has each kind of fault. With ``B2BUA_TESTS=thorough``, each story tries all.
    """
    tried = []
    for number, pair in enumerate(faults_in(name)):
        callers = [story for story in STORIES if pair[0].method in calls_in(story)]
        if THOROUGH or len(callers) == 1 or callers.index(name) % 2 == number % 2:
            tried += pair
    return tried


def test_each_method_has_each_kind_of_fault() -> None:
    tried = [fault for name in STORIES for fault in tried_in(name)]
    called = {method for name in STORIES for method in calls_in(name)}
    kinds = {(fault.method, fault.when, fault.lasts) for fault in tried}
    assert len(called) > 200
    assert kinds == {(m, when, lasts) for m in called for when in ("before", "after") for lasts in (0, 1)}


@pytest.mark.no_cover  # it would double the time, and covers nothing that other tests do not
@pytest.mark.parametrize("name", STORIES)
def test_whatever_raises_the_call_ends_entirely(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    assert 2 * len(faults_in(name)) > 400
    for fault in tried_in(name):
        with injected(fault) as raised:
            world, wrong = play(name)
        assert raised[0], fault
        wrong += troubles(world)
        if not (fault.lasts and fault.method.startswith(TRUSTED)):
            wrong += unsaid(world)
        assert wrong == [], fault
        assert [note.call_sid for note in world.notes if note.number == 12400] == ["CA1"], fault
        assert world.lost_facts == [], fault
        assert b"b2bua_session_faults_total " in session_faults(world)
        assert b"b2bua_session_faults_total 0.0" not in session_faults(world)


@pytest.mark.parametrize("lasts", [False, True], ids=["in order", "without its session"])
def test_a_bridge_that_fails_is_told_as_failed(lasts: bool) -> None:
    fault = Fault("Dial.handle", 5, "before", lasts=True)
    if not lasts:
        fault = Fault("DialBridge._on_callee_dtmf", 0, "before", lasts=False)
    with injected(fault):
        world, _ = play("bridged")
    (action,) = (dict(order.params) for order in world.asked if order.url in ACTIONS)
    told = {name: action[name] for name in ("DialCallStatus", "DialBridged", "DialCallSid", "CallStatus")}
    assert told == {
        "DialCallStatus": "failed",
        "DialBridged": "true",
        "DialCallSid": "CA2",
        "CallStatus": "failed",
    }
    last = {call["CallSid"]: call["CallStatus"] for call in map(dict, (r.params for r in world.posted))}
    assert last == {"CA1": "failed", "CA2": "failed", "CA3": "busy"}
    assert {sid: row.status for sid, row in world.rows.items()} == last


def test_a_caller_who_waits_for_an_answer_gets_500() -> None:
    with injected(Fault("DialRinging._on_progress", 0, "before", lasts=False)):
        world, _ = play("bridged")
    assert world.codes[A] == 500
    assert set(world.codes) == {A, "b1", "b2"}


def test_a_session_that_has_failed_and_does_not_end_is_given_up() -> None:
    """Nothing raises any more, but the end of the Dial is never noticed."""
    with injected(Fault("DialRinging._on_progress", 0, "before", lasts=False)):
        with mock.patch.object(DialRun, "open_legs", (LegId("b1"),)):
            world, wrong = play("bridged")
    assert wrong + troubles(world) + unsaid(world) == []


AROUND = ["put", "post", "fetch", "prepare", "keep", "follow", "finish", "send"]
COUNTED = ["session_failed", "finding", "call_started", "call_ended", "dial_ended", "webhook"]


@pytest.mark.no_cover
@pytest.mark.parametrize("lasts", [False, True])
@pytest.mark.parametrize("method", [*AROUND, *COUNTED])
def test_an_order_that_cannot_be_carried_out_does_not_keep_the_others_from_it(
    method: str, lasts: bool
) -> None:
    owner = World if method in AROUND else Metrics
    for name in STORIES:
        for nth in range(3):
            with injected(Fault(f"{owner.__name__}.{method}", nth, "before", lasts=lasts)) as raised:
                world, wrong = play(name)
            if not raised[0]:
                break  # nor would it be at a later call
            if method == "send" and not lasts:
                world.ends = 1  # that it is told may be what has failed
            if method == "finish":
                world.kept.clear()  # it is what has failed
            if not (lasts and method in ("send", "put")):
                assert wrong + troubles(world) == [], (name, nth)
            if lasts and method == "send":
                assert (wrong, world.over) == ([], 1), (name, nth)
            if lasts and method == "put":
                assert {state for state in world.legs.values()} == {"ended"}, (name, nth)
                assert (wrong, world.over, world.ends) == ([], 1, 1), (name, nth)
