"""Voices against noise."""

import numpy as np
import pytest

from media.voice_activity import VoiceActivity

pytestmark = pytest.mark.unit


def heard(*levels: float) -> list[tuple[int, bool]]:
    """What is told of one participant, by frame."""
    activity = VoiceActivity()
    activity.arrange(["a"])
    return [(n, voice) for n, level in enumerate(levels) for _, voice in activity.update(np.array([level]))]


def test_a_voice_begins_after_60_ms_and_ceases_after_160() -> None:
    assert heard(*[5.0] * 20, *[2000.0] * 50, *[5.0] * 20) == [(22, True), (77, False)]


def test_a_click_is_no_voice_and_a_short_pause_no_end() -> None:
    assert heard(*[5.0] * 20, 9000.0, 9000.0, *[5.0] * 20) == []
    assert heard(*([2000.0] * 10 + [5.0] * 7) * 5) == [(2, True)]


def test_steady_noise_becomes_background_and_a_voice_is_heard_above_it() -> None:
    told = heard(*[600.0] * 3000, *[4000.0] * 20, *[600.0] * 20)
    assert told[0] == (2, True)
    assert not told[1][1]
    assert told[2:] == [(3002, True), (3027, False)]


def test_a_long_speech_does_not_become_background() -> None:
    speech = ([2500.0] * 12 + [20.0] * 4) * 190  # a minute
    assert heard(*speech) == [(2, True)]


def test_those_who_remain_keep_their_state() -> None:
    activity = VoiceActivity()
    activity.arrange(["a", "b"])
    for _ in range(5):
        activity.update(np.array([2000.0, 5.0]))
    activity.arrange(["b", "a", "c"])
    assert activity.update(np.array([5.0, 2000.0, 5.0])) == []
    told = [each for _ in range(8) for each in activity.update(np.array([5.0, 5.0, 5.0]))]
    assert told == [(1, False)]
