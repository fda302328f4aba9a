"""Two tracks from a raw file of the relay's: what each party said is where it was said."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.g711 import PCMA, PCMU
from media.measure import goertzel_dbfs, rms_dbfs
from media.recording import RecordingError, complete_header
from media.relay_file import CHILD, PARENT
from media.relay_tracks import TracksPlan, WorkerPart, write_tracks
from tests.effort import examples
from tests.unit.media.raw_files import Samples, quiet, tone, write_raw
from tests.unit.media.relay_files import Packet, Party, header, piece, write_relay

pytestmark = pytest.mark.unit

RATE = 8000
FRAME = 160


def tracks(folder: Path, *pieces: Iterable[Packet], **plan: Any) -> tuple[Samples, Samples]:
    if pieces:
        write_relay(folder / "R.rtp", *pieces)
    return made(folder, **plan)


def made(folder: Path, **plan: Any) -> tuple[Samples, Samples]:
    paths = folder / "R.parent.wav", folder / "R.child.wav"
    write_tracks(TracksPlan(relay=folder / "R.rtp", parent=paths[0], child=paths[1], **plan))
    found = []
    for path in paths:
        assert not complete_header(path)  # the sizes in it are right
        samples, rate = soundfile.read(path, dtype="int16")
        assert rate == RATE
        found.append(samples)
    assert len(found[0]) == len(found[1])
    return found[0], found[1]


def beeps(seconds: float, hz: float = 800.0) -> Samples:
    """A beep of 50 ms every 250 ms, the first at 0."""
    return np.tile(np.concatenate((tone(hz, 0.05), quiet(0.2))), round(seconds * 4))


def onsets_s(track: Samples) -> list[float]:
    """When beeps begin."""
    loud = np.flatnonzero(np.abs(track.astype(np.int32)) > 1500)
    if not len(loud):
        return []
    starts = loud[np.concatenate(([0], np.flatnonzero(np.diff(loud) > 0.1 * RATE) + 1))]
    return [float(start) / RATE for start in starts]


@pytest.mark.parametrize("payload_type", [PCMU, PCMA])
def test_each_side_has_its_own_sound_in_place(tmp_path: Path, payload_type: int) -> None:
    parent = Party(PARENT, payload_type=payload_type)
    child = Party(CHILD, ssrc=8, payload_type=payload_type)
    sound = [*parent.sends(tone(440, 2.0), at=0.5), *child.sends(tone(660, 1.0), at=1.0)]
    first, second = tracks(tmp_path, sound, length_s=3.0)
    assert len(first) == 3 * RATE
    assert not first[: RATE // 2].any()
    assert not first[RATE * 5 // 2 :].any()
    assert goertzel_dbfs(first[RATE // 2 : RATE * 5 // 2], 440, RATE) == pytest.approx(-12.0, abs=0.2)
    assert goertzel_dbfs(second[RATE : 2 * RATE], 660, RATE) == pytest.approx(-12.0, abs=0.2)
    assert not second[:RATE].any()
    assert not second[2 * RATE :].any()


def test_the_length_is_that_of_the_recording(tmp_path: Path) -> None:
    sound = list(Party().sends(tone(440, 1.0), at=0.0))
    assert len(tracks(tmp_path, sound)[0]) == RATE
    assert len(tracks(tmp_path, sound, length_s=0.5)[0]) == RATE // 2
    assert len(tracks(tmp_path, sound, length_s=60.0)[1]) == 60 * RATE


def test_what_came_before_the_start_is_left_out(tmp_path: Path) -> None:
    sound = tone(440, 1.0)
    first, _ = tracks(tmp_path, Party().sends(sound, at=-0.05), length_s=1.0)
    assert rms_dbfs(first[: RATE * 9 // 10]) == pytest.approx(-12.0, abs=0.2)
    assert not first[RATE * 19 // 20 :].any()


def test_no_file_and_an_empty_one_are_silence(tmp_path: Path) -> None:
    assert not np.concatenate(tracks(tmp_path, length_s=1.0)).any()
    assert len(tracks(tmp_path, [], length_s=None)[0]) == 0


def test_lost_doubled_and_swapped_packets_shift_nothing(tmp_path: Path) -> None:
    sound = tone(440, 4.0)
    packets = list(Party().sends(sound, at=0.0))
    packets[11] = replace(packets[11], at=packets[12].at + 0.005)
    packets[50] = replace(packets[50], at=packets[50].at + 0.25)  # later than the twelve that follow it
    doubled = replace(packets[70], at=packets[70].at + 0.1)
    lost = set(range(100, 120))
    kept = [packet for number, packet in enumerate(packets) if number not in lost]
    first, _ = tracks(tmp_path, [*kept, doubled], length_s=4.0)
    expected = sound.copy()
    expected[100 * FRAME : 120 * FRAME] = 0
    assert np.abs(first.astype(np.int32) - expected).max() < 300  # steps of the code


def test_packets_of_any_length_fit_together(tmp_path: Path) -> None:
    sound = tone(440, 3.0)
    party = Party()
    packets: list[Packet] = []
    at = 0
    for number, size in enumerate([80, 160, 240, 320, 37, 480] * 18):
        party.frame = size
        packets += party.sends(sound[at : at + size], at / RATE)
        at += size
        party.ssrc = 7 + number // 40
    first, _ = tracks(tmp_path, packets)
    assert len(first) == min(at, len(sound))
    assert np.abs(first.astype(np.int32) - sound[: len(first)]).max() < 300


@pytest.mark.parametrize("advance", [0, 80, 161, 320])
def test_timestamps_that_do_not_count_samples_garble_nothing(tmp_path: Path, advance: int) -> None:
    sound = tone(440, 6.0)
    packets = list(Party().sends(sound[: 2 * RATE], at=0.0))
    party = Party()
    party.sequence = packets[-1].sequence + 1
    packets += party.sends(sound[2 * RATE :], at=5.0)  # it was on hold for 3 s
    packets = [replace(packet, timestamp=9 + advance * number) for number, packet in enumerate(packets)]
    packets[60] = replace(packets[60], at=packets[60].at + 0.1)
    lost = set(range(100, 200, 10))
    kept = [packet for number, packet in enumerate(packets) if number not in lost]
    first, _ = tracks(tmp_path, sorted(kept, key=lambda packet: packet.at), length_s=9.0)
    expected = np.concatenate((sound[: 2 * RATE], quiet(3.0), sound[2 * RATE :]))
    for number in lost:
        begin = number * FRAME + (3 * RATE if number >= 100 else 0)
        expected[begin : begin + FRAME] = 0
    assert np.abs(first.astype(np.int32) - expected).max() < 300


def test_timestamps_with_gaps_between_them_are_believed(tmp_path: Path) -> None:
    """The party sends every other packet, and its timestamps say so."""
    sound = tone(440, 4.0)
    every_other = list(Party().sends(sound, at=0.0))[::2]
    every_other = [replace(packet, sequence=number) for number, packet in enumerate(every_other)]
    first, _ = tracks(tmp_path, every_other, length_s=4.0)
    expected = sound.reshape(-1, 2 * FRAME).copy()
    expected[:, FRAME:] = 0
    assert np.abs(first.astype(np.int32) - expected.ravel()).max() < 300


def test_after_the_relays_death_there_is_silence_and_then_sound(tmp_path: Path) -> None:
    parent, child = Party(PARENT), Party(CHILD, ssrc=8)
    sides = [*parent.sends(beeps(6), at=0.0), *child.sends(beeps(6), at=0.0)]
    before = [packet for packet in sides if packet.at < 2.1]
    after = [packet for packet in sides if packet.at >= 3.9]
    path = tmp_path / "R.rtp"
    path.write_bytes((header() + piece(before))[:-77] + header() + piece(after))
    for track in made(tmp_path, length_s=6.0):
        expected = [number / 4 for number in range(24) if not 2.1 <= number / 4 < 3.9]
        assert onsets_s(track) == pytest.approx(expected, abs=0.01)
        assert not track[round(2.12 * RATE) : round(3.88 * RATE)].any()


def test_a_worker_takes_over(tmp_path: Path) -> None:
    sides = [*Party(PARENT).sends(tone(440, 2.1), at=0.0), *Party(CHILD, ssrc=8).sends(quiet(2.1), at=0.0)]
    part = WorkerPart(
        parent=write_raw(tmp_path / "R.worker.parent.wav", tone(550, 3.0)),
        child=write_raw(tmp_path / "R.worker.child.wav", tone(660, 3.0), closed=False),
        at_s=2.0,
    )
    first, second = tracks(tmp_path, sides, length_s=5.0, part=part)
    for track, hz, begin, end in ((first, 440, 0, 2), (first, 550, 2, 5), (second, 660, 2, 5)):
        assert goertzel_dbfs(track[begin * RATE : end * RATE], hz, RATE) == pytest.approx(-12.0, abs=0.2)
    assert goertzel_dbfs(first[2 * RATE :], 440, RATE) < -60
    assert len(first) == 5 * RATE


def test_a_workers_part_of_unknown_beginning_follows_the_relays(tmp_path: Path) -> None:
    sides = list(Party().sends(tone(440, 2.0), at=0.0))
    part = WorkerPart(
        parent=write_raw(tmp_path / "R.worker.parent.wav", tone(550, 1.0)),
        child=tmp_path / "R.worker.child.wav",
        at_s=None,
    )
    first, _ = tracks(tmp_path, sides, part=part)
    assert len(first) == 3 * RATE
    assert goertzel_dbfs(first[2 * RATE :], 550, RATE) == pytest.approx(-12.0, abs=0.2)


def test_a_worker_with_another_clock_rate_is_refused(tmp_path: Path) -> None:
    other = write_raw(tmp_path / "W.wav", tone(550, 1.0, rate=16000), rate=16000)
    with pytest.raises(RecordingError, match="16000 Hz"):
        made(tmp_path, part=WorkerPart(parent=other, child=other, at_s=0.0))


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    write_relay(tmp_path / "R.rtp", Party().sends(tone(440, 1.0), at=0.0))
    with pytest.raises(RecordingError, match="No space left"):
        write_tracks(
            TracksPlan(relay=tmp_path / "R.rtp", parent=Path("/dev/full"), child=tmp_path / "R.child.wav")
        )


def test_a_long_silence_takes_no_room(tmp_path: Path) -> None:
    packets = [*Party().sends(tone(440, 1.0), at=0.0), *Party(ssrc=8).sends(tone(440, 1.0), at=4_000.0)]
    first, _ = tracks(tmp_path, packets)
    assert len(first) == 4_001 * RATE
    assert rms_dbfs(first[-RATE:]) == pytest.approx(-12.0, abs=0.2)
    assert (tmp_path / "R.parent.wav").stat().st_blocks * 512 < 1 << 20


@settings(
    max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    ppm=st.tuples(st.floats(-150, 150), st.floats(-150, 150)),
    delay_s=st.tuples(st.floats(0.0, 0.008), st.floats(0.0, 0.008)),
    loss=st.floats(0.0, 0.1),
    holds=st.lists(st.tuples(st.floats(0.25, 20.0), st.booleans()), max_size=4),
    frame=st.sampled_from([80, 160, 240, 480]),
    seed=st.integers(0, 99),
)
def test_beeps_of_both_sides_are_within_20_ms_of_when_they_were_sent(
    tmp_path: Path,
    ppm: tuple[float, float],
    delay_s: tuple[float, float],
    loss: float,
    holds: list[tuple[float, bool]],
    frame: int,
    seed: int,
) -> None:
    chance = np.random.default_rng(seed)
    packets: list[Packet] = []
    sent: dict[int, list[float]] = {PARENT: [], CHILD: []}
    for side, codec in ((PARENT, PCMU), (CHILD, PCMA)):
        party = Party(side, payload_type=codec, ppm=ppm[side], frame=frame, timestamp=2**32 - 9_000)
        now = 0.1 * side
        for hold_s, anew in [(0.0, False), *holds]:
            now += hold_s
            if anew:
                party.ssrc += 2
                party.timestamp = int(chance.integers(1 << 32))
            for packet in party.sends(beeps(3), now):
                if chance.random() >= loss:
                    late = chance.exponential(delay_s[side]) if delay_s[side] else 0.0
                    packets.append(replace(packet, at=packet.at + late))
            sent[side] += [now + beep * 0.25 / (1 + ppm[side] * 1e-6) for beep in range(12)]
            now += 3.0
    for side, track in enumerate(tracks(tmp_path, packets)):
        for onset in onsets_s(track):
            # A lost packet may take the beginning of a beep with it.
            nearest = min(sent[side], key=lambda when: abs(when - onset))
            assert -0.020 <= onset - nearest <= 0.020 + (2 * frame / RATE if loss else 0.0)


@settings(
    max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12),
    cut=st.floats(0, 1),
)
def test_any_damage_is_passed_over_or_refused(
    tmp_path: Path, damage: list[tuple[float, int]], cut: float
) -> None:
    sides = [*Party(PARENT).sends(beeps(2), at=0.0), *Party(CHILD, ssrc=8).sends(beeps(2), at=0.0)]
    content = bytearray(header() + piece(sides))
    for where, value in damage:
        content[int(where * len(content))] = value
    relay = tmp_path / "R.rtp"
    relay.write_bytes(content[: round(cut * len(content))])
    try:
        first, _ = made(tmp_path, length_s=3.0)
    except RecordingError as error:
        assert "not a raw file" in str(error)
    else:
        assert len(first) == (3 * RATE if relay.stat().st_size else 0)
