"""Two raw sides become one recording."""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from media import merge as merging
from media.measure import goertzel_dbfs, rms_dbfs
from media.merge import MergePlan, Pause, merge
from media.recording import RecordingError, RecordingFile
from tests.unit.media.raw_files import Samples, quiet, tone, write_raw

pytestmark = pytest.mark.unit

PARENT_HZ, CHILD_HZ = 440.0, 660.0


@pytest.fixture
def sides(tmp_path: Path) -> dict[str, Any]:
    """A second of the parent's tone and of the child's, and the recording's path."""
    return {
        "parent": write_raw(tmp_path / "R.parent.wav", tone(PARENT_HZ, 1.0)),
        "child": write_raw(tmp_path / "R.child.wav", tone(CHILD_HZ, 1.0)),
        "target": tmp_path / "R.wav",
    }


def made(**plan: Any) -> tuple[RecordingFile, Samples]:
    """Merge, and read the result: int16[n_frames, n_channels]."""
    file = merge(MergePlan(**plan))
    assert file is not None
    assert file.path == plan["target"]
    assert file.size_bytes == file.path.stat().st_size
    samples, rate = soundfile.read(file.path, dtype="int16", always_2d=True)
    assert rate == file.clock_rate_hz
    assert file.channels == samples.shape[1]
    return file, samples


