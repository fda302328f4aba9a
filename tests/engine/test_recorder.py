"""Files of a worker's recorders: aligned and complete, whatever happens to the media."""

import asyncio
import dataclasses
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from b2bua.core.commands import (
    AnswerLeg,
    Connection,
    EndSession,
    HangupLeg,
    InviteLeg,
    RecordLegs,
    SetMedia,
    StartRecording,
    StopRecording,
    WatchSilence,
)
from b2bua.core.events import (
    LegAnswered,
    LegConfirmed,
    LegEnded,
    LegIncoming,
    RecordingStarted,
    RecordingStopped,
    SilenceReached,
)
from b2bua.core.ids import LegId, SipCallId
from b2bua.engine.protocol import SessionDone
from media.measure import goertzel_dbfs, rms_dbfs
from media.merge import MergePlan, merge
from tests.peer.call import Call
from tests.peer.ladder import PATIENCE_S
from tests.peer.pacer import Pacer
from tests.peer.peer import Peer
from tests.peer.rtp import Media
from tests.peer.tones import clearest, sine
from tests.sip.worker_process import FROM_EDGE, WorkerProcess, run_worker_process

pytestmark = pytest.mark.sip

Samples = npt.NDArray[np.int16]

RATE = 8000
FRAME_S = 0.020
PARENT_HZ, CHILD_HZ = 440.0, 660.0
LOUD_DBFS = -20.0
"""A tone of -15 dBFS of which a busy machine may have lost a frame or two."""
BURST_S = 0.25
MIDDLE_S = 0.1
"""Length of a burst: whole periods of both tones, so that neither leaks into the other's level."""
LATE_MS = 50.0
"""Time between two packets that are due every 20 ms."""
B_LEG = LegId("b")


@dataclass
class Scene:
    """A caller and a callee who talk in a worker; their recording is called R."""

    worker: WorkerProcess
    a_leg: LegId
    call: Call
    """The caller's."""
    incoming: Call
    """The callee's."""
    stem: str

    @property
    def folder(self) -> Path:
        return Path(self.stem).parent

    async def record(self, child: LegId | None = B_LEG) -> RecordingStarted:
        self.worker.send(StartRecording(recording="R", stem=self.stem, parent=self.a_leg, child=child))
        return await self.worker.expect(RecordingStarted, recording="R")

    async def stop(self) -> tuple[RecordingStopped, Samples, Samples]:
        """Stop the recording, and read both sides."""
        self.worker.send(StopRecording(recording="R"))
        return read(await self.worker.expect(RecordingStopped, recording="R"))

    async def burst(self) -> None:
        """Both ends send sound in the same tick of one clock."""
        self.call.media.play(sine(PARENT_HZ, -12.0, round(BURST_S * RATE)))
        self.incoming.media.play(sine(CHILD_HZ, -12.0, round(BURST_S * RATE)))
        await asyncio.gather(*(hear_more(one.media, 2 * BURST_S) for one in (self.call, self.incoming)))

    async def hang_up(self) -> None:
        await self.call.bye()
        await self.worker.expect(LegEnded, leg=self.a_leg)
        self.worker.send(HangupLeg(leg=B_LEG))
        await self.worker.expect(LegEnded, leg=B_LEG)


def read(stopped: RecordingStopped) -> tuple[RecordingStopped, Samples, Samples]:
    parent, child = (soundfile.read(path, dtype="int16")[0] for path in stopped.files)
    return stopped, parent, child


def plan_of(scene: Scene, target: Path) -> MergePlan:
    parent, child = (Path(f"{scene.stem}.{side}.wav") for side in ("parent", "child"))
    return MergePlan(parent=parent, child=child, target=target, dual=True)


async def hear_more(media: Media, seconds: float) -> None:
    """Wait until this much more audio has arrived at this end, so that as much was recorded."""
    await media.expect_heard(len(media.heard()) / RATE + seconds)


