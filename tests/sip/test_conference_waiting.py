"""Conference rooms that have not started, and who comes into them, over real SIP, RTP and HTTP."""

from collections.abc import AsyncIterator

import pytest

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess
from tests.sip.room_scene import Room, room_node
from tests.sip.test_verbs import tone_file

pytestmark = pytest.mark.sip

TONE_HZ = 2000
"""In wait documents."""


@pytest.fixture(scope="module")
async def module_node(
    module_app: WebApp, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[NodeProcess]:
    async with room_node(module_app, tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture
def room(node: NodeProcess, app: WebApp) -> Room:
    app.reply("/tone.wav", tone_file(TONE_HZ, 2.0), content_type="audio/wav")
    return Room(node, app)


async def packets_in(call: Call, seconds: float) -> int:
    """The packets that come while the peer sends for so long, which is what times this."""
    before = call.media.counts.received
    await call.media.expect_sent(seconds)
    return call.media.counts.received - before


async def test_one_alone_is_in_a_room_that_has_not_started(room: Room, app: WebApp, ann: Peer) -> None:
    app.reply("/wait", f"<Response><Play loop='0'>{app.url('/tone.wav')}</Play></Response>")
    first = await room.join(ann, "100", waitUrl=app.url("/wait"))
    await room.event("participant-join")
    [live] = await room.sdk(lambda c: c.conferences.list(friendly_name=room.name, status="init"))
    assert live.status == "init"
    [alone] = await room.sdk(lambda c: c.conferences(live.sid).participants.list())
    assert (alone.call_sid, alone.status, alone.muted) == (room.sid("100"), "connected", False)
    assert await room.sdk(lambda c: c.conferences.list(friendly_name=room.name)) == []
    await first.media.expect_tone(TONE_HZ)
    assert len(app.of("/events")) == 1
    await first.bye()


async def test_nobody_starts_the_room_until_one_may(
    room: Room, app: WebApp, ann: Peer, bob: Peer, carol: Peer
) -> None:
    app.reply("/wait", f"<Response><Play loop='0'>{app.url('/tone.wav')}</Play></Response>")
    waits = {"startConferenceOnEnter": "false", "waitUrl": app.url("/wait")}
    first, second = await room.join(ann, "100", **waits), await room.join(bob, "200", **waits)
    for _ in range(2):
        await room.event("participant-join")
    first.media.play_tone(700)
    await first.media.expect_tone(TONE_HZ)
    await second.media.expect_tone(TONE_HZ)
    await second.media.expect_no_tone(700, for_s=0.3)
    [live] = await room.sdk(lambda c: c.conferences.list(friendly_name=room.name, status="init"))
    third = await room.join(carol, "300")
    assert (await room.event("participant-join"))["CallSid"] == room.sid("300")
    assert (await room.event("conference-start"))["ConferenceSid"] == live.sid
    for call in (second, third):
        await call.media.expect_tone(700)
    await second.media.expect_no_tone(TONE_HZ, for_s=0.3)
    for call in (first, second, third):
        await call.bye()


async def test_silence_after_a_wait_document_that_has_run_out(room: Room, app: WebApp, ann: Peer) -> None:
    app.reply("/wait", f"<Response><Play>{app.url('/tone.wav')}</Play></Response>")
    call = await room.join(ann, "100", waitUrl=app.url("/wait"))
    await call.media.expect_tone(TONE_HZ)
    await call.media.expect_silence()
    await call.media.expect_no_tone(TONE_HZ, for_s=0.5)
    assert await packets_in(call, 1.0) > 40
    assert len(app.of("/wait")) == 1
    await call.bye()


async def test_an_empty_address_is_silence_in_packets(room: Room, app: WebApp, ann: Peer) -> None:
    call = await room.join(ann, "100", waitUrl="")
    await room.event("participant-join")
    await call.media.expect_heard(0.5)
    assert await packets_in(call, 1.0) > 40
    assert call.media.level_dbfs(1.0) < -60
    await call.bye()


async def test_rest_replaces_the_wait_document_by_silence(room: Room, app: WebApp, ann: Peer) -> None:
    app.reply("/wait", f"<Response><Play loop='0'>{app.url('/tone.wav')}</Play></Response>")
    call = await room.join(ann, "100", waitUrl=app.url("/wait"))
    await call.media.expect_tone(TONE_HZ)
    sid = room.sid("100")
    await room.sdk(lambda c: c.conferences(room.name).participants(sid).update(wait_url=""))
    await call.media.expect_silence()
    await call.media.expect_no_tone(TONE_HZ, for_s=0.5)
    await call.bye()


async def test_one_whose_exit_no_longer_ends_the_room_leaves_while_held(
    room: Room, ann: Peer, bob: Peer, carol: Peer
) -> None:
    calls = [
        await room.join(ann, "100", endConferenceOnExit="true"),
        await room.join(bob, "200"),
        await room.join(carol, "300"),
    ]
    for name in ("participant-join", "participant-join", "conference-start", "participant-join"):
        await room.event(name)
    sid = room.sid("100")
    await room.sdk(lambda c: c.conferences(room.name).participants(sid).update(hold=True))
    await room.event("participant-hold")
    changed = await room.sdk(
        lambda c: c.conferences(room.name).participants(sid).update(end_conference_on_exit=False)
    )
    assert (changed.end_conference_on_exit, changed.hold) == (False, True)
    modified = await room.event("participant-modify")
    assert (modified["EndConferenceOnExit"], modified["Hold"]) == ("false", "true")
    await calls[0].bye()
    left = await room.event("participant-leave")
    assert (left["CallSid"], left["Hold"]) == (sid, "true")
    calls[1].media.play_tone(700)
    await calls[2].media.expect_tone(700)
    for call in calls[1:]:
        await call.bye()


async def test_labels(room: Room, app: WebApp, ann: Peer, bob: Peer, carol: Peer) -> None:
    first = await room.join(ann, "100", participantLabel="a b")
    joined = await room.event("participant-join")
    assert joined["ParticipantLabel"] == "a b"
    second = await room.join(bob, "200", participantLabel="a b")
    assert (await app.expect("/done"))["DialCallStatus"] == "failed"
    third = await room.join(carol, "300", participantLabel=room.sid("100"))
    done = await app.expect("/done")
    assert (done["CallSid"], done["DialCallStatus"]) == (room.sid("300"), "failed")
    await room.node.expect_log("twiml", number=16023)
    present = await room.sdk(lambda c: c.conferences(room.name).participants.list())
    assert [(each.call_sid, each.label) for each in present] == [(room.sid("100"), "a b")]
    found = await room.sdk(lambda c: c.conferences(room.name).participants("a%20b").fetch())
    assert (found.call_sid, found.label) == (room.sid("100"), "a b")
    for call in (first, second, third):
        await call.bye()


async def test_a_call_that_is_moved_joins_the_other_room(
    room: Room, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, carol: Peer
) -> None:
    other = Room(node, app)
    app.reply("/other", "", status=204)
    stays, moves = await room.join(ann, "100"), await room.join(bob, "200")
    elsewhere = await other.join(carol, "300", statusCallback=app.url("/other"))
    assert (await app.expect("/other"))["StatusCallbackEvent"] == "participant-join"
    sid = room.sid("200")
    twiml = f"<Response><Dial><Conference beep='false'>{other.name}</Conference></Dial></Response>"
    await room.sdk(lambda c: c.calls(sid).update(twiml=twiml))
    joined = await app.expect("/other")
    assert (joined["StatusCallbackEvent"], joined["CallSid"]) == ("participant-join", sid)
    assert (await app.expect("/other"))["StatusCallbackEvent"] == "conference-start"
    stays.media.play_tone(400)
    moves.media.play_tone(700)
    await elsewhere.media.expect_tone(700)
    await elsewhere.media.expect_no_tone(400, for_s=0.3)
    await stays.media.expect_no_tone(700, for_s=0.3)
    assert app.of("/done") == []
    for call in (stays, moves, elsewhere):
        await call.bye()
