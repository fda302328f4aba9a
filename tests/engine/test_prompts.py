"""A worker's players: a leg hears a prompt completely, as often as ordered, and no longer."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from b2bua.core.commands import (
    AnswerLeg,
    Connection,
    EndSession,
    HangupLeg,
    SetMedia,
    StartPrompt,
    StopPrompt,
)
from b2bua.core.events import LegConfirmed, LegEnded, LegIncoming, PromptEnded
from b2bua.core.ids import LegId
from b2bua.engine.protocol import SessionDone
from media.measure import goertzel_dbfs, on_off_ms
from tests.peer.call import Call
from tests.peer.ladder import PATIENCE_S
from tests.peer.peer import Peer
from tests.sip.worker_process import FROM_EDGE, WorkerProcess, run_worker_process

pytestmark = pytest.mark.sip

RATE = 8000
FRAME_S = 0.020
HZ = 800.0


@dataclass
class Scene:
    """A caller in a worker, answered."""

    worker: WorkerProcess
    leg: LegId
    call: Call
    folder: Path

    def tone(self, seconds: float, *, hz: float = HZ) -> str:
        """A file that contains this tone."""
        path = self.folder / f"{hz:g}-{seconds:g}.wav"
        at = np.arange(round(seconds * RATE)) / RATE
        soundfile.write(path, 0.25 * np.sin(2 * np.pi * hz * at), RATE, subtype="PCM_16")
        return str(path)

    def play(self, file: str, *, prompt: str = "P", loops: int = 1) -> None:
        self.worker.send(StartPrompt(prompt=prompt, leg=self.leg, file=file, loops=loops))

    async def ended(self, prompt: str = "P", *, within_s: float = PATIENCE_S) -> PromptEnded:
        return await self.worker.expect(PromptEnded, prompt=prompt, within_s=within_s)

    async def silence(self) -> None:
        """Wait for the event: the audio before it is complete then."""
        await self.call.media.expect_silence()

    def sounds_ms(self) -> tuple[float, ...]:
        """Lengths of sound and silence since the first sound, without the last silence."""
        lengths = on_off_ms(self.call.media.heard(), RATE)
        return lengths if len(lengths) % 2 else lengths[:-1]

    async def hang_up(self) -> None:
        await self.call.bye()
        await self.worker.expect(LegEnded, leg=self.leg)
        self.worker.send(EndSession())
        assert (await self.worker.expect(SessionDone)).healthy


@pytest.fixture
async def scene(tmp_path: Path, caller: Peer) -> AsyncIterator[Scene]:
    async with run_worker_process(tmp_path, 9) as worker:
        call = await caller.invite(f"sip:100@127.0.0.1:{worker.sip_port}", headers=FROM_EDGE)
        leg = (await worker.expect(LegIncoming)).leg
        yield Scene(worker, leg, call, tmp_path)


@pytest.fixture
async def answered(scene: Scene) -> Scene:
    scene.worker.send(AnswerLeg(leg=scene.leg))
    await scene.call.expect_response(200)
    await scene.worker.expect(LegConfirmed, leg=scene.leg)
    return scene


def near(*lengths_ms: float) -> object:
    return pytest.approx(lengths_ms, abs=3.0)


async def test_a_prompt_is_heard_from_its_first_sample_to_its_last(answered: Scene) -> None:
    file = answered.tone(0.59)
    lasted_s = []
    for prompt in ("P", "Q", "R"):
        begun = time.monotonic()
        answered.play(file, prompt=prompt)
        ended = await answered.ended(prompt)
        lasted_s.append(ended.at - begun)
        await answered.silence()
        assert ended.complete
    assert answered.sounds_ms()[::2] == near(590, 590, 590)
    heard = answered.call.media.heard()
    sounds = np.flatnonzero(np.abs(heard.astype(np.int32)) > 800)
    assert goertzel_dbfs(heard[sounds[0] :][:1600], HZ, RATE) > -15.0
    # The others may have waited for a busy machine.
    assert min(lasted_s, key=lambda s: abs(s - 0.60)) == pytest.approx(0.60, abs=0.06), lasted_s
    await answered.hang_up()


async def test_rounds_follow_each_other_without_a_gap(answered: Scene) -> None:
    answered.play(answered.tone(0.4), loops=3)
    assert (await answered.ended()).complete
    await answered.silence()
    assert answered.sounds_ms() == near(1200)
    await answered.hang_up()


async def test_an_endless_prompt_plays_until_it_is_stopped(answered: Scene) -> None:
    answered.play(answered.tone(0.1), loops=0)
    await answered.call.media.expect_tone(HZ)
    await answered.call.media.expect_heard(1.5)
    answered.worker.send(StopPrompt(prompt="P"))
    assert not (await answered.ended()).complete
    await answered.silence()
    (length,) = answered.sounds_ms()
    assert length > 1000
    await answered.hang_up()


async def test_a_stopped_prompt_is_not_heard_100_ms_later(answered: Scene) -> None:
    answered.play(answered.tone(10))
    await answered.call.media.expect_tone(HZ)
    answered.worker.send(StopPrompt(prompt="P"), StopPrompt(prompt="P"))
    stopped = time.monotonic()
    assert not (await answered.ended()).complete
    await answered.silence()
    heard, hearing = answered.call.media.heard(), answered.call.media.hearing
    last_s = hearing.started_at + np.flatnonzero(np.abs(heard.astype(np.int32)) > 800)[-1] / RATE
    assert last_s - stopped < 0.1
    await answered.hang_up()


async def test_a_leg_that_ends_ends_its_prompts_once(answered: Scene) -> None:
    answered.play(answered.tone(10))
    answered.play(answered.tone(10, hz=500), prompt="Q")
    await answered.call.media.expect_tone(HZ)
    await answered.hang_up()
    ends = [event for event in answered.worker.events if isinstance(event, PromptEnded)]
    assert sorted((end.prompt, end.complete) for end in ends) == [("P", False), ("Q", False)]


async def test_the_end_of_the_session_ends_what_plays(answered: Scene) -> None:
    answered.play(answered.tone(10))
    await answered.call.media.expect_tone(HZ)
    answered.worker.send(HangupLeg(leg=answered.leg), EndSession())
    assert (await answered.worker.expect(SessionDone)).healthy
    assert not (await answered.ended()).complete


async def test_a_prompt_waits_for_its_legs_media(scene: Scene) -> None:
    scene.play(scene.tone(0.4))
    await asyncio.sleep(0.5)  # longer than it lasts
    assert not [event for event in scene.worker.events if isinstance(event, PromptEnded)]
    scene.worker.send(AnswerLeg(leg=scene.leg))
    await scene.call.expect_response(200)
    assert (await scene.ended()).complete
    await scene.silence()
    (length,) = scene.sounds_ms()
    assert length == pytest.approx(400, abs=40)  # what is sent before the ACK has been sent is not heard
    await scene.hang_up()


async def test_time_passes_for_a_leg_that_is_held(answered: Scene) -> None:
    begun = time.monotonic()
    answered.play(answered.tone(1.5))
    await answered.call.media.expect_tone(HZ)
    await answered.call.hold()
    ended = await answered.ended()
    assert ended.complete
    assert ended.at - begun == pytest.approx(1.5, abs=0.1)
    await answered.call.resume()
    await answered.hang_up()


async def test_a_prompt_goes_on_at_a_new_port(answered: Scene) -> None:
    answered.play(answered.tone(2.0))
    await answered.call.media.expect_tone(HZ)
    await answered.call.reinvite(new_port=True)
    await answered.call.media.expect_tone(HZ)
    assert (await answered.ended()).complete
    await answered.hang_up()


async def test_a_prompt_is_heard_besides_what_the_leg_hears_anyway(answered: Scene) -> None:
    answered.tone(1.0, hz=440)
    (answered.folder / "440-1.wav").rename(answered.folder / "us.wav")
    answered.worker.send(SetMedia(connections=(Connection("tone:us", answered.leg),)))
    await answered.call.media.expect_tone(440)
    answered.play(answered.tone(1.0))
    await answered.call.media.expect_tone(HZ)
    assert (await answered.ended()).complete
    await answered.call.media.expect_tone(440)
    await answered.hang_up()


@pytest.mark.parametrize("file", ["none.wav", "empty.wav", "text.wav"])
async def test_a_file_that_cannot_be_played_is_over_at_once(answered: Scene, file: str) -> None:
    soundfile.write(answered.folder / "empty.wav", np.zeros(0, np.int16), RATE)
    (answered.folder / "text.wav").write_text("no sound " * 100)
    answered.play(str(answered.folder / file))
    assert not (await answered.ended()).complete
    answered.play(answered.tone(0.2), prompt="Q")
    assert (await answered.ended("Q")).complete
    await answered.hang_up()


async def test_a_leg_that_is_not_there_hears_nothing(answered: Scene) -> None:
    answered.worker.send(StartPrompt(prompt="P", leg=LegId("nobody"), file=answered.tone(0.2)))
    assert not (await answered.ended()).complete
    await answered.hang_up()


async def test_a_hundred_prompts_one_after_another(answered: Scene) -> None:
    file = answered.tone(0.03)
    for number in range(100):
        answered.play(file, prompt=str(number))
        assert (await answered.ended(str(number))).complete
    await answered.hang_up()