def onsets_s(samples: Samples) -> list[float]:
    """Where each sound begins; more than 0.1 s of silence comes before it."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 800)
    first = np.diff(loud, prepend=-RATE) > RATE / 10
    return [float(at) / RATE for at in loud[first]]


def ends_s(samples: Samples) -> list[float]:
    """Where each sound ends."""
    return [(len(samples) - 1) / RATE - at for at in reversed(onsets_s(samples[::-1]))]


def assert_aligned(parent: Samples, child: Samples, bursts: int) -> None:
    """All bursts are on both sides, within a frame of each other, and only on their own side.

    What a busy machine loses of a burst moves its beginning or its end; a shift would move both.
    """
    ours, theirs = onsets_s(parent), onsets_s(child)
    assert (len(ours), len(theirs)) == (bursts, bursts), (ours, theirs)
    for at, other, end, other_end in zip(ours, theirs, ends_s(parent), ends_s(child), strict=True):
        shift_s = min(abs(at - other), abs(end - other_end))
        assert shift_s <= FRAME_S + 0.001, (ours, theirs)  # where a sine begins is found to a ms
        begin = round((max(at, other) + 0.05) * RATE)
        middle = slice(begin, begin + round(MIDDLE_S * RATE))
        for own, far, hz in ((parent, child, PARENT_HZ), (child, parent, CHILD_HZ)):
            assert goertzel_dbfs(own[middle], hz, RATE) > LOUD_DBFS
            assert goertzel_dbfs(own[middle], hz, RATE) - goertzel_dbfs(far[middle], hz, RATE) > 40.0
    assert abs(len(parent) - len(child)) <= FRAME_S * RATE


@pytest.fixture
def limits() -> tuple[str, ...]:
    """Options of the worker; tests override them."""
    return ()


@asynccontextmanager
async def talking(folder: Path, caller: Peer, callee: Peer, limits: tuple[str, ...]) -> AsyncIterator[Scene]:
    async with run_worker_process(folder, callee.port, limits=limits) as worker:
        call = await caller.invite(f"sip:100@127.0.0.1:{worker.sip_port}", headers=FROM_EDGE)
        a_leg = (await worker.expect(LegIncoming)).leg
        worker.send(
            InviteLeg(
                leg=B_LEG,
                sip_call_id=SipCallId("the-callees"),
                uri=callee.uri(),
                from_header="<sip:+14155550123@127.0.0.1>",
            )
        )
        incoming = await callee.expect_invite()
        await incoming.answer()
        await worker.expect(LegAnswered, leg=B_LEG)
        worker.send(AnswerLeg(leg=a_leg), SetMedia(connections=both_ways(a_leg, B_LEG)))
        await call.expect_response(200)
        await worker.expect(LegConfirmed, leg=a_leg)
        yield Scene(worker, a_leg, call, incoming, str(folder / "R"))


def both_ways(one: LegId, other: LegId) -> tuple[Connection, ...]:
    return Connection(one, other), Connection(other, one)


def in_time(test: Callable[[Scene], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Repeat a measurement to the millisecond if it fails and the machine was late meanwhile.

    A process that does not get the CPU for some frames leaves one side's jitter buffer longer than the
    other's for a while. A failure in time is one, and so is one in three.
    """

    async def measured(tmp_path: Path, caller: Peer, callee: Peer, limits: tuple[str, ...]) -> None:
        for left in (2, 1, 0):
            folder = tmp_path / str(left)
            folder.mkdir()
            late_before = Pacer.here().late_ticks
            try:
                async with talking(folder, caller, callee, limits) as scene:
                    return await test(scene)
            except AssertionError:
                heard = [call.media for call in (*caller.calls, *callee.calls)]
                late = Pacer.here().late_ticks > late_before
                if not left or not (late or any(media.counts.max_gap_ms > LATE_MS for media in heard)):
                    raise
                for media in heard:
                    media.close()

    measured.__name__ = test.__name__
    return measured


@pytest.fixture
async def scene(tmp_path: Path, caller: Peer, callee: Peer, limits: tuple[str, ...]) -> AsyncIterator[Scene]:
    async with talking(tmp_path, caller, callee, limits) as scene:
        yield scene


@in_time
async def test_sounds_of_one_instant_are_in_one_frame_of_both_sides(scene: Scene) -> None:
    started = await scene.record()
    for _ in range(3):
        await scene.burst()
    stopped, parent, child = await scene.stop()
    assert_aligned(parent, child, bursts=3)
    assert stopped.reason == ""
    assert len(parent) / RATE == pytest.approx(stopped.duration_s, abs=FRAME_S)
    assert stopped.duration_s == pytest.approx(stopped.at - started.at, abs=2 * FRAME_S)


@in_time
async def test_hold_a_new_port_and_another_codec_keep_the_sides_aligned(scene: Scene) -> None:
    started = await scene.record()
    await scene.burst()
    await scene.call.hold()
    await scene.call.resume()
    await scene.burst()
    await scene.incoming.reinvite("inactive")
    await scene.incoming.resume()
    await scene.burst()
    await scene.call.reinvite(new_port=True)
    # When a packet of the old port is read after the change, the library takes nine of the new one for
    # somebody else's: up to 0.2 s of that side are lost, and nothing is shifted by it.
    await hear_more(scene.incoming.media, 0.4)
    await scene.burst()
    scene.call.media.options = dataclasses.replace(scene.call.media.options, codecs=("PCMA",))
    await scene.call.reinvite()
    await scene.burst()
    assert scene.call.media.codec == "PCMA"
    stopped, parent, child = await scene.stop()
    assert_aligned(parent, child, bursts=5)
    assert stopped.duration_s == pytest.approx(stopped.at - started.at, abs=2 * FRAME_S)


