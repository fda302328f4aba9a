"""Conference rooms over real SIP and HTTP: who is in, what the application is told, how rooms end."""

import os
import signal
from collections.abc import AsyncIterator

import pytest

from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess
from tests.sip.room_scene import Room, room_node

pytestmark = [pytest.mark.sip, pytest.mark.measured]


@pytest.fixture(scope="module")
async def module_node(
    module_app: WebApp, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[NodeProcess]:
    async with room_node(module_app, tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture
def room(node: NodeProcess, app: WebApp) -> Room:
    return Room(node, app)


async def test_one_waits_and_the_second_starts_the_room(
    room: Room, app: WebApp, ann: Peer, bob: Peer
) -> None:
    app.reply("/wait", "<Response><Pause length='1'/></Response>")
    first = await room.join(ann, "100", waitUrl=app.url("/wait"))
    asked = await app.expect("/wait")
    assert asked["CallSid"] == room.sid("100")
    assert asked["FriendlyName"] == room.name
    joined = await room.event("participant-join")
    assert (joined["SequenceNumber"], joined["CallSid"]) == ("1", room.sid("100"))
    assert joined["ConferenceSid"] == asked["ConferenceSid"]
    assert (joined["Muted"], joined["Hold"], joined["Coaching"]) == ("false", "false", "false")
    second = await room.join(bob, "200")
    joined = await room.event("participant-join")
    assert (joined["SequenceNumber"], joined["CallSid"]) == ("2", room.sid("200"))
    started = await room.event("conference-start")
    assert (started["SequenceNumber"], started["FriendlyName"]) == ("3", room.name)
    await second.bye()
    left = await room.event("participant-leave")
    assert (left["ReasonParticipantLeft"], left["ParticipantCallStatus"]) == (
        "participant_hung_up",
        "completed",
    )
    await first.bye()
    await room.event("participant-leave")
    ended = await room.event("conference-end")
    assert ended["ReasonConferenceEnded"] == "last-participant-left"
    assert ended["CallSidEndingConference"] == room.sid("100")
    done = await app.expect("/done")
    assert (done["DialCallStatus"], done["ConferenceSid"]) == ("answered", joined["ConferenceSid"])


async def test_the_wait_document_is_asked_once_and_loops_by_redirect(
    room: Room, app: WebApp, ann: Peer, bob: Peer
) -> None:
    app.reply("/wait", "<Response><Pause length='1'/></Response>")
    app.reply("/loop", "<Response><Pause length='1'/><Redirect/></Response>")
    first = await room.join(ann, "100", waitUrl=app.url("/wait"), startConferenceOnEnter="false")
    second = await room.join(bob, "200", waitUrl=app.url("/loop"), startConferenceOnEnter="false")
    for _ in range(3):
        await app.expect("/loop")
    assert len(app.of("/wait")) == 1
    assert not [each for each in app.of("/events") if each["StatusCallbackEvent"] == "conference-start"]
    await first.bye()
    await second.bye()


async def test_a_wait_document_that_cannot_be_had_fails_the_dial(
    room: Room, app: WebApp, ann: Peer, bob: Peer
) -> None:
    app.reply("/wait", "", status=500)
    first = await room.join(ann, "100", waitUrl=app.url("/wait"))
    done = await app.expect("/done")
    assert done["DialCallStatus"] == "failed"
    second = await room.join(bob, "200")
    joined = await room.event("participant-join")  # of the other room, in which nobody was, nothing is told
    assert (joined["CallSid"], joined["SequenceNumber"]) == (room.sid("200"), "1")
    await first.bye()
    await second.bye()


async def test_a_callback_that_the_application_refuses_is_noted_with_the_call(
    room: Room, app: WebApp, ann: Peer
) -> None:
    app.reply("/refuses", "", status=403)
    call = await room.join(ann, "100", statusCallback=app.url("/refuses"))
    await app.expect("/refuses")
    await room.node.expect_log("twiml", number=16011, call_sid=room.sid("100"))
    sid = room.sid("100")
    [kept] = await room.sdk(lambda c: c.calls(sid).notifications.list())
    assert (kept.error_code, kept.log) == ("16011", "1")
    await call.bye()


@pytest.mark.parametrize(
    ("attributes", "number"),
    [
        ({"participantLabel": "a b"}, 16025),
        ({"coach": "CA" + "0" * 32}, 13240),
        ({"maxParticipants": "2"}, 0),
    ],
)
async def test_who_is_not_let_in(
    room: Room, app: WebApp, ann: Peer, bob: Peer, attributes: dict[str, str], number: int
) -> None:
    first = await room.join(ann, "100", participantLabel="a b")
    await room.event("participant-join")
    second = await room.join(bob, "200", **attributes)
    if number:
        done = await app.expect("/done")
        assert (done["CallSid"], done["DialCallStatus"]) == (room.sid("200"), "failed")
        await room.node.expect_log("twiml", number=number)
    else:
        await room.event("participant-join")
    await first.bye()
    await second.bye()


async def test_a_full_room(room: Room, app: WebApp, ann: Peer, bob: Peer, carol: Peer) -> None:
    calls = [
        await room.join(ann, "100", maxParticipants="2"),
        await room.join(bob, "200", maxParticipants="250"),
        await room.join(carol, "300"),
    ]
    done = await app.expect("/done")
    assert (done["CallSid"], done["DialCallStatus"]) == (room.sid("300"), "failed")
    await room.node.expect_log("twiml", number=16020)
    for call in calls:
        await call.bye()


async def test_the_moderator_ends_the_room_for_all(
    room: Room, app: WebApp, ann: Peer, bob: Peer, carol: Peer
) -> None:
    moderator = await room.join(ann, "100", endConferenceOnExit="true", participantLabel="boss")
    others = [await room.join(bob, "200"), await room.join(carol, "300")]
    for name in ("participant-join", "participant-join", "conference-start", "participant-join"):
        await room.event(name)
    await moderator.bye()
    left = [await room.event("participant-leave") for _ in range(3)]
    assert [each["CallSid"] for each in left] == [room.sid(number) for number in ("100", "200", "300")]
    assert [each["ReasonParticipantLeft"] for each in left] == [
        "participant_hung_up",
        "moderator_ended_conference",
        "moderator_ended_conference",
    ]
    assert [each["ParticipantCallStatus"] for each in left] == ["completed", "in-progress", "in-progress"]
    ended = await room.event("conference-end")
    assert ended["ReasonConferenceEnded"] == "participant-with-end-conference-on-exit-left"
    assert ended["CallSidEndingConference"] == room.sid("100")
    assert ended["ParticipantLabelEndingConference"] == "boss"
    done = [await app.expect("/done") for _ in range(3)]
    assert {each["DialCallStatus"] for each in done} == {"answered"}
    for call in others:  # their documents go on
        await call.bye()


async def test_star_and_time_limit_leave_the_room(room: Room, app: WebApp, ann: Peer, bob: Peer) -> None:
    first = await room.join(ann, "100", dial="hangupOnStar='true'")
    second = await room.join(bob, "200", dial="timeLimit='3'")
    for name in ("participant-join", "participant-join", "conference-start"):
        await room.event(name)
    left = await room.event("participant-leave")
    assert left["CallSid"] == room.sid("200")
    assert (left["ReasonParticipantLeft"], left["ParticipantCallStatus"]) == (
        "participant_hung_up",
        "in-progress",
    )
    assert (await app.expect("/done"))["DialCallStatus"] == "answered"
    await first.media.send_digit("*")
    assert (await app.expect("/done"))["CallSid"] == room.sid("100")
    await first.bye()
    await second.bye()


async def test_a_call_is_moved_to_another_room(
    room: Room, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    first = await room.join(ann, "100")
    second = await room.join(bob, "200")
    for name in ("participant-join", "participant-join", "conference-start"):
        await room.event(name)
    twiml = f"<Response><Dial><Conference waitUrl=''>{room.name} b</Conference></Dial></Response>"
    sid = room.sid("200")
    await room.sdk(lambda c: c.calls(sid).update(twiml=twiml))
    left = await room.event("participant-leave")
    assert (left["CallSid"], left["ReasonParticipantLeft"]) == (sid, "participant_updated_via_api")
    await second.bye()
    await first.bye()
    await room.event("participant-leave")
    await room.event("conference-end")
    assert [each["CallSid"] for each in app.of("/done")] == [room.sid("100")]


async def test_the_first_ones_callback_counts(room: Room, app: WebApp, ann: Peer, bob: Peer) -> None:
    app.reply("/others", "", status=204)
    first = await room.join(ann, "100", statusCallbackEvent="join leave")
    second = await room.join(bob, "200", statusCallback=app.url("/others"))
    await second.bye()
    names = [(await app.expect("/events"))["StatusCallbackEvent"] for _ in range(3)]
    assert names == ["participant-join", "participant-join", "participant-leave"]
    assert app.of("/others") == []
    await first.bye()


async def test_the_room_waits_for_a_moderator_whose_call_is_lost(
    room: Room, app: WebApp, ann: Peer, bob: Peer, carol: Peer
) -> None:
    ends = {"endConferenceOnExit": "last", "exitGrace": "2"}
    calls = [
        await room.join(ann, "100", **ends),
        await room.join(bob, "200", **ends),
        await room.join(carol, "300"),
    ]
    for name in ("participant-join", "participant-join", "conference-start", "participant-join"):
        await room.event(name)
    await calls[0].bye()  # not the last one
    await room.event("participant-leave")
    line = await room.node.expect_log("call", call_sid=room.sid("200"))
    os.kill(room.node.worker_pid(line["worker"]), signal.SIGKILL)
    lost = await room.event("participant-leave")
    assert (lost["CallSid"], lost["ParticipantCallStatus"]) == (room.sid("200"), "failed")
    ended = await room.event("participant-leave")
    assert (ended["CallSid"], ended["ReasonParticipantLeft"]) == (
        room.sid("300"),
        "moderator_ended_conference",
    )
    assert ended.at - lost.at > 1.5
    assert (await room.event("conference-end"))["CallSidEndingConference"] == room.sid("200")
    await calls[2].bye()
    calls[1].end()


async def test_the_death_of_a_participants_worker(room: Room, app: WebApp, ann: Peer, bob: Peer) -> None:
    first = await room.join(ann, "100")
    second = await room.join(bob, "200")
    for name in ("participant-join", "participant-join", "conference-start"):
        await room.event(name)
    line = await room.node.expect_log("call", call_sid=room.sid("100"))
    os.kill(room.node.worker_pid(line["worker"]), signal.SIGKILL)
    left = await room.event("participant-leave")
    assert (left["CallSid"], left["ParticipantCallStatus"]) == (room.sid("100"), "failed")
    await second.bye()
    await room.event("participant-leave")
    await room.event("conference-end")
    first.end()
