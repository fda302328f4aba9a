"""``<Dial record>`` from the document to the file: modes, callbacks, a killed worker."""

import asyncio
import os
import resource
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from media.measure import goertzel_dbfs, rms_dbfs
from tests.peer.call import Call
from tests.peer.peer import Peer
from tests.peer.tones import clearest, up_to_last_sound
from tests.peer.webapp import Request, WebApp
from tests.sip.node_process import ACCOUNT_SID, AUTH_TOKEN, NodeProcess, config_text, run_node

pytestmark = pytest.mark.sip

Samples = npt.NDArray[np.int16]
Dial = Callable[..., None]
RATE = 8000
PARENT_HZ, CHILD_HZ, HEIR_HZ = 440.0, 660.0, 880.0


@pytest.fixture
async def node(node: NodeProcess) -> AsyncIterator[NodeProcess]:
    """No raw file of a recording that a test finished is left."""
    yield node
    await node.quiet()
    raw = node.log_path.parent / "recordings" / ".raw"
    assert list(raw.glob("*/RE*")) == []


@pytest.fixture
def dial(app: WebApp) -> Dial:
    """``dial(peer, record="true")``: how the next call is recorded; all callbacks are requested."""

    def set_document(target: Peer, **attributes: str) -> None:
        given = {
            "action": app.url("/after"),
            "recordingStatusCallback": app.url("/recorded"),
            "recordingStatusCallbackEvent": "in-progress completed absent",
            **attributes,
        }
        words = "".join(f' {name}="{value}"' for name, value in given.items())
        app.reply("/voice", f"<Response><Dial{words}><Sip>{target.uri()}</Sip></Dial></Response>")

    return set_document


@asynccontextmanager
async def talking(node: NodeProcess, caller: Peer, callee: Peer) -> AsyncIterator[tuple[Call, Call]]:
    """A bridged call in which each end sends its tone; hung up at the end."""
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.answer()
    await call.expect_response(200)
    await both_hear(call, incoming)
    yield call, incoming
    if call.state == "confirmed":
        await call.bye()


async def both_hear(call: Call, incoming: Call) -> None:
    call.media.play_tone(PARENT_HZ)
    incoming.media.play_tone(CHILD_HZ)
    await call.media.expect_tone(CHILD_HZ)
    await incoming.media.expect_tone(PARENT_HZ)


async def hear_more(call: Call, seconds: float) -> None:
    await call.media.expect_heard(len(call.media.heard()) / RATE + seconds)


async def finished(app: WebApp, status: str = "completed") -> Request:
    """The last callback of the recording."""
    while (told := await app.expect("/recorded"))["RecordingStatus"] == "in-progress":
        pass
    assert told["RecordingStatus"] == status, told
    return told


def sound_of(node: NodeProcess, told: Request) -> Samples:
    """int16[n_frames, n_channels] of the recording that was reported."""
    path = node.log_path.parent / "recordings" / f"{told['RecordingSid']}.wav"
    samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    assert rate == RATE
    return samples