async def test_a_side_that_sends_nothing_is_silent_and_as_long(scene: Scene) -> None:
    scene.incoming.media.stop()
    await scene.record()
    scene.call.media.play_tone(PARENT_HZ)
    await scene.incoming.media.expect_tone(PARENT_HZ)
    _, parent, child = await scene.stop()
    assert goertzel_dbfs(clearest(parent[-RATE // 2 :], PARENT_HZ), PARENT_HZ, RATE) > LOUD_DBFS
    assert rms_dbfs(child[800:]) < -60.0
    assert abs(len(parent) - len(child)) <= FRAME_S * RATE


@in_time
async def test_gaps_in_the_rtp_shift_nothing(scene: Scene) -> None:
    await scene.record()
    await scene.burst()
    scene.call.media.stop()
    await hear_more(scene.incoming.media, 1.0)
    await scene.burst()
    _, parent, child = await scene.stop()
    assert_aligned(parent, child, bursts=2)


async def test_a_leg_that_ended_is_silent_for_the_rest(scene: Scene) -> None:
    started = await scene.record()
    await scene.burst()
    await scene.incoming.bye()
    await scene.worker.expect(LegEnded, leg=B_LEG)
    scene.call.media.play_tone(PARENT_HZ)
    await scene.call.media.expect_sent(1.0)  # of tone on one side and nothing on the other
    stopped, parent, child = await scene.stop()
    assert stopped.duration_s == pytest.approx(stopped.at - started.at, abs=2 * FRAME_S)
    assert goertzel_dbfs(clearest(parent[-RATE // 2 :], PARENT_HZ), PARENT_HZ, RATE) > LOUD_DBFS
    assert rms_dbfs(child[-1600:]) < -60.0
    assert len(parent) == len(child)


@in_time
async def test_the_child_may_come_later(scene: Scene) -> None:
    await scene.record(child=None)
    await scene.burst()
    scene.worker.send(RecordLegs(recording="R", parent=scene.a_leg, child=B_LEG))
    await scene.burst()
    _, parent, child = await scene.stop()
    assert len(onsets_s(parent)) == 2
    assert len(onsets_s(child)) == 1
    assert_aligned(parent[-len(parent) // 2 :], child[-len(parent) // 2 :], bursts=1)


@in_time
async def test_another_leg_takes_the_childs_place(scene: Scene) -> None:
    callee = scene.incoming.peer
    await scene.record()
    await scene.burst()
    other = LegId("c")
    scene.worker.send(
        InviteLeg(
            leg=other,
            sip_call_id=SipCallId("another"),
            uri=callee.uri(),
            from_header="<sip:+14155550123@127.0.0.1>",
        )
    )
    taking = await callee.expect_invite()
    await taking.answer()
    await scene.worker.expect(LegAnswered, leg=other)
    scene.worker.send(
        SetMedia(connections=both_ways(scene.a_leg, other)),
        RecordLegs(recording="R", parent=scene.a_leg, child=other),
    )
    before, scene.incoming = scene.incoming, taking
    await hear_more(taking.media, 0.2)
    before.media.play_tone(CHILD_HZ)  # is nobody's channel any more
    await scene.burst()
    _, parent, child = await scene.stop()
    assert_aligned(parent, child, bursts=2)
    scene.worker.send(HangupLeg(leg=other))
    await scene.worker.expect(LegEnded, leg=other)


async def test_the_child_may_be_all_that_a_leg_hears(scene: Scene) -> None:
    tone = sine(480.0, -15.0, RATE)
    soundfile.write(Path(scene.stem).with_name("us.wav"), tone, RATE, "PCM_16")
    await scene.record(child=LegId(f"to:{scene.a_leg}"))
    await scene.burst()
    scene.worker.send(SetMedia(connections=(Connection("tone:us", scene.a_leg),)))
    await scene.call.media.expect_tone(480.0)
    _, _, child = await scene.stop()
    assert len(onsets_s(child)) == 2
    assert goertzel_dbfs(clearest(child[-RATE // 2 :], 480.0), 480.0, RATE) > -30.0


async def test_silence_is_told_when_it_has_lasted(scene: Scene) -> None:
    scene.call.media.play_source(lambda at: sine(PARENT_HZ, -63.0, 160, at))  # a line's noise
    scene.worker.send(WatchSilence(leg=scene.a_leg, timeout_s=0.4), WatchSilence(leg=B_LEG, timeout_s=0.2))
    told = await scene.worker.expect(SilenceReached, leg=B_LEG)
    assert not told.heard
    assert not (await scene.worker.expect(SilenceReached, leg=scene.a_leg)).heard
    scene.call.media.play_tone(PARENT_HZ, -35.0)
    await scene.incoming.media.expect_tone(PARENT_HZ, -40.0)
    begun = time.monotonic()
    scene.worker.send(WatchSilence(leg=scene.a_leg, timeout_s=0.6), WatchSilence(leg=B_LEG, timeout_s=9))
    await hear_more(scene.incoming.media, 0.5)
    scene.call.media.silence()
    told = await scene.worker.expect(SilenceReached, leg=scene.a_leg)
    assert told.heard
    assert 1.0 < told.at - begun < 1.5
    scene.worker.send(WatchSilence(leg=B_LEG, timeout_s=0))
    await scene.hang_up()


@in_time
async def test_the_end_of_the_session_completes_its_recordings_first(scene: Scene) -> None:
    await scene.record()
    await scene.burst()
    await scene.hang_up()
    scene.worker.send(EndSession())
    assert (await scene.worker.expect(SessionDone)).healthy
    kinds = [type(event) for event in scene.worker.events]
    assert kinds.index(RecordingStopped) < kinds.index(SessionDone)
    _, parent, child = read(await scene.worker.expect(RecordingStopped))
    assert_aligned(parent, child, bursts=1)


async def test_a_second_session_records_in_the_same_worker(scene: Scene, caller: Peer, callee: Peer) -> None:
    await scene.record()
    await scene.hang_up()
    scene.worker.send(EndSession())
    await scene.worker.expect(SessionDone, sessions=1)
    await scene.worker.expect(RecordingStopped)
    call = await caller.invite(f"sip:100@127.0.0.1:{scene.worker.sip_port}", headers=FROM_EDGE)
    scene.a_leg = (await scene.worker.expect(LegIncoming)).leg
    scene.worker.send(AnswerLeg(leg=scene.a_leg))
    await call.expect_response(200)
    await scene.record(child=None)
    call.media.play_tone(PARENT_HZ)
    await call.media.expect_sent(1.0)  # of tone
    _, parent, child = await scene.stop()
    assert goertzel_dbfs(clearest(parent[-RATE // 2 :], PARENT_HZ), PARENT_HZ, RATE) > LOUD_DBFS
    assert len(parent) == len(child)
    await call.bye()
    await scene.worker.expect(LegEnded, leg=scene.a_leg)
    scene.worker.send(EndSession())
    assert (await scene.worker.expect(SessionDone, sessions=2)).healthy


@in_time
async def test_what_was_said_until_a_second_before_a_kill_is_recorded(scene: Scene) -> None:
    started = await scene.record()
    for _ in range(3):
        await scene.burst()
    os.kill(scene.worker.process.pid, signal.SIGKILL)
    elapsed_s = time.monotonic() - started.at
    await scene.worker.process.wait()
    finished = merge(plan_of(scene, scene.folder / "R.wav"))
    assert finished is not None
    assert elapsed_s - finished.duration_s < 0.6
    samples, _ = soundfile.read(finished.path, dtype="int16")
    begun = onsets_s(samples[:, 0])
    before_the_last = samples[: round((begun[-1] - 2 * FRAME_S) * RATE)]
    assert len(begun) >= 2
    assert_aligned(before_the_last[:, 0], before_the_last[:, 1], bursts=len(begun) - 1)


@in_time
async def test_a_worker_without_a_controller_completes_its_files(scene: Scene) -> None:
    await scene.record()
    await scene.burst()
    scene.worker.channel.close()
    assert await asyncio.wait_for(scene.worker.process.wait(), PATIENCE_S) == 0
    parent, child = (
        soundfile.read(f"{scene.stem}.{side}.wav", dtype="int16")[0] for side in ("parent", "child")
    )
    assert_aligned(parent, child, bursts=1)


async def test_a_folder_that_is_missing_costs_the_recording_only(scene: Scene) -> None:
    scene.worker.send(StartRecording(recording="R", stem=f"{scene.stem}/no/R", parent=scene.a_leg))
    stopped = await scene.worker.expect(RecordingStopped)
    assert stopped.files == ()
    assert "No such file" in stopped.reason
    await scene.burst()


@pytest.mark.parametrize("limits", [("prlimit", "--fsize=14336")])
@in_time
async def test_a_full_disk_costs_the_recording_only(scene: Scene) -> None:
    await scene.record()
    for _ in range(3):
        await scene.burst()
    scene.worker.send(StopRecording(recording="R"))
    stopped = await scene.worker.expect(RecordingStopped)
    assert "could not be written" in stopped.reason
    finished = merge(plan_of(scene, scene.folder / "R.wav"))
    assert finished is not None
    assert 0.6 < finished.duration_s < stopped.duration_s
    samples, _ = soundfile.read(finished.path, dtype="int16")
    before_the_last = samples[: round((onsets_s(samples[:, 0])[-1] - 2 * FRAME_S) * RATE)]
    assert_aligned(before_the_last[:, 0], before_the_last[:, 1], bursts=1)
    await scene.burst()
