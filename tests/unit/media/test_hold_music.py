"""The hold music, by listening: length, level, where it sounds, and how its end joins its start."""

from itertools import pairwise

import numpy as np
import pytest
import soundfile

from media.hold_music import LEVEL_DBM0, hold_music, write_hold_music
from media.measure import FLOOR_DBFS, goertzel_dbfs, rms_dbfs
from media.tones import CLOCK_RATES_HZ, FULL_SCALE_DBM0

pytestmark = pytest.mark.unit

every_rate = pytest.mark.parametrize("rate", CLOCK_RATES_HZ)


def _slices(music, rate, seconds):
    size = round(rate * seconds)
    return [music[start : start + size] for start in range(0, music.size - size + 1, size)]


@every_rate
def test_it_is_a_piece_of_whole_frames_at_its_level(rate):
    music = hold_music(rate)

    assert music.dtype == np.int16
    assert 40 < music.size / rate < 60
    assert music.size % (rate // 50) == 0
    assert abs(rms_dbfs(music) - (LEVEL_DBM0 - FULL_SCALE_DBM0)) < 0.5
    assert np.abs(music.astype(int)).max() < 0.7 * 32768


@every_rate
def test_it_goes_on_evenly_and_never_stops_before_its_end(rate):
    levels = [rms_dbfs(part) for part in _slices(hold_music(rate), rate, 2.0)]

    assert max(levels[:-2]) - min(levels[:-2]) < 8
    assert min(rms_dbfs(part) for part in _slices(hold_music(rate), rate, 0.25)[:-10]) > -35


@every_rate
@pytest.mark.parametrize("gap_ms", [0, 20])
def test_its_end_joins_its_start_without_a_click(rate, gap_ms):
    music = hold_music(rate)
    gap = np.zeros(gap_ms * rate // 1000, np.int16)
    around = rate // 300

    joint = np.concatenate([music[-around:], gap, music[:around]]).astype(int)

    assert music[0] == 0
    assert rms_dbfs(music[-rate // 20 :]) == FLOOR_DBFS
    assert np.abs(np.diff(joint)).max() < np.abs(np.diff(music.astype(int))).max() / 4
    # The last chord dies away by itself; nothing is cut off.
    tail = [rms_dbfs(part) for part in _slices(music[-2 * rate :], rate, 0.1)]
    assert all(later <= earlier + 0.5 for earlier, later in pairwise(tail))
    assert max(earlier - later for earlier, later in pairwise(tail) if later > -70) < 15


@every_rate
def test_nothing_clicks_within_it(rate):
    """A click has all frequencies; the music has next to none above the telephone's band."""
    music = hold_music(rate).astype(float)
    window = rate // 50
    frames = music[: music.size // window * window].reshape(-1, window) * np.hanning(window)
    spectrum = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    high = spectrum[:, np.fft.rfftfreq(window, 1 / rate) > 3400].sum(axis=1)

    assert 10 * np.log10(high.max() / spectrum.sum(axis=1).max()) < -38


def test_it_is_the_same_piece_at_both_rates():
    low, high = hold_music(8000), hold_music(16000)

    for start_s in (0.1, 11.5, 30.1):
        for hz in (659.26, 523.25, 440.0, 329.63):
            levels = [
                goertzel_dbfs(music[round(start_s * rate) : round((start_s + 0.5) * rate)], hz, rate)
                for music, rate in ((low, 8000), (high, 16000))
            ]
            assert abs(levels[0] - levels[1]) < 1 or max(levels) < -45


def test_it_begins_in_c_major():
    bar = hold_music(8000)[: 8000 * 2]

    heard = {
        name: goertzel_dbfs(bar, hz, 8000) for name, hz in (("E5", 659.26), ("B4", 493.88), ("F4", 349.23))
    }

    assert heard["E5"] > heard["F4"] + 20
    assert heard["B4"] > heard["F4"] + 10


@every_rate
def test_the_file_leaves_room_for_the_players_silence(rate, tmp_path):
    write_hold_music(rate, tmp_path / "music.wav")
    written, read_rate = soundfile.read(tmp_path / "music.wav", dtype="int16")

    music = hold_music(rate)
    assert read_rate == rate
    assert written.size == music.size - rate // 50
    assert (written == music[: written.size]).all()
    assert list(tmp_path.iterdir()) == [tmp_path / "music.wav"]


def test_there_is_no_other_rate():
    with pytest.raises(ValueError, match="11025"):
        hold_music(11025)


def test_a_caller_cannot_spoil_it():
    hold_music(8000)[:] = 0

    assert rms_dbfs(hold_music(8000)) > -30