class TestChannels:
    def test_dual_has_the_parent_first_sample_by_sample(self, sides: dict[str, Any]) -> None:
        file, samples = made(**sides, dual=True)
        assert (file.channels, file.duration_s, file.clock_rate_hz) == (2, 1.0, 8000)
        assert np.array_equal(samples[:, 0], tone(PARENT_HZ, 1.0))
        assert np.array_equal(samples[:, 1], tone(CHILD_HZ, 1.0))

    def test_mono_has_both_as_loud_as_they_were(self, sides: dict[str, Any]) -> None:
        file, samples = made(**sides)
        assert file.channels == 1
        for hz in (PARENT_HZ, CHILD_HZ):
            assert goertzel_dbfs(samples[:, 0], hz, 8000) == pytest.approx(-12.0, abs=0.1)

    @pytest.mark.parametrize("dual", [False, True])
    @pytest.mark.parametrize(("track", "hz"), [("inbound", PARENT_HZ), ("outbound", CHILD_HZ)])
    def test_one_track_is_mono(self, sides: dict[str, Any], track: str, hz: float, dual: bool) -> None:
        file, samples = made(**sides, track=track, dual=dual)
        assert file.channels == 1
        assert np.array_equal(samples[:, 0], tone(hz, 1.0))

    def test_the_shorter_side_is_filled_up_with_silence(self, sides: dict[str, Any]) -> None:
        write_raw(sides["child"], tone(CHILD_HZ, 0.98))
        _, samples = made(**sides, dual=True)
        assert np.array_equal(samples[:, 0], tone(PARENT_HZ, 1.0))
        assert not samples[-160:, 1].any()

    def test_sides_that_differ_by_more_than_a_frame_are_told(
        self, sides: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        merge(MergePlan(**sides))
        assert not caplog.records
        write_raw(sides["child"], tone(CHILD_HZ, 0.9))
        merge(MergePlan(**sides))
        assert [record.message for record in caplog.records] == ["the sides of a recording differ in length"]

    @pytest.mark.parametrize("missing", ["parent", "child"])
    def test_a_side_without_a_file_is_silent(self, sides: dict[str, Any], missing: str) -> None:
        sides[missing].unlink()
        file, samples = made(**sides, dual=True)
        assert file.duration_s == 1.0
        silent = ["parent", "child"].index(missing)
        assert not samples[:, silent].any()
        assert samples[:, 1 - silent].any()

    def test_sixteen_kilohertz_stay_sixteen(self, sides: dict[str, Any]) -> None:
        for side in ("parent", "child"):
            write_raw(sides[side], tone(5000, 1.0, rate=16000), rate=16000)
        file, samples = made(**sides)
        assert (file.clock_rate_hz, file.duration_s) == (16000, 1.0)
        assert goertzel_dbfs(samples[:, 0], 5000, 16000) > -8.0

    def test_sides_of_different_clock_rates_are_refused(self, sides: dict[str, Any]) -> None:
        write_raw(sides["child"], tone(CHILD_HZ, 1.0, rate=16000), rate=16000)
        with pytest.raises(RecordingError, match=r"\[8000, 16000\] Hz"):
            merge(MergePlan(**sides))


class TestMix:
    def test_two_at_full_scale_do_not_clip(self, sides: dict[str, Any]) -> None:
        loud = tone(PARENT_HZ, 1.0, 0.0)
        for side in ("parent", "child"):
            write_raw(sides[side], loud)
        _, samples = made(**sides)
        mixed = samples[:, 0].astype(np.int32)
        assert goertzel_dbfs(samples[:, 0], PARENT_HZ, 8000) > -1.0
        # Same sign as the sum everywhere: nothing has wrapped around.
        assert np.all(np.sign(mixed) == np.sign(loud))

    def test_the_limit_bends_and_never_cuts(self) -> None:
        sums = np.arange(-65_536, 65_535)
        mixed = merging._LIMITED.astype(np.int32)
        assert len(mixed) == len(sums)
        assert np.all(np.diff(mixed) >= 0)
        assert mixed[np.abs(sums) <= 0.7 * 32767] == pytest.approx(sums[np.abs(sums) <= 0.7 * 32767])
        assert np.all(np.abs(mixed) <= 32767)
        assert np.all(np.diff(mixed[np.abs(sums) <= 32767]) <= 1)  # no corner: never steeper than before


class TestPauses:
    def test_silence_keeps_the_time(self, sides: dict[str, Any]) -> None:
        file, samples = made(
            **sides, dual=True, pauses=(Pause(start_s=0.25, end_s=0.5, behaviour="silence"),)
        )
        assert file.duration_s == 1.0
        assert not samples[2000:4000].any()
        assert np.array_equal(samples[4000:, 0], tone(PARENT_HZ, 1.0)[4000:])
        assert np.array_equal(samples[:2000, 1], tone(CHILD_HZ, 1.0)[:2000])

    def test_skip_takes_the_time_out_of_both(self, sides: dict[str, Any]) -> None:
        file, samples = made(**sides, dual=True, pauses=(Pause(start_s=0.25, end_s=0.5, behaviour="skip"),))
        assert file.duration_s == 0.75
        for column, hz in enumerate((PARENT_HZ, CHILD_HZ)):
            whole = tone(hz, 1.0)
            assert np.array_equal(samples[:, column], np.concatenate([whole[:2000], whole[4000:]]))

    def test_a_pause_without_an_end_lasts_to_the_end(self, sides: dict[str, Any]) -> None:
        file, _ = made(**sides, pauses=(Pause(start_s=0.5, end_s=math.inf, behaviour="skip"),))
        assert file.duration_s == 0.5

    def test_skip_wins_over_silence(self, sides: dict[str, Any]) -> None:
        pauses = (
            Pause(start_s=0.2, end_s=0.8, behaviour="silence"),
            Pause(start_s=0.4, end_s=0.6, behaviour="skip"),
        )
        file, samples = made(**sides, pauses=pauses)
        assert file.duration_s == pytest.approx(0.8)
        assert not samples[1600:4800].any()
        assert samples[4801:].any()

    @given(
        frames=st.integers(0, 20_000),
        pauses=st.lists(
            st.tuples(st.floats(-1, 4), st.floats(0, 4), st.sampled_from(["silence", "skip"])), max_size=5
        ),
    )
    def test_what_is_kept_is_in_order_and_misses_what_was_skipped(
        self, frames: int, pauses: list[tuple[float, float, Any]]
    ) -> None:
        spans = merging._spans(
            tuple(Pause(start_s=at, end_s=at + length, behaviour=how) for at, length, how in pauses),
            frames,
            8000,
        )
        kept = np.full(frames, -1)
        last = 0
        for start, end, blank in spans:
            assert last <= start < end
            kept[start:end] = blank
            last = end
        for frame in range(0, frames, 97):
            second = frame / 8000
            near_an_edge = any(
                abs(edge - second) < 2 / 8000 for at, length, _ in pauses for edge in (at, at + length)
            )
            if not near_an_edge:
                how = {how for at, length, how in pauses if at <= second < at + length}
                assert kept[frame] == (-1 if "skip" in how else int("silence" in how))


class TestTrim:
    def test_silence_at_both_ends_goes(self, sides: dict[str, Any]) -> None:
        write_raw(sides["parent"], quiet(3), tone(PARENT_HZ, 1.0), quiet(6))
        write_raw(sides["child"], quiet(5), tone(CHILD_HZ, 1.0), quiet(4))
        file, samples = made(**sides, dual=True, trim=True)
        assert file.duration_s == pytest.approx(3 + 0.6, abs=0.02)
        assert np.array_equal(samples[2400 : 2400 + 8000, 0], tone(PARENT_HZ, 1.0))
        assert np.array_equal(samples[18400 : 18400 + 8000, 1], tone(CHILD_HZ, 1.0))

    def test_one_track_is_trimmed_by_its_own_sound(self, sides: dict[str, Any]) -> None:
        write_raw(sides["child"], quiet(5), tone(CHILD_HZ, 1.0), quiet(4))
        file, _ = made(**sides, track="outbound", trim=True)
        assert file.duration_s == pytest.approx(1.6, abs=0.02)

    def test_a_blanked_beginning_is_silence_too(self, sides: dict[str, Any]) -> None:
        write_raw(sides["parent"], tone(PARENT_HZ, 4.0))
        pauses = (Pause(start_s=0.0, end_s=2.0, behaviour="silence"),)
        file, _ = made(**sides, trim=True, pauses=pauses)
        assert file.duration_s == pytest.approx(2.3, abs=0.02)


class TestAbsent:
    """Nothing to record: neither a file nor an error."""

    @pytest.mark.parametrize("how", ["missing", "empty", "skipped", "inaudible"])
    def test_no_file_comes_of_nothing(self, sides: dict[str, Any], how: str) -> None:
        plan = dict(sides)
        if how == "missing":
            sides["parent"].unlink()
            sides["child"].write_bytes(b"")
        elif how == "empty":
            for side in ("parent", "child"):
                write_raw(sides[side])
        elif how == "skipped":
            plan["pauses"] = (Pause(start_s=0.0, end_s=math.inf, behaviour="skip"),)
        else:
            for side in ("parent", "child"):
                write_raw(sides[side], quiet(2))
            plan["trim"] = True
        before = sorted(sides["target"].parent.iterdir())
        assert merge(MergePlan(**plan)) is None
        assert sorted(sides["target"].parent.iterdir()) == before

    def test_silence_is_a_recording_without_trim(self, sides: dict[str, Any]) -> None:
        for side in ("parent", "child"):
            write_raw(sides[side], quiet(2))
        file, _ = made(**sides)
        assert file.duration_s == 2.0


class TestFiles:
    def test_files_of_a_killed_worker_are_finished(self, sides: dict[str, Any]) -> None:
        write_raw(sides["parent"], tone(PARENT_HZ, 1.0), closed=False)
        write_raw(sides["child"], tone(CHILD_HZ, 0.9), closed=False)
        _, samples = made(**sides, dual=True)
        assert np.array_equal(samples[:, 0], tone(PARENT_HZ, 1.0))
        assert np.array_equal(samples[:7200, 1], tone(CHILD_HZ, 0.9))

    def test_it_may_be_made_again(self, sides: dict[str, Any]) -> None:
        _, first = made(**sides)
        _, second = made(**sides)
        assert np.array_equal(first, second)

    def test_it_has_its_name_only_when_complete(
        self, sides: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced: list[tuple[bool, set[str]]] = []
        fsync = os.fsync

        def spy(fd: int) -> None:
            names = {path.name for path in sides["target"].parent.iterdir()}
            synced.append((os.path.isdir(f"/proc/self/fd/{fd}"), names))
            fsync(fd)

        monkeypatch.setattr(os, "fsync", spy)
        made(**sides)
        (first_is_folder, before), (last_is_folder, after) = synced
        assert (first_is_folder, last_is_folder) == (False, True)
        assert before == {"R.parent.wav", "R.child.wav", ".R.wav.part"}
        assert after == {"R.parent.wav", "R.child.wav", "R.wav"}

    def test_what_cannot_be_written_leaves_nothing(self, sides: dict[str, Any]) -> None:
        sides["target"] = sides["target"].parent / "none" / "R.wav"
        with pytest.raises(RecordingError, match="could not be written"):
            merge(MergePlan(**sides))

    def test_a_disk_that_fills_up_leaves_nothing(
        self, sides: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(soundfile.SoundFile, "write", lambda self, data: _no_space())
        with pytest.raises(RecordingError, match="No space left"):
            merge(MergePlan(**sides))
        assert {path.name for path in tmp_of(sides)} == {"R.parent.wav", "R.child.wav"}

    def test_a_damaged_raw_file_is_named(self, sides: dict[str, Any]) -> None:
        sides["child"].write_bytes(b"noise" * 100)
        with pytest.raises(RecordingError, match=r"R\.child\.wav"):
            merge(MergePlan(**sides))

    @pytest.mark.parametrize("rate", [8000, 16000])
    def test_mp3_by_its_name(self, sides: dict[str, Any], rate: int) -> None:
        for side, hz in (("parent", PARENT_HZ), ("child", CHILD_HZ)):
            write_raw(sides[side], tone(hz, 3.0, rate=rate), rate=rate)
        sides["target"] = sides["target"].with_suffix(".mp3")
        file, samples = made(**sides, dual=True)
        assert soundfile.info(file.path).format == "MP3"
        assert (file.channels, file.duration_s) == (2, 3.0)
        middle = samples[rate : 2 * rate]
        assert goertzel_dbfs(middle[:, 0], PARENT_HZ, rate) == pytest.approx(-12.0, abs=1.0)
        assert rms_dbfs(middle[:, 0]) == pytest.approx(-12.0, abs=1.0)

    def test_more_than_a_block_is_the_same_from_end_to_end(self, sides: dict[str, Any]) -> None:
        rng = np.random.default_rng(6)
        parent, child = rng.integers(-9000, 9000, (2, 3 * 65_536 + 17)).astype(np.int16)
        write_raw(sides["parent"], parent)
        write_raw(sides["child"], child)
        _, samples = made(**sides, pauses=(Pause(start_s=10.0, end_s=11.0, behaviour="skip"),))
        whole = parent + child
        assert np.array_equal(samples[:, 0], np.concatenate([whole[:80_000], whole[88_000:]]))

    def test_what_no_wav_can_hold_is_rf64(
        self, sides: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(merging, "_WAV_LIMIT_BYTES", 10_000)
        file, samples = made(**sides)
        assert soundfile.info(file.path).format == "RF64"
        assert len(samples) == 8000


def tmp_of(sides: dict[str, Any]) -> list[Path]:
    return list(sides["target"].parent.iterdir())


def _no_space() -> None:
    raise soundfile.LibsndfileError(2, prefix="No space left on device: ")
