"""Keys detected in audio, by the receiver requirements of ITU-T Q.24; and sounds that are not keys."""

from pathlib import Path

import numpy as np
import pytest

from b2bua.resources import config_file
from media.announcements import error_announcement
from media.dtmf import KeyDetector
from media.plans import load_tone_plans
from media.speech import speech
from media.tones import ringback_loop
from tests.unit.media.dtmf_sounds import KEYS, Samples, key_sound, pause

pytestmark = pytest.mark.unit

PLANS = load_tone_plans(Path(config_file("ringtones.csv")))


def heard(samples: Samples, rate: int = 8000) -> str:
    """Frame by frame, as in a call."""
    detector, frame = KeyDetector(rate), rate // 50
    values = samples.tolist()
    return "".join(detector.feed(values[at : at + frame]) for at in range(0, len(values), frame))


def all_keys(length_ms: float, pause_ms: float, **how: float) -> Samples:
    """Each key, at a different position within a block each time."""
    pieces = []
    for number, key in enumerate(KEYS):
        pieces += [key_sound(key, length_ms, **how), pause(pause_ms + number * 0.9)]  # type: ignore[arg-type]
    return np.concatenate(pieces)


class TestKeys:
    @pytest.mark.parametrize(("length_ms", "pause_ms"), [(40, 40), (50, 50), (100, 100), (1000, 60)])
    def test_of_40_ms_and_more_are_heard_once(self, length_ms: float, pause_ms: float) -> None:
        assert heard(all_keys(length_ms, pause_ms)) == KEYS

    @pytest.mark.parametrize("level_dbfs", [-7.0, -20.0, -30.0])
    def test_are_heard_at_any_level_of_a_telephone(self, level_dbfs: float) -> None:
        assert heard(all_keys(50, 50, level_dbfs=level_dbfs)) == KEYS

    @pytest.mark.parametrize("column_db", [4.0, -7.0])
    @pytest.mark.parametrize("detune", [0.985, 1.015])
    def test_may_be_out_of_tune_and_of_unequal_level(self, detune: float, column_db: float) -> None:
        assert heard(all_keys(60, 60, detune=detune, column_db=column_db)) == KEYS

    def test_that_are_interrupted_for_10_ms_are_one(self) -> None:
        sound = np.concatenate([key_sound("5", 50), pause(10), key_sound("5", 50)])
        assert heard(sound) == "5"

    def test_of_the_same_kind_are_two_after_a_pause(self) -> None:
        sound = np.concatenate([key_sound("5", 60), pause(45), key_sound("5", 60)])
        assert heard(sound) == "55"

    def test_are_heard_in_noise(self) -> None:
        sound = all_keys(60, 60).astype(np.float64)
        noise = np.random.default_rng(1).normal(0, 32767 * 10 ** (-32 / 20), len(sound))
        assert heard((sound + noise).clip(-32768, 32767).astype(np.int16)) == KEYS

    def test_are_heard_at_16_khz(self) -> None:
        sound = np.concatenate(
            [np.concatenate([key_sound(k, 50, rate=16000), pause(50, 16000)]) for k in KEYS]
        )
        assert heard(sound, 16000) == KEYS

    def test_are_heard_however_the_audio_is_cut(self) -> None:
        detector, values = KeyDetector(8000), all_keys(50, 50).tolist()
        assert detector.feed(values) == KEYS


class TestNoKeys:
    @pytest.mark.parametrize("length_ms", [5, 10, 15])
    def test_are_too_short_sounds(self, length_ms: float) -> None:
        assert heard(all_keys(length_ms, 60)) == ""

    @pytest.mark.parametrize("detune", [0.96, 1.04])
    def test_are_tones_beside_the_frequencies(self, detune: float) -> None:
        assert heard(all_keys(100, 60, detune=detune)) == ""

    def test_are_tones_too_soft(self) -> None:
        assert heard(all_keys(100, 60, level_dbfs=-42.0)) == ""

    @pytest.mark.parametrize("column_db", [14.0, -14.0])
    def test_are_tones_of_far_too_unequal_level(self, column_db: float) -> None:
        assert heard(all_keys(100, 60, level_dbfs=-20.0, column_db=column_db)) == ""

    def test_are_tones_of_one_group(self) -> None:
        at = np.arange(8000) / 8000
        for hz in (697, 941, 1209, 1633):
            assert heard((8000 * np.sin(2 * np.pi * hz * at)).astype(np.int16)) == ""

    @pytest.mark.parametrize("code", sorted(PLANS))
    def test_is_ringback(self, code: str) -> None:
        assert heard(ringback_loop(PLANS[code], 8000)) == ""

    def test_are_the_tones_of_an_error(self) -> None:
        assert heard(error_announcement(8000)) == ""

    @pytest.mark.parametrize("level_dbfs", [-30.0, -10.0])
    def test_is_noise(self, level_dbfs: float) -> None:
        noise = np.random.default_rng(2).normal(0, 32767 * 10 ** (level_dbfs / 20) / 2, 8000 * 60)
        assert heard(noise.clip(-32768, 32767).astype(np.int16)) == ""

    @pytest.mark.parametrize("voice", ["en-us+f2", "en-us+m3", "de+f5", "it+m7", "ja+f1", "fi+f2"])
    def test_is_speech(self, voice: str) -> None:
        text = "Please hold the line. One two three four five. Eeny meeny miny moe. Lalala, you and I. " * 8
        samples = speech((text,), voice, 8000)
        assert len(samples) > 8000 * 40
        assert heard((samples * 32767).astype(np.int16)) == ""
