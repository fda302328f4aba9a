"""A bridge at 16 kHz: a G.722 call keeps the band that G.711 lacks, and so does its recording."""

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from b2bua.core.commands import (
    AnswerLeg,
    EndSession,
    HangupLeg,
    InviteLeg,
    StartPrompt,
    StartRecording,
)
from b2bua.core.events import LegAnswered, LegEnded, LegIncoming, RecordingStarted, RecordingStopped
from b2bua.core.ids import LegId, SipCallId
from b2bua.engine.protocol import SessionDone
from media.measure import goertzel_dbfs
from media.merge import MergePlan, merge
from tests.peer.ladder import PATIENCE_S
from tests.sip.worker_process import FROM_EDGE, run_worker_process

pytestmark = pytest.mark.sip

RATE = 16_000
HZ = 6000.0
"""Tones of two workers that call each other; above everything that 8 kHz can carry."""


def write_tone(path: Path) -> Path:
    at = np.arange(RATE) / RATE
    soundfile.write(path, 0.25 * np.sin(2 * np.pi * HZ * at), RATE, subtype="PCM_16")
    return path


async def recorded(path: Path, seconds: float) -> None:
    """Wait until this much of a side is on the disk."""
    async with asyncio.timeout(PATIENCE_S):
        while os.stat(path).st_size < seconds * RATE * 2:  # noqa: ASYNC110  # another process writes it
            await asyncio.sleep(0.02)


async def test_a_recording_of_g722_has_its_band(tmp_path: Path) -> None:
    tone = write_tone(tmp_path / "tone.wav")
    for name in ("callee", "caller"):
        (tmp_path / name).mkdir()
    wide = {"codecs": ("G722",), "clock_rate_hz": RATE}
    async with (
        run_worker_process(tmp_path / "callee", 9, **wide) as callee,
        run_worker_process(tmp_path / "caller", callee.sip_port, **wide) as caller,
    ):
        caller.send(
            InviteLeg(
                leg=LegId("out"),
                sip_call_id=SipCallId("wide"),
                uri=f"sip:100@127.0.0.1:{callee.sip_port}",
                from_header="<sip:200@127.0.0.1>",
                headers=tuple(FROM_EDGE),
            )
        )
        incoming = (await callee.expect(LegIncoming)).leg
        callee.send(AnswerLeg(leg=incoming), StartPrompt(prompt="p", leg=incoming, file=str(tone), loops=0))
        await caller.expect(LegAnswered)
        stem = str(tmp_path / "R")
        caller.send(StartRecording(recording="R", stem=stem, parent=LegId("out")))
        await caller.expect(RecordingStarted)
        await recorded(Path(f"{stem}.parent.wav"), 1.0)
        caller.send(HangupLeg(leg=LegId("out")), EndSession())
        stopped = await caller.expect(RecordingStopped, recording="R")
        await callee.expect(LegEnded)
        callee.send(EndSession())
        assert (await caller.expect(SessionDone)).healthy
    assert stopped.reason == ""
    parent, child = (Path(path) for path in stopped.files)
    finished = merge(MergePlan(parent=parent, child=child, target=tmp_path / "R.wav", dual=True))
    assert finished is not None
    sound, rate = soundfile.read(finished.path, dtype="int16")
    assert rate == RATE
    assert len(sound) / RATE == pytest.approx(stopped.duration_s, abs=0.02)
    assert goertzel_dbfs(sound[-RATE // 4 :, 0], HZ, RATE) > -20.0
