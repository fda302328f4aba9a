"""Recordings that the relay makes: one file through all that happens to a call, aligned within 20 ms."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from media.measure import goertzel_dbfs
from tests.peer.call import Call
from tests.peer.ladder import PATIENCE_S
from tests.peer.metronome import EVERY_S, Metronome, onsets_s
from tests.peer.peer import Peer
from tests.peer.rtp import MediaOptions
from tests.peer.talk import hear_each_other
from tests.peer.tones import clearest
from tests.peer.webapp import Request, WebApp
from tests.sip.node_process import NodeProcess, config_text, run_node

pytestmark = [pytest.mark.sip, pytest.mark.measured]

RATE = 8000
PARENT_HZ, CHILD_HZ, THIRD_HZ = 440.0, 660.0, 880.0
APART_S = 0.020


@pytest.fixture
async def metronome() -> AsyncIterator[Metronome]:
    metronome = Metronome()
    yield metronome
    metronome.close()


@pytest.fixture
def record(app: WebApp) -> Any:
    def set_document(target: Peer, mode: str) -> None:
        told = f'recordingStatusCallback="{app.url("/recorded")}"'
        app.reply(
            "/voice", f'<Response><Dial record="{mode}" {told}><Sip>{target.uri()}</Sip></Dial></Response>'
        )

    return set_document


def beeps_from(call: Call, metronome: Metronome, hz: float) -> None:
    call.media.play_source(lambda at: metronome.frame(hz))


async def beeps_heard(call: Call, hz: float, count: int) -> None:
    """Wait until so many more beeps of a pitch are heard."""
    before = len(call.media.heard())
    until = asyncio.get_running_loop().time() + PATIENCE_S
    while len(beeps_of(call.media.heard()[before:], hz)) < count:
        assert asyncio.get_running_loop().time() < until, call.media.describe()
        await call.media.expect_heard(len(call.media.heard()) / RATE + 0.1)


def beeps_of(sound: npt.NDArray[np.int16], hz: float) -> list[float]:
    """The onsets of the whole beeps of this pitch."""
    found = []
    for onset in onsets_s(sound):
        beep = sound[round(onset * RATE) :][: RATE // 25]
        if len(beep) == RATE // 25 and goertzel_dbfs(beep, hz, RATE) > -20.0:
            found.append(onset)
    return found


async def bridged(node: NodeProcess, caller: Peer, callee: Peer) -> tuple[Call, Call]:
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.answer()
    await call.expect_response(200)
    return call, incoming


def raw_files(node: NodeProcess) -> list[Path]:
    """The relay's raw files."""
    return sorted((node.log_path.parent / "recordings" / ".raw").glob("*/RE*.rtp"))


def sound_of(node: NodeProcess, told: Request) -> npt.NDArray[np.int16]:
    assert told["RecordingStatus"] == "completed", told
    path = node.log_path.parent / "recordings" / f"{told['RecordingSid']}.wav"
    samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    assert rate == RATE
    return samples


