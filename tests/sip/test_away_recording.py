"""``<Dial record>`` where the other party is in another session: a caller from a queue, a conference."""

import io
from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest
import soundfile

from media.measure import goertzel_dbfs
from tests.peer.peer import Peer
from tests.peer.webapp import WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess
from tests.sip.queue_scene import answered, enqueues, queue_node, takes, talk
from tests.sip.room_scene import Room, room_node

pytestmark = pytest.mark.sip


@pytest.fixture(scope="module")
async def queues(module_app: WebApp, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NodeProcess]:
    async with queue_node(module_app, tmp_path_factory.mktemp("queues")) as node:
        yield node


async def channels(url: str) -> np.ndarray:
    """A recording: float[n_frames, n_channels]."""
    async with httpx.AsyncClient(auth=(ACCOUNT_SID, AUTH_TOKEN)) as client:
        answer = await client.get(f"{url}.wav")
    samples, rate = soundfile.read(io.BytesIO(answer.content), always_2d=True)
    assert rate == 8000
    return np.asarray(samples)


async def test_an_agents_call_is_recorded_on_two_channels(
    queues: NodeProcess, app: WebApp, ann: Peer, bob: Peer
) -> None:
    enqueues(app, "recorded", wait=None)
    takes(
        app,
        "recorded",
        record="record-from-answer-dual",
        recordingStatusCallback=app.url("/recorded"),
    )
    app.reply("/recorded", "", status=204)
    caller = await answered(queues, ann, "100")
    agent = await answered(queues, bob, "700")
    await talk(caller, agent)
    await agent.media.expect_heard(len(agent.media.heard()) / 8000 + 1.5)
    await agent.bye()
    done = await app.expect("/done")
    told = await app.expect("/recorded")
    assert (told["RecordingStatus"], told["RecordingChannels"]) == ("completed", "2")
    assert told["RecordingUrl"] == done["RecordingUrl"]
    assert told["CallSid"] == done["CallSid"]
    samples = await channels(told["RecordingUrl"])
    tail = samples[-8000:]
    assert goertzel_dbfs(tail[:, 0], 660, 8000) > -20 > goertzel_dbfs(tail[:, 0], 440, 8000)
    assert goertzel_dbfs(tail[:, 1], 440, 8000) > -20 > goertzel_dbfs(tail[:, 1], 660, 8000)
    await caller.bye()


async def test_a_room_is_recorded_from_its_start(
    app: WebApp, tmp_path_factory: pytest.TempPathFactory, ann: Peer, bob: Peer
) -> None:
    app.reply("/recorded", "", status=204)
    async with room_node(app, tmp_path_factory.mktemp("rooms")) as node:
        room = Room(node, app)
        record = {
            "record": "record-from-start",
            "recordingStatusCallback": app.url("/recorded"),
            "recordingStatusCallbackEvent": "in-progress completed",
        }
        first = await room.join(ann, "100", **record)
        second = await room.join(bob, "200")
        first.media.play_tone(660)
        second.media.play_tone(440)
        await first.media.expect_tone(440)
        begun = await app.expect("/recorded")
        assert (begun["RecordingStatus"], begun["RecordingSource"]) == ("in-progress", "Conference")
        assert begun.get("CallSid") is None
        await first.media.expect_heard(len(first.media.heard()) / 8000 + 2.0)
        sid, current = begun["ConferenceSid"], "Twilio.CURRENT"
        paused = await room.sdk(
            lambda c: c.conferences(sid).recordings(current).update("paused", pause_behavior="skip")
        )
        assert (paused.status, paused.conference_sid) == ("paused", sid)
        first.media.play_tone(1200)
        await second.media.expect_tone(1200)
        first.media.play_tone(660)
        await second.media.expect_tone(660)
        await second.media.expect_no_tone(1200, for_s=0.5)
        going = await room.sdk(lambda c: c.conferences(sid).recordings(current).update("in-progress"))
        assert going.status == "in-progress"
        await first.media.expect_heard(len(first.media.heard()) / 8000 + 1.0)
        recording = begun["RecordingSid"]
        await room.sdk(lambda c: c.conferences(sid).recordings(recording).update("stopped"))
        told = await app.expect("/recorded")
        assert (told["RecordingStatus"], told["RecordingChannels"]) == ("completed", "1")
        assert told["ConferenceSid"] == begun["ConferenceSid"]
        samples = await channels(told["RecordingUrl"])
        assert samples.shape[1] == 1
        assert len(samples) / 8000 > 2.5
        middle = samples[8000:16000, 0]
        assert goertzel_dbfs(middle, 660, 8000) > -20
        assert goertzel_dbfs(middle, 440, 8000) > -20
        windows = (samples[at : at + 800, 0] for at in range(0, len(samples) - 800, 800))
        assert max(goertzel_dbfs(window, 1200, 8000) for window in windows) < -35  # said in the pause
        await first.bye()
        await second.bye()
        [listed] = await room.sdk(lambda c: c.conferences(sid).recordings.list())
        assert listed.sid == told["RecordingSid"]
        assert await room.sdk(lambda c: c.conferences(sid).recordings(recording).delete())
        assert await room.sdk(lambda c: c.conferences(sid).recordings.list()) == []


async def test_a_leg_in_a_room_is_recorded_with_what_it_hears(
    app: WebApp, tmp_path_factory: pytest.TempPathFactory, ann: Peer, bob: Peer
) -> None:
    app.reply("/recorded", "", status=204)
    async with room_node(app, tmp_path_factory.mktemp("rooms")) as node:
        room = Room(node, app)
        record = f"record='record-from-answer-dual' recordingStatusCallback='{app.url('/recorded')}'"
        first = await room.join(ann, "100", dial=record)
        second = await room.join(bob, "200")
        first.media.play_tone(660)
        second.media.play_tone(440)
        await first.media.expect_tone(440)
        await second.media.expect_tone(660)
        await first.media.expect_heard(len(first.media.heard()) / 8000 + 1.5)
        await first.bye()
        told = await app.expect("/recorded")
        assert (told["RecordingStatus"], told["RecordingChannels"]) == ("completed", "2")
        samples = await channels(told["RecordingUrl"])
        tail = samples[-8000:]
        assert goertzel_dbfs(tail[:, 0], 660, 8000) > -20 > goertzel_dbfs(tail[:, 0], 440, 8000)
        assert goertzel_dbfs(tail[:, 1], 440, 8000) > -20 > goertzel_dbfs(tail[:, 1], 660, 8000)
        await second.bye()
