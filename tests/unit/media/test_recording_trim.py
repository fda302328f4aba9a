"""What trim-silence keeps: all audible sound, and 300 ms around it."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.trim import HANG_OVER_S, WINDOW_S, sounding_part
from tests.unit.media.raw_files import Samples, quiet, tone

pytestmark = pytest.mark.unit


def bounds_s(samples: Samples, rate: int = 8000) -> tuple[float, float] | None:
    found = sounding_part([samples.reshape(-1, 1)], rate)
    return None if found is None else (found[0] / rate, found[1] / rate)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_silence_at_both_ends_is_cut_to_the_hang_over(rate: int) -> None:
    found = bounds_s(np.concatenate([quiet(2, rate), tone(440, 1, rate=rate), quiet(3, rate)]), rate)
    assert found == pytest.approx((2 - HANG_OVER_S, 3 + HANG_OVER_S), abs=WINDOW_S)


def test_a_pause_between_is_never_cut() -> None:
    found = bounds_s(np.concatenate([tone(440, 0.5), quiet(30), tone(440, 0.5)]))
    assert found == (0.0, 31.0)


def test_the_louder_channel_decides() -> None:
    left = np.concatenate([quiet(1), tone(440, 1), quiet(4)])
    right = np.concatenate([quiet(3), tone(660, 1), quiet(2)])
    assert sounding_part([np.column_stack([left, right])], 8000) == (8000 - 2400, 32000 + 2400)


def test_a_click_is_kept() -> None:
    samples = np.concatenate([quiet(2), tone(440, 0.001), quiet(2), tone(440, 1), quiet(2)])
    found = bounds_s(samples)
    assert found is not None
    assert found[0] < 2.0


def test_a_weak_consonant_before_a_loud_vowel_is_kept() -> None:
    """30 dB under the vowels, and longer than the hang-over."""
    samples = np.concatenate([quiet(2), tone(3000, 0.8, -45), tone(300, 1, -15), quiet(2)])
    found = bounds_s(samples)
    assert found is not None
    assert found[0] <= 2.0


def test_a_quiet_talker_is_not_cut() -> None:
    samples = np.concatenate(
        [quiet(2), tone(300, 0.8, -58), tone(300, 1, -40), tone(300, 0.8, -58), quiet(2)]
    )
    found = bounds_s(samples)
    assert found is not None
    assert found[0] <= 2.0
    assert found[1] >= 4.6


@pytest.mark.parametrize("idle", [0, 8, 16])
def test_an_idle_line_has_nothing_to_hear(idle: int) -> None:
    """A-law has no zero: its idle code is 8, and two such lines mixed are 16."""
    assert bounds_s(np.full(16_000, idle, np.int16)) is None


@pytest.mark.parametrize("idle", [8, 16])
def test_an_idle_line_is_cut_around_speech(idle: int) -> None:
    samples = np.concatenate([quiet(2) + np.int16(idle), tone(440, 1), quiet(2) + np.int16(idle)])
    assert bounds_s(samples) == pytest.approx((1.7, 3.3), abs=WINDOW_S)


def test_nothing_has_no_sounding_part() -> None:
    assert sounding_part([], 8000) is None
    assert bounds_s(quiet(1)) is None


def test_a_sound_in_the_last_piece_of_a_window_counts() -> None:
    assert bounds_s(np.concatenate([quiet(2), tone(440, 0.005)])) == (2.0 - HANG_OVER_S, 2.005)


@given(
    lead_s=st.floats(0, 3),
    level_dbfs=st.floats(-49, -3),
    length_s=st.floats(0.05, 2),
    tail_s=st.floats(0, 3),
    cuts=st.lists(st.integers(0, 60_000), max_size=8),
)
def test_no_sample_of_a_sound_is_ever_cut_however_it_comes_in_pieces(
    lead_s: float, level_dbfs: float, length_s: float, tail_s: float, cuts: list[int]
) -> None:
    sound = tone(700, length_s, level_dbfs)
    samples = np.concatenate([quiet(lead_s), sound, quiet(tail_s)]).reshape(-1, 1)
    begin, end = round(lead_s * 8000), round(lead_s * 8000) + len(sound)
    found = sounding_part(pieces(samples, cuts), 8000)
    assert found is not None
    assert found[0] <= begin
    assert found[1] >= end
    assert found == sounding_part([samples], 8000)


def pieces(samples: npt.NDArray[np.int16], cuts: list[int]) -> list[npt.NDArray[np.int16]]:
    edges = sorted({0, len(samples), *(min(cut, len(samples)) for cut in cuts)})
    return [samples[start:end] for start, end in itertools.pairwise(edges)]
