"""Who hears whom in conference rooms, over real SIP and RTP."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest

from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.tones import tone_dbfs
from tests.peer.webapp import WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess
from tests.sip.room_scene import Room, room_node

pytestmark = pytest.mark.sip

LOW, MIDDLE, HIGH = 400, 700, 1100
"""Tones of ann, bob and carol."""


@pytest.fixture(scope="module")
async def module_node(
    module_app: WebApp, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[NodeProcess]:
    async with room_node(module_app, tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture
def room(node: NodeProcess, app: WebApp) -> Room:
    return Room(node, app)


async def hears(call: Call, *tones: int, not_: tuple[int, ...] = ()) -> None:
    for tone in tones:
        await call.media.expect_tone(tone)
    for tone in not_:
        await call.media.expect_no_tone(tone, for_s=0.3)


async def started(room: Room, *joining: tuple[Peer, str, dict[str, str]]) -> list[Call]:
    """Let these join; each plays its tone once the room has started."""
    calls = [await room.join(peer, number, **attributes) for peer, number, attributes in joining]
    while (await room.app.expect("/events"))["StatusCallbackEvent"] != "conference-start":
        pass
    for call, tone in zip(calls, (LOW, MIDDLE, HIGH), strict=False):
        call.media.play_tone(tone)
    return calls


async def test_each_hears_the_others_and_not_itself(room: Room, ann: Peer, bob: Peer, carol: Peer) -> None:
    calls = await started(room, (ann, "100", {}), (bob, "200", {}), (carol, "300", {}))
    await hears(calls[0], MIDDLE, HIGH, not_=(LOW,))
    await hears(calls[1], LOW, HIGH, not_=(MIDDLE,))
    await hears(calls[2], LOW, MIDDLE, not_=(HIGH,))
    for call in calls:
        await call.bye()


async def test_music_until_the_second_comes_and_again_when_alone(
    room: Room, app: WebApp, ann: Peer, bob: Peer
) -> None:
    app.reply("/tone", tone_document(app))
    app.reply("/tone.wav", tone(2000), content_type="audio/wav")
    first = await room.join(ann, "100", waitUrl=app.url("/tone"))
    await first.media.expect_tone(2000)
    second = await room.join(bob, "200")
    second.media.play_tone(MIDDLE)
    await first.media.expect_tone(MIDDLE)
    await first.media.expect_no_tone(2000, for_s=0.5)
    await second.bye()
    await first.media.expect_tone(2000)
    await first.bye()


async def test_muted_from_the_beginning_and_by_rest(room: Room, ann: Peer, bob: Peer) -> None:
    first, second = await started(room, (ann, "100", {"muted": "true"}), (bob, "200", {}))
    await hears(first, MIDDLE)
    await hears(second, not_=(LOW,))
    sid = room.sid("100")
    await room.sdk(lambda c: c.conferences(room.name).participants(sid).update(muted=False))
    await hears(second, LOW)
    assert (await room.event("participant-unmute"))["Muted"] == "false"
    await room.sdk(lambda c: c.conferences(room.name).participants(sid).update(muted=True))
    await room.event("participant-mute")
    await second.media.expect_silence()
    await first.bye()
    await second.bye()


async def test_the_held_one_hears_its_document_and_stays_muted_after_it(
    room: Room, app: WebApp, ann: Peer, bob: Peer, carol: Peer
) -> None:
    app.reply("/tone", tone_document(app))
    app.reply("/tone.wav", tone(2000), content_type="audio/wav")
    first, second, third = await started(room, (ann, "100", {}), (bob, "200", {}), (carol, "300", {}))
    sid = room.sid("100")
    hold_url = app.url("/tone")
    await room.sdk(lambda c: c.conferences(room.name).participants(sid).update(hold=True, hold_url=hold_url))
    asked = await app.expect("/tone")
    assert (asked.method, asked["CallSid"]) == ("GET", sid)
    await hears(first, 2000, not_=(MIDDLE, HIGH))
    await hears(second, HIGH, not_=(LOW, 2000))
    await room.sdk(lambda c: c.conferences(room.name).participants(sid).update(muted=True))
    await room.sdk(lambda c: c.conferences(room.name).participants(sid).update(hold=False))
    await hears(first, MIDDLE, HIGH)
    await hears(second, HIGH, not_=(LOW,))
    await room.sdk(lambda c: c.conferences(room.name).participants(sid).update(end_conference_on_exit=False))
    for call in (first, second, third):
        await call.bye()


async def test_a_coach_is_heard_by_one(room: Room, ann: Peer, bob: Peer, carol: Peer) -> None:
    agent, customer = await started(room, (ann, "100", {}), (bob, "200", {}))
    coach = await room.join(carol, "300", coach=room.sid("100"))
    coach.media.play_tone(HIGH)
    await hears(agent, MIDDLE, HIGH)
    await hears(customer, LOW, not_=(HIGH,))
    await hears(coach, LOW, MIDDLE)
    sid, target = room.sid("300"), room.sid("200")
    await room.sdk(
        lambda c: c.conferences(room.name).participants(sid).update(coaching=True, call_sid_to_coach=target)
    )
    await hears(customer, HIGH)
    await agent.media.expect_no_tone(HIGH, for_s=0.3)
    await customer.bye()
    await agent.media.expect_no_tone(HIGH, for_s=0.5)
    await room.sdk(lambda c: c.conferences(room.name).participants(sid).update(coaching=False))
    await hears(agent, HIGH)
    await agent.bye()
    await coach.bye()


def beeps(call: Call) -> list[int]:
    """The tones of beeps that a party has heard, in their order, each once."""
    heard, found = call.media.heard(), list[int]()
    for begin in range(0, len(heard) - 480, 80):
        levels = {hz: tone_dbfs(heard[begin : begin + 480], hz) for hz in (660, 880)}
        loudest = max(levels, key=lambda hz: levels[hz])
        if levels[loudest] > -30 and found[-1:] != [loudest]:
            found.append(loudest)
    return found


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [("true", [660, 880, 660]), ("onEnter", [660, 880]), ("onExit", [880, 660]), ("false", [])],
)
async def test_beeps(
    room: Room, ann: Peer, bob: Peer, carol: Peer, attribute: str, expected: list[int]
) -> None:
    others = await started(room, (ann, "100", {}), (bob, "200", {}))
    for call in others:
        call.media.play_tone(LOW, -120)
    third = await room.join(carol, "300", beep=attribute)
    await room.event("participant-join")
    for call in (*others, third):
        await call.media.expect_heard(len(call.media.heard()) / 8000 + 1.0)
    assert beeps(third) == (expected[:2] if attribute in ("true", "onEnter") else [])
    await third.bye()
    for call in others:
        await call.media.expect_heard(len(call.media.heard()) / 8000 + 1.0)
        assert beeps(call) == expected
        await call.bye()


async def test_the_volume_of_one_and_who_speaks(room: Room, app: WebApp, ann: Peer, bob: Peer) -> None:
    first, second = await started(room, (ann, "100", {}), (bob, "200", {}))
    await hears(second, LOW)
    before = second.media.tone_dbfs(LOW)
    url = f"{room.node.http}/2010-04-01/Accounts/{ACCOUNT_SID}/Conferences/{quote(room.name)}"
    async with httpx.AsyncClient(auth=(ACCOUNT_SID, AUTH_TOKEN)) as http:
        form = {"VolumeIn": "-20", "VolumeOut": "6"}
        answer = await http.post(f"{url}/Participants/{room.sid('100')}.json", data=form)
        assert answer.json()["volume_in"] == -20
        while second.media.tone_dbfs(LOW) > before - 15:
            await second.media.expect_heard(len(second.media.heard()) / 8000 + 0.1)
        await second.media.expect_heard(len(second.media.heard()) / 8000 + 0.3)
        assert abs(second.media.tone_dbfs(LOW) - (before - 20)) < 3
        assert abs(first.media.tone_dbfs(MIDDLE) - (before + 6)) < 3
        first.media.play_tone(LOW, -120)
        speakers: list[str] = []
        while speakers != [room.sid("200")]:
            answer = await http.get(f"{url}/ActiveSpeakers.json")
            speakers = [each["call_sid"] for each in answer.json()["active_speakers"]]
    await first.bye()
    await second.bye()


async def test_speech_is_told_once_for_bursts(room: Room, app: WebApp, ann: Peer, bob: Peer) -> None:
    calls = [
        await room.join(ann, "100", statusCallbackEvent="speaker"),
        await room.join(bob, "200", statusCallbackEvent="speaker"),
    ]
    await calls[1].media.expect_heard(0.5)
    for _ in range(3):
        calls[0].media.play_tone(LOW)
        await calls[0].media.expect_sent(1.0)
        calls[0].media.play_tone(LOW, -120)
        await calls[0].media.expect_sent(0.5)
    spoke = await room.event("participant-speech-start")
    assert (spoke["CallSid"], spoke["SequenceNumber"]) == (room.sid("100"), "1")
    ceased = await room.event("participant-speech-stop")
    assert (ceased["CallSid"], ceased["SequenceNumber"]) == (room.sid("100"), "2")
    for call in calls:
        await call.bye()


async def test_the_kicked_one_goes_on_with_its_document(
    room: Room, app: WebApp, ann: Peer, bob: Peer
) -> None:
    first, second = await started(room, (ann, "100", {"endConferenceOnExit": "true"}), (bob, "200", {}))
    sid = room.sid("100")
    assert await room.sdk(lambda c: c.conferences(room.name).participants(sid).delete())
    left = await room.event("participant-leave")
    assert left["ReasonParticipantLeft"] == "participant_updated_via_api"
    await room.event("participant-leave")
    ended = await room.event("conference-end")
    assert ended["ReasonConferenceEnded"] == "participant-with-end-conference-on-exit-kicked"
    for _ in range(2):
        assert (await app.expect("/done"))["DialCallStatus"] == "answered"
    await first.media.expect_silence()
    await first.bye()
    await second.bye()


async def test_a_room_completed_by_rest(room: Room, app: WebApp, ann: Peer, bob: Peer) -> None:
    calls = await started(room, (ann, "100", {}), (bob, "200", {}))
    [live] = await room.sdk(lambda c: c.conferences.list(friendly_name=room.name))
    await room.sdk(lambda c: c.conferences(live.sid).update(status="completed"))
    assert await room.sdk(lambda c: c.conferences.list(friendly_name=room.name)) == []
    assert await room.sdk(lambda c: c.conferences(live.sid).participants.list()) == []
    for _ in range(2):
        assert (await app.expect("/done"))["DialCallStatus"] == "answered"
    for call in calls:
        await call.bye()


async def test_a_called_participant_joins_and_one_who_does_not_answer_never_did(
    room: Room, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, carol: Peer
) -> None:
    first = await room.join(ann, "100")
    await room.event("participant-join")
    to, absent = bob.uri(), carol.uri()
    made = await room.sdk(
        lambda c: c.conferences(room.name).participants.create(from_="+14155550100", to=to, label="bob")
    )
    incoming = await bob.expect_invite()
    await incoming.ring()
    await incoming.answer()
    joined = await room.event("participant-join")
    assert (joined["CallSid"], joined["ParticipantLabel"]) == (made.call_sid, "bob")
    await room.event("conference-start")
    first.media.play_tone(LOW)
    incoming.media.play_tone(MIDDLE)
    await hears(first, MIDDLE)
    await hears(incoming, LOW)
    other = await room.sdk(
        lambda c: c.conferences(room.name).participants.create(from_="+14155550100", to=absent)
    )
    refusing = await carol.expect_invite()
    await refusing.ring()
    await refusing.reject(486)
    left = await room.event("participant-leave")
    assert left["CallSid"] == other.call_sid
    assert (left["ReasonParticipantLeft"], left["ParticipantCallStatus"]) == (
        "participant_add_failed",
        "busy",
    )
    sid = made.conference_sid
    await room.sdk(lambda c: c.conferences(sid).update(status="completed"))
    await incoming.expect("BYE")
    await first.bye()


def tone_document(app: WebApp) -> str:
    return f"<Response><Play loop='0'>{app.url('/tone.wav')}</Play></Response>"


def tone(hz: float) -> bytes:
    from tests.sip.test_verbs import tone_file

    return tone_file(hz, 2.0)


async def test_announcements_to_the_room_and_to_one(room: Room, app: WebApp, ann: Peer, bob: Peer) -> None:
    app.reply("/tone.wav", tone(2000), content_type="audio/wav")
    app.reply("/other.wav", tone(1500), content_type="audio/wav")
    app.reply("/announce", f"<Response><Play>{app.url('/tone.wav')}</Play></Response>")
    app.reply("/private", f"<Response><Play>{app.url('/other.wav')}</Play></Response>")
    app.reply("/missing", "", status=404)
    first, second = await started(room, (ann, "100", {}), (bob, "200", {}))
    [live] = await room.sdk(lambda c: c.conferences.list(friendly_name=room.name))
    announce, private, missing = app.url("/announce"), app.url("/private"), app.url("/missing")
    await room.sdk(lambda c: c.conferences(live.sid).update(announce_url=announce))
    asked = await app.expect("/announce")
    assert (asked.get("CallSid"), asked["ConferenceSid"], asked["FriendlyName"]) == (
        None,
        live.sid,
        room.name,
    )
    await asyncio.gather(hears(first, 2000), hears(second, 2000))
    await asyncio.gather(hears(first, MIDDLE), hears(second, LOW))
    ended = await room.event("announcement-end")
    assert (ended["AnnounceUrl"], ended.get("CallSid")) == (announce, None)
    sid = room.sid("100")
    await room.sdk(lambda c: c.conferences(live.sid).participants(sid).update(announce_url=private))
    asked = await app.expect("/private")
    assert (asked["CallSid"], asked["ConferenceSid"]) == (sid, live.sid)
    assert (asked["CallStatus"], asked["Direction"]) == ("in-progress", "inbound")
    assert asked["From"] == app.of("/100")[-1]["From"]
    await hears(first, 1500)
    await second.media.expect_no_tone(1500, for_s=0.5)
    ended = await room.event("announcement-end")
    assert (ended["AnnounceUrl"], ended["CallSid"]) == (private, sid)
    await room.sdk(lambda c: c.conferences(live.sid).update(announce_url=missing))
    failed = await room.event("announcement-fail")
    assert failed["AnnounceUrl"] == missing
    assert failed["ReasonAnnouncementFailed"].startswith("11200")
    await first.bye()
    await second.bye()


async def test_the_death_of_the_relay_is_a_moment_of_silence(
    room: Room, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    first, second = await started(room, (ann, "100", {}), (bob, "200", {}))
    await hears(first, MIDDLE)
    seen = len(app.of("/events"))
    os.kill(node.pid_named("b2bua-relay"), signal.SIGKILL)
    first.media.play_tone(1500)  # only another relay can mix it
    second.media.play_tone(HIGH)
    await asyncio.gather(hears(first, HIGH), hears(second, 1500))
    assert len(app.of("/events")) == seen
    await first.bye()
    await second.bye()
