"""Conference rooms of the relay process, with real sockets."""

import contextlib
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from b2bua.relay.control import (
    CloseLeg,
    LegMeasured,
    PlayInRoom,
    RecordRoom,
    RoomEntered,
    RoomMember,
    RoomSoundEnded,
    SetRoom,
    StopTaps,
    TapsBegun,
    TapsEnded,
)
from media.measure import goertzel_dbfs
from media.relay_tracks import TracksPlan, write_tracks
from tests.relay.relay_process import RealLeg, RelayProcess, receive, run_relay
from tests.relay.room_talk import HZ, LEVEL, SILENT, RoomTalk, members
from tests.unit.media.voices_in_rooms import RATE, tone
from tests.unit.relay.relay_scene import is_contiguous, parse, rtp

pytestmark = pytest.mark.process


@contextlib.asynccontextmanager
async def room_of_three(folder: Path) -> AsyncIterator[tuple[RelayProcess, list[RealLeg], RoomTalk]]:
    """Three legs that are in a room and talk."""
    async with run_relay(folder) as relay:
        legs = [await relay.leg(name) for name in ("a", "b", "c")]
        relay.controller.send(SetRoom(room="r", members=members(*legs)))
        for _ in legs:
            await relay.controller.expect(RoomEntered)
        talk = RoomTalk(legs)
        try:
            yield relay, legs, talk
        finally:
            await talk.stop()


async def test_a_link_leg_takes_part_by_its_inner_port(tmp_path: Path) -> None:
    async with run_relay(tmp_path) as relay:
        legs = [await relay.leg("a"), await relay.leg("link", inside=True)]
        talk = RoomTalk(legs)
        try:
            for listed in (legs, legs[:1], legs):
                relay.controller.send(SetRoom(room="r", members=members(*listed)))
                await talk.until(0, {1} if len(listed) == 2 else set())
            await talk.until(1, {0})
        finally:
            await talk.stop()
        relay.edge.send(CloseLeg(leg=legs[1].key))
        assert (await relay.controller.expect(LegMeasured)).received > 0


async def test_three_hear_each_other_and_not_themselves(tmp_path: Path) -> None:
    async with room_of_three(tmp_path) as (_, _, talk):
        for n in range(3):
            await talk.until(n, {0, 1, 2} - {n})
        await talk.packets(40)
        for n in range(3):
            assert abs(talk.level(n, HZ[(n + 1) % 3]) - LEVEL) < 1
            assert is_contiguous(talk.heard[n])
            assert {packet.kind for packet in talk.heard[n]} == {8}
            first, last = talk.heard[n][-30], talk.heard[n][-1]
            assert (last.ts - first.ts) & 0xFFFFFFFF == 29 * 160


async def test_mute_hold_and_coach(tmp_path: Path) -> None:
    async with room_of_three(tmp_path) as (relay, (a, b, c), talk):
        muted = RoomMember(leg=a.key, talks=False)
        relay.controller.send(SetRoom(room="r", members=(muted, *members(b, c))))
        await talk.until(1, {2})
        await talk.until(0, {1, 2})
        coach = RoomMember(leg=c.key, coaches=a.key)
        relay.controller.send(SetRoom(room="r", members=(*members(a, b), coach)))
        await talk.until(1, {0})
        await talk.until(0, {1, 2})
        await talk.until(2, {0, 1})
        relay.controller.send(SetRoom(room="r", members=members(a, b)))  # c is held: it hears its worker
        await talk.until(1, {0})
        with contextlib.suppress(BlockingIOError):
            while c.worker.recv(4096):
                pass
        await talk.packets(2, 1)
        assert await receive(c.worker)
        c.worker.sendto(rtp(8, 1, 160, 5, b"music"), c.inner)
        await talk.packets(5, 1)
        assert talk.heard[2][-1].payload == b"music"
        relay.controller.send(SetRoom(room="r", members=members(a, b, c)))
        await talk.until(2, {0, 1})
        assert is_contiguous(talk.heard[2])


def write_wav(path: Path, hz: float, dbfs: float, frames: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(tone(hz, dbfs, frames).tobytes())


async def test_a_beep_is_heard_by_the_listeners_and_recorded(tmp_path: Path) -> None:
    write_wav(tmp_path / "beep.wav", 1500, -18, 60)
    raw = tmp_path / "r.raw"
    async with room_of_three(tmp_path) as (relay, (a, b, c), talk):
        await talk.until(2, {0, 1})
        coach = RoomMember(leg=c.key, coaches=a.key)
        relay.controller.send(
            SetRoom(room="r", members=(*members(a, b), coach)),
            RecordRoom(room="r", recording="R", path=str(raw)),
        )
        await relay.controller.expect(TapsBegun)
        await talk.packets(30)
        relay.controller.send(PlayInRoom(room="r", sound="s", path=str(tmp_path / "beep.wav")))
        await talk.packets(40)
        for n in range(3):
            assert abs(talk.level(n, 1500) + 18) < 1
        assert (await relay.controller.expect(RoomSoundEnded)).failure == ""
        relay.controller.send(PlayInRoom(room="r", sound="t", path=str(tmp_path / "none.wav")))
        assert (await relay.controller.expect(RoomSoundEnded)).failure
        await talk.packets(30)
        assert talk.level(0, 1500) < SILENT
        relay.controller.send(StopTaps(recording="R"))
        assert (await relay.controller.expect(TapsEnded)).reason == ""
    tracks = tmp_path / "parent.wav", tmp_path / "child.wav"
    write_tracks(TracksPlan(relay=raw, parent=tracks[0], child=tracks[1]))
    samples, rate = soundfile.read(tracks[0], dtype="int16")
    assert rate == RATE
    assert np.count_nonzero(samples) > 1.8 * RATE
    levels = [goertzel_dbfs(samples[1600:4800], hz, RATE) for hz in (HZ[0], HZ[1], HZ[2], 1500)]
    assert [level > SILENT for level in levels] == [True, True, False, False]
    beeps = [goertzel_dbfs(samples[at : at + 800], 1500, RATE) for at in range(0, samples.size - 800, 800)]
    assert max(beeps) == pytest.approx(-18, abs=1)


async def test_a_relay_that_was_killed_has_its_room_again(tmp_path: Path) -> None:
    async with room_of_three(tmp_path) as (relay, legs, talk):
        await talk.until(0, {1, 2})
        await relay.kill()
        await relay.start(*relay.pairs)
        relay.controller.send(SetRoom(room="r", members=members(*legs)))
        for leg in legs:
            leg.open_again()
        for _ in legs:
            await relay.controller.expect(RoomEntered)
        await talk.packets(30)
        for n in range(3):
            await talk.until(n, {0, 1, 2} - {n})


async def test_workers_hear_their_parties_when_the_room_has_ended(tmp_path: Path) -> None:
    async with room_of_three(tmp_path) as (relay, legs, talk):
        await talk.until(0, {1, 2})
        relay.controller.send(SetRoom(room="r", members=()))
        for leg in legs:
            with contextlib.suppress(BlockingIOError):
                while leg.worker.recv(4096):
                    pass
        for n, leg in enumerate(legs):
            ours = {parse(await receive(leg.worker)).ssrc for _ in range(20)}
            assert ours == {7000 + n}
