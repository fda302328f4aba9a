"""Recordings in conference rooms that go through hold, a new offer, and the death of the relay."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import numpy as np
import pytest

from media.measure import goertzel_dbfs
from tests.peer.metronome import EVERY_S, Metronome, onsets_s
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import NodeProcess
from tests.sip.room_scene import Room, room_node
from tests.sip.test_relayed_recording import APART_S, RATE, beeps_from, beeps_heard, errors_s, sound_of

pytestmark = pytest.mark.sip

ANN_HZ, BOB_HZ = 440.0, 660.0


@pytest.fixture(scope="module")
async def module_node(
    module_app: WebApp, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[NodeProcess]:
    async with room_node(module_app, tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture
def room(node: NodeProcess, app: WebApp) -> Room:
    app.reply("/recorded", "", status=204)
    return Room(node, app)


@pytest.fixture
async def metronome() -> AsyncIterator[Metronome]:
    metronome = Metronome()
    yield metronome
    metronome.close()


async def test_both_channels_of_a_leg_stay_aligned_after_hold_and_a_new_address(
    room: Room, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, metronome: Metronome
) -> None:
    record = f"record='record-from-answer-dual' recordingStatusCallback='{app.url('/recorded')}'"
    first = await room.join(ann, "100", dial=record)
    second = await room.join(bob, "200")
    beeps_from(first, metronome, ANN_HZ)
    beeps_from(second, metronome, BOB_HZ)
    await beeps_heard(first, BOB_HZ, 3)
    await beeps_heard(second, ANN_HZ, 2)
    await first.hold()
    await first.media.expect_sent(1.0)
    await first.media.rebind()
    await first.resume()
    await first.media.expect_followed()
    await beeps_heard(first, BOB_HZ, 3)
    await beeps_heard(second, ANN_HZ, 3)
    await first.bye()
    sound = sound_of(node, await app.expect("/recorded"))
    said, heard = errors_s(sound, metronome)
    for errors, channel in ((said, sound.T[0]), (heard, sound.T[1])):
        # How late beeps come is one number for each channel, whatever has happened meanwhile.
        assert len(errors) >= 5
        assert abs(np.median(errors[:2]) - np.median(errors[-2:])) <= APART_S, (said, heard)
        assert len(onsets_s(channel)) >= 5
    await second.bye()


async def test_a_called_participant_asks_for_recordings_of_its_call_and_of_the_room(
    room: Room, app: WebApp, ann: Peer, bob: Peer
) -> None:
    app.reply("/room-recorded", "", status=204)
    first = await room.join(ann, "100")
    call, of_room, to = app.url("/recorded"), app.url("/room-recorded"), bob.uri()
    made = await room.sdk(
        lambda c: c.conferences(room.name).participants.create(
            from_="+14155550100",
            to=to,
            wait_url="",
            beep="false",
            record=True,
            recording_channels="dual",
            trim="do-not-trim",
            recording_status_callback=call,
            conference_record="record-from-start",
            conference_trim="do-not-trim",
            conference_recording_status_callback=of_room,
            conference_recording_status_callback_event="in-progress completed",
        )
    )
    incoming = await bob.expect_invite()
    await incoming.answer()
    first.media.play_tone(ANN_HZ)
    incoming.media.play_tone(BOB_HZ)
    await first.media.expect_tone(BOB_HZ)
    await incoming.media.expect_tone(ANN_HZ)
    begun = await app.expect("/room-recorded")
    assert (begun["RecordingStatus"], begun["ConferenceSid"]) == ("in-progress", made.conference_sid)
    await first.media.expect_heard(len(first.media.heard()) / RATE + 1.2)
    await incoming.bye()
    told = await app.expect("/recorded")
    assert (told["CallSid"], told["RecordingSource"]) == (made.call_sid, "OutboundAPI")
    assert told["RecordingChannels"] == "2"
    tail = sound_of(room.node, told)[-RATE:]
    assert goertzel_dbfs(tail[:, 0], BOB_HZ, RATE) > -20 > goertzel_dbfs(tail[:, 0], ANN_HZ, RATE)
    assert goertzel_dbfs(tail[:, 1], ANN_HZ, RATE) > -20 > goertzel_dbfs(tail[:, 1], BOB_HZ, RATE)
    await first.bye()
    told = await app.expect("/room-recorded")
    assert (told["RecordingStatus"], told["RecordingSource"]) == ("completed", "Conference")
    mixed = sound_of(room.node, told)[:, 0]
    windows = [mixed[at : at + RATE // 2] for at in range(0, len(mixed) - RATE // 2, RATE // 4)]
    assert max(min(goertzel_dbfs(each, hz, RATE) for hz in (ANN_HZ, BOB_HZ)) for each in windows) > -20


async def test_the_old_event_callback_is_told_the_recording(
    room: Room, app: WebApp, ann: Peer, bob: Peer
) -> None:
    app.reply("/event", "", status=204)
    first = await room.join(ann, "100", record="record-from-start", eventCallbackUrl=app.url("/event"))
    second = await room.join(bob, "200")
    first.media.play_tone(ANN_HZ)
    await second.media.expect_tone(ANN_HZ)
    await second.media.expect_heard(len(second.media.heard()) / RATE + 1.2)
    await first.bye()
    await second.bye()
    event = await app.expect("/event")
    assert (event["EventName"], event["FriendlyName"]) == ("conference-record-end", room.name)
    assert event["ConferenceSid"] == app.of("/events")[-1]["ConferenceSid"]
    assert int(event["Duration"]) >= 1
    path = room.node.log_path.parent / "recordings" / f"{event['RecordingUrl'].rpartition('/')[2]}.wav"
    assert int(event["RecordingFileSize"]) == path.stat().st_size > 16_000


async def test_a_killed_relay_leaves_silence_in_a_rooms_recording_and_says_nothing(
    room: Room, node: NodeProcess, app: WebApp, ann: Peer, bob: Peer, metronome: Metronome
) -> None:
    now = asyncio.get_running_loop().time
    first = await room.join(
        ann,
        "100",
        record="record-from-start",
        trim="do-not-trim",
        recordingStatusCallback=app.url("/recorded"),
    )
    second = await room.join(bob, "200")
    beeps_from(first, metronome, ANN_HZ)
    for name in ("participant-join", "participant-join", "conference-start"):
        await room.event(name)
    begun_at = now()
    await beeps_heard(second, ANN_HZ, 3)
    os.kill(node.pid_named("b2bua-relay"), signal.SIGKILL)
    await beeps_heard(second, ANN_HZ, 3)
    assert len(app.of("/events")) == 3
    await second.bye()
    await first.bye()
    lasted_s = now() - begun_at
    sound = sound_of(node, await app.expect("/recorded"))
    onsets = onsets_s(sound.T[0])
    assert lasted_s - 1.0 < len(sound) / RATE < lasted_s + 1.0
    gaps = np.diff(onsets)
    assert np.count_nonzero(gaps > 2.0 * EVERY_S) <= 1  # while there was no relay
    assert len(onsets) >= 5