def errors_s(sound: npt.NDArray[np.int16], metronome: Metronome) -> tuple[list[float], list[float]]:
    """How far each channel's beeps are from when they were sent, but for one number for all of them."""
    due = np.array(metronome.beeps())
    tracks = [np.array(onsets_s(channel)) for channel in sound.T]
    every = np.concatenate(tracks)
    # The recording's start on the metronome's clock: what fits most beeps best.
    starts = [float(beep - every[0]) for beep in due]

    def off(start: float, onsets: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        at = onsets + start
        for first, end in metronome.stalls():
            at = at[(at < first) | (at > end)]
        found: npt.NDArray[np.float64] = at - due[np.abs(due[:, np.newaxis] - at).argmin(axis=0)]
        return found

    def misfit(start: float) -> float:
        errors = off(start, every)
        return float(np.abs(errors).mean()) if len(errors) > len(every) / 2 else np.inf

    begun = min(starts, key=misfit)
    return [float(e) for e in off(begun, tracks[0])], [float(e) for e in off(begun, tracks[1])]


def assert_aligned(sound: npt.NDArray[np.int16], metronome: Metronome) -> None:
    parent, child = errors_s(sound, metronome)
    assert max(parent + child) - min(parent + child) <= APART_S, (parent, child)


async def test_one_file_from_ringing_to_a_transfer_is_aligned_throughout(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, record: Any, metronome: Metronome
) -> None:
    record(callee, "record-from-ringing-dual")
    call = await caller.invite(node.uri("100"))
    incoming = await callee.expect_invite()
    await incoming.ring()
    await call.expect_response(200)
    beeps_from(call, metronome, PARENT_HZ)
    await call.media.expect_heard(len(call.media.heard()) / RATE + 1.2)  # ringback
    await incoming.progress()
    beeps_from(incoming, metronome, CHILD_HZ)
    await beeps_heard(call, CHILD_HZ, 2)  # early media
    await incoming.answer()
    await beeps_heard(incoming, PARENT_HZ, 4)  # joined
    assert len(raw_files(node)) == 1
    await incoming.hold()
    await call.media.expect_sent(1.3)
    await incoming.resume()
    await beeps_heard(incoming, PARENT_HZ, 3)
    async with Peer.start("third") as third_peer:
        dialog = incoming.dialog
        replaces = f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"
        third = await third_peer.invite(node.uri("100"), headers=[("Replaces", replaces)])
        await third.expect_response(200)
        await incoming.expect("BYE")
        beeps_from(third, metronome, THIRD_HZ)
        await beeps_heard(call, THIRD_HZ, 3)
        await beeps_heard(third, PARENT_HZ, 2)
        await call.bye()
        await third.expect("BYE")
    sound = sound_of(node, await app.expect("/recorded"))
    assert_aligned(sound, metronome)
    parent, child = (onsets_s(channel) for channel in sound.T)
    assert len(parent) >= len(sound) / RATE / EVERY_S - 6  # but for the hold, and where it was transferred
    assert len(child) >= 2 + 4 + 3 + 3
    assert raw_files(node) == []


async def test_a_killed_relay_leaves_silence_in_recordings_that_are_otherwise_whole(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, record: Any, metronome: Metronome
) -> None:
    record(callee, "record-from-answer-dual")
    calls = [await bridged(node, caller, callee) for _ in range(3)]
    for call, incoming in calls:
        beeps_from(call, metronome, PARENT_HZ)
        beeps_from(incoming, metronome, CHILD_HZ)
    for call, incoming in calls:
        await beeps_heard(call, CHILD_HZ, 2)
        await beeps_heard(incoming, PARENT_HZ, 1)
    killed_at = asyncio.get_running_loop().time()
    os.kill(node.pid_named("b2bua-relay"), signal.SIGKILL)
    for call, incoming in calls:
        await beeps_heard(call, CHILD_HZ, 3)  # at most one was on its way
        await beeps_heard(incoming, PARENT_HZ, 3)
    back_at = asyncio.get_running_loop().time()
    for call, incoming in calls:
        await call.bye()
        await incoming.expect("BYE")
    for _ in calls:
        sound = sound_of(node, await app.expect("/recorded"))
        assert_aligned(sound, metronome)
        for channel in sound.T:
            onsets = onsets_s(channel)
            gaps = np.diff(onsets)
            assert np.count_nonzero(gaps > 2.0 * EVERY_S) <= 1
            assert gaps.max() < back_at - killed_at
            assert onsets[0] < 1.5
            assert len(sound) / RATE - onsets[-1] < 2 * EVERY_S


async def test_a_relay_that_dies_while_a_recording_is_being_stopped_lengthens_nothing(
    node: NodeProcess, app: WebApp, caller: Peer, callee: Peer, record: Any, metronome: Metronome
) -> None:
    record(callee, "record-from-answer-dual")
    now = asyncio.get_running_loop().time
    begun_at = now()
    call, incoming = await bridged(node, caller, callee)
    beeps_from(call, metronome, PARENT_HZ)
    await beeps_heard(incoming, PARENT_HZ, 4)
    relay = node.pid_named("b2bua-relay")
    os.kill(relay, signal.SIGSTOP)  # it does not read the order
    try:
        await call.bye()
        await incoming.expect("BYE")
        await node.expect_log("call_ended", sip_call_id=call.call_id)
        ended_at = now()
    finally:
        os.kill(relay, signal.SIGKILL)
    sound = sound_of(node, await app.expect("/recorded"))
    assert len(sound) / RATE <= ended_at - begun_at
    assert len(onsets_s(sound.T[0])) >= 2
    app.reply("/voice", f"<Response><Dial><Sip>{callee.uri()}</Sip></Dial></Response>")
    call, incoming = await bridged(node, caller, callee)
    await hear_each_other(call, incoming)  # by the new relay
    assert raw_files(node) == []
    await call.bye()
    await incoming.expect("BYE")


async def test_a_worker_takes_over_when_a_leg_turns_out_to_be_encrypted(
    app: WebApp, caller: Peer, tmp_path: Path
) -> None:
    """The relay records the caller while a trunk rings; what the trunk sends after its 200 is SRTP."""
    told = f'recordingStatusCallback="{app.url("/recorded")}"'
    document = f'<Dial record="record-from-ringing-dual" {told}>+14155550199</Dial>'
    app.reply("/voice", f"<Response>{document}</Response>")
    async with Peer.start("pbx", media=MediaOptions(srtp="optional")) as pbx:
        text = config_text(
            {"*": {"voice_url": app.url("/voice")}},
            sections={"dial": {"trunk": "pbx"}},
            extra=f'[[trunks]]\nname = "pbx"\nuri = "{pbx.uri()}"\nsrtp = "optional"\nkeepalive_s = 0\n',
        )
        async with run_node(tmp_path, text) as node:
            call = await caller.invite(node.uri("100"))
            incoming = await pbx.expect_invite()
            await incoming.ring()
            await call.expect_response(200)
            call.media.play_tone(PARENT_HZ)
            await call.media.expect_sent(1.5)
            (relayed,) = raw_files(node)
            assert not list(relayed.parent.glob("*.worker.parent.wav"))
            await incoming.answer()
            incoming.media.play_tone(CHILD_HZ)
            await call.media.expect_tone(CHILD_HZ)
            await incoming.media.expect_tone(PARENT_HZ)
            assert incoming.media.encrypted
            await call.media.expect_heard(len(call.media.heard()) / RATE + 1.0)
            assert list(relayed.parent.glob("*.worker.parent.wav"))
            await call.bye()
            await incoming.expect("BYE")
            sound = sound_of(node, await app.expect("/recorded"))
    half = RATE // 2
    assert not sound[half:RATE, 1].any()
    last = sound[-RATE - half // 2 : -half // 2]
    for channel, hz in ((0, PARENT_HZ), (1, CHILD_HZ)):
        assert goertzel_dbfs(clearest(last[:, channel], hz), hz, RATE) > -20.0
    assert goertzel_dbfs(last[:, 0], CHILD_HZ, RATE) < -45.0
    parent = np.abs(sound[half:-half, 0].astype(np.int32))
    pieces = parent[: len(parent) // 160 * 160].reshape(-1, 160).max(axis=1)
    assert np.count_nonzero(pieces < 800) <= 15, "the parent was not recorded all the time"