def last_dbfs(samples: Samples, hz: float) -> float:
    """Level of a tone at the end of the audio."""
    return goertzel_dbfs(clearest(up_to_last_sound(samples)[-RATE // 2 :], hz), hz, RATE)


async def test_two_channels_told_from_the_beginning_to_the_end(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, record="record-from-answer-dual")
    async with talking(node, caller, callee) as (call, _):
        begun = await app.expect("/recorded")
        assert begun["RecordingStatus"] == "in-progress"
        bridged_at = time.monotonic()
        await hear_more(call, 1.0)
    talked_s = time.monotonic() - bridged_at
    after = await app.expect("/after")
    told = await finished(app)
    sound = sound_of(node, told)

    assert told["AccountSid"] == ACCOUNT_SID
    assert told["CallSid"] == after["CallSid"] == begun["CallSid"]
    assert told["RecordingSid"] == begun["RecordingSid"]
    url = f"{node.http}/2010-04-01/Accounts/{ACCOUNT_SID}/Recordings/{told['RecordingSid']}"
    assert told["RecordingUrl"] == after["RecordingUrl"] == url
    assert int(told["RecordingDuration"]) == round(len(sound) / RATE)
    assert int(after["RecordingDuration"]) == int(told["RecordingDuration"])
    assert (told["RecordingChannels"], told["RecordingTrack"]) == ("2", "both")
    assert told["RecordingSource"] == "DialVerb"
    assert abs(parsedate_to_datetime(told["RecordingStartTime"]).timestamp() - time.time()) < 10

    assert len(sound) / RATE >= talked_s - 0.1
    middle = sound[len(sound) // 2 :][:RATE]
    for channel, own, other in ((0, PARENT_HZ, CHILD_HZ), (1, CHILD_HZ, PARENT_HZ)):
        piece = clearest(middle[:, channel], own)
        assert goertzel_dbfs(piece, own, RATE) > -17.0
        level, leaked = (goertzel_dbfs(piece, hz, RATE) for hz in (own, other))
        assert level - leaked > 40.0


async def test_one_channel_has_both_and_does_not_clip(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, record="true")
    async with talking(node, caller, callee) as (call, incoming):
        call.media.play_tone(PARENT_HZ, -2.0)
        incoming.media.play_tone(CHILD_HZ, -2.0)
        await hear_more(call, 0.5)
    told = await finished(app)
    sound = sound_of(node, told)
    assert (told["RecordingChannels"], sound.shape[1]) == ("1", 1)
    last = clearest(up_to_last_sound(sound[:, 0])[-RATE // 2 :], PARENT_HZ)
    assert goertzel_dbfs(last, PARENT_HZ, RATE) > -10.0
    assert goertzel_dbfs(last, CHILD_HZ, RATE) > -10.0
    assert np.abs(sound.astype(np.int32)).max() < 32767


async def test_from_ringing_has_what_the_child_sends_before_its_answer_and_not_our_ringback(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, record="record-from-ringing-dual")
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.ring()
    await call.expect_response(200)
    await call.media.expect_tone(440.0, -30.0)  # ringback
    await incoming.progress()
    incoming.media.play_tone(CHILD_HZ)
    await call.media.expect_tone(CHILD_HZ)
    await incoming.answer()
    await hear_more(call, 0.3)
    await call.bye()
    sound = sound_of(node, await finished(app))
    child = sound[:, 1]
    begun = int(np.flatnonzero(np.abs(child) > 800)[0])
    assert begun > 0.1 * RATE
    assert rms_dbfs(child[: begun - 200]) < -60.0
    assert goertzel_dbfs(clearest(child[begun:], CHILD_HZ), CHILD_HZ, RATE) > -17.0


async def test_one_track_and_its_silence_cut(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(
        callee,
        record="record-from-answer-dual",
        recordingTrack="inbound",
        trim="trim-silence",
        recordingStatusCallbackEvent="completed",
        recordingStatusCallbackMethod="GET",
    )
    async with talking(node, caller, callee) as (call, _):
        call.media.silence()
        await hear_more(call, 1.5)
    told = await app.expect("/recorded")
    assert (told.method, told["RecordingStatus"], told["RecordingTrack"]) == ("GET", "completed", "inbound")
    sound = sound_of(node, told)
    assert sound.shape[1] == 1
    assert len(sound) / RATE < 1.2
    assert goertzel_dbfs(sound[: RATE // 4, 0], CHILD_HZ, RATE) < -60.0


async def test_pauses_by_rest_are_silent_or_left_out(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, record="record-from-answer-dual")
    async with (
        httpx.AsyncClient(base_url=node.http, auth=(ACCOUNT_SID, AUTH_TOKEN)) as client,
        talking(node, caller, callee) as (call, _),
    ):
        begun = await app.expect("/recorded")
        path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{begun['CallSid']}/Recordings/Twilio.CURRENT.json"
        least_s, most_s = dict[str, float](), dict[str, float]()
        for behavior in ("silence", "skip"):
            asked_at = time.monotonic()
            answer = await client.post(path, data={"Status": "paused", "PauseBehavior": behavior})
            paused_at = time.monotonic()
            assert (answer.status_code, answer.json()["status"]) == (200, "paused")
            await hear_more(call, 0.6)
            least_s[behavior] = time.monotonic() - paused_at
            assert (await client.post(path, data={"Status": "in-progress"})).status_code == 200
            most_s[behavior] = time.monotonic() - asked_at
            await hear_more(call, 0.3)
        after = time.monotonic()
    told = await finished(app)
    sound = sound_of(node, told)
    loud = np.flatnonzero(np.abs(sound[:, 0].astype(np.int32)) > 800)
    longest = int(np.diff(loud).max()) / RATE
    assert least_s["silence"] - 0.05 < longest < most_s["silence"] + 0.05
    whole_s = after - begun.at
    assert whole_s - most_s["skip"] - 0.2 < len(sound) / RATE < whole_s - least_s["skip"] + 0.4


async def test_where_nobody_says_a_word_it_is_absent(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, record="true", trim="trim-silence")
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.answer()
    await call.expect_response(200)
    await hear_more(call, 0.3)
    await call.bye()
    told = await finished(app, "absent")
    assert told["RecordingDuration"] == "0"
    assert not list((node.log_path.parent / "recordings").glob(f"{told['RecordingSid']}*"))


async def test_what_was_said_until_a_worker_was_killed_is_there(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, record="record-from-answer-dual")
    async with talking(node, caller, callee) as (call, _):
        await hear_more(call, 1.5)
        line = await node.expect_log("call", sip_call_id=call.call_id)
        os.kill(node.worker_pid(line["worker"]), signal.SIGKILL)
        killed_at = time.time()
        told = await finished(app)
        call.end()
    await app.expect("/after")
    sound = sound_of(node, told)
    begun_at = parsedate_to_datetime(told["RecordingStartTime"]).timestamp()
    assert killed_at - begun_at - len(sound) / RATE < 1.0 + 1.0  # a start is told in whole seconds
    assert len(sound) / RATE > 1.0
    assert last_dbfs(sound[:, 0], PARENT_HZ) > -17.0


async def test_a_full_disk_costs_the_recording_and_not_the_call(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, record="true")
    writers = {*node.worker_pids(), node.pid_named("b2bua-relay")}
    limits = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in writers}
    for pid, (_, hard) in limits.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        async with talking(node, caller, callee) as (call, incoming):
            await hear_more(call, 1.0)
            await both_hear(call, incoming)
        told = await finished(app, "absent")
    finally:
        for pid, limit in limits.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
    assert told["ErrorCode"] == "12400"
    assert "could not be written" in told["ErrorMessage"]


async def test_calls_that_end_together_are_all_recorded(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    dial(callee, record="record-from-answer-dual", recordingStatusCallbackEvent="completed")
    calls = [await caller.invite(node.uri(str(number))) for number in range(4)]
    for call in calls:
        incoming = await callee.expect_invite()
        await incoming.answer()
        await call.expect_response(200)
        incoming.media.play_tone(CHILD_HZ)
    for call in calls:
        await call.media.expect_tone(CHILD_HZ)
    await asyncio.gather(*(hear_more(call, 0.5) for call in calls))
    ended_at = time.monotonic()
    await asyncio.gather(*(call.bye() for call in calls))
    told = [await finished(app) for _ in calls]
    assert time.monotonic() - ended_at < 3.0
    assert len({each["RecordingSid"] for each in told}) == len(calls)
    for each in told:
        assert last_dbfs(sound_of(node, each)[:, 1], CHILD_HZ) > -17.0


async def test_a_killed_nodes_recording_is_finished_by_the_next_and_a_stopped_nodes_before_it_ends(
    app: WebApp, caller: Peer, callee: Peer, dial: Dial, tmp_path: Path
) -> None:
    text = config_text({"*": {"voice_url": app.url("/voice")}})
    dial(callee, record="record-from-answer-dual")
    async with run_node(tmp_path, text) as first:
        async with talking(first, caller, callee) as (call, incoming):
            begun = await app.expect("/recorded")
            await hear_more(call, 1.0)
            await first.kill()
            for left in (call, incoming):
                left.end()  # whoever goes on sending is taken for a party of the next node's call
    async with run_node(tmp_path, text) as second:
        told = await finished(app)
        assert told["RecordingSid"] == begun["RecordingSid"]
        assert (told["CallSid"], told["RecordingChannels"]) == (begun["CallSid"], "2")
        sound = sound_of(second, told)
        assert len(sound) > RATE
        assert last_dbfs(sound[:, 0], PARENT_HZ) > -17.0

        async with talking(second, caller, callee) as (call, _):
            begun = await app.expect("/recorded")
            await second.stop()
            told = await finished(app)
        assert told["RecordingSid"] == begun["RecordingSid"]
        assert last_dbfs(sound_of(second, told)[:, 0], PARENT_HZ) > -20.0


async def test_who_takes_the_callees_place_has_its_channel(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, dial: Dial
) -> None:
    """RFC 3891; the channels stay aligned when a leg is replaced."""
    dial(callee, record="record-from-answer-dual")
    async with talking(node, caller, callee) as (call, incoming), Peer.start("heir") as heir:
        await hear_more(call, 0.6)
        dialog = incoming.dialog
        replaces = f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"
        third = await heir.invite(node.uri("100"), headers=[("Replaces", replaces)])
        await incoming.expect("BYE")
        third.media.play_tone(HEIR_HZ)
        await call.media.expect_tone(HEIR_HZ)
        await third.media.expect_tone(PARENT_HZ)
        await hear_more(call, 0.8)
    sound = sound_of(node, await finished(app))
    half = RATE // 2
    assert goertzel_dbfs(clearest(sound[:half, 1], CHILD_HZ), CHILD_HZ, RATE) > -25
    assert last_dbfs(sound[:, 1], HEIR_HZ) > -25
    assert goertzel_dbfs(sound[-half:, 1], CHILD_HZ, RATE) < -45
    assert goertzel_dbfs(clearest(sound[:half, 0], PARENT_HZ), PARENT_HZ, RATE) > -25
    assert last_dbfs(sound[:, 0], PARENT_HZ) > -25
    assert goertzel_dbfs(sound[:, 0], HEIR_HZ, RATE) < -45
