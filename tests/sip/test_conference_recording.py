"""Recordings in conference rooms that go through hold, a new offer, and the death of the relay."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import numpy as np
import pytest

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
    await second.media.expect_silence()
    await beeps_heard(second, ANN_HZ, 3)
    assert len(app.of("/events")) == 3
    await second.bye()
    await first.bye()
    lasted_s = now() - begun_at
    sound = sound_of(node, await app.expect("/recorded"))
    onsets = onsets_s(sound.T[0])
    assert lasted_s - 1.0 < len(sound) / RATE < lasted_s + 1.0
    gaps = np.diff(onsets)
    assert np.count_nonzero(gaps > 2.0 * EVERY_S) == 1  # while there was no relay
    assert len(onsets) >= 5
