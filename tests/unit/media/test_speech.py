"""Speech: length and level, in every selectable voice."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from media.measure import rms_dbfs
from media.speech import SpeechError, speak, speech
from media.voices import _LANGUAGES

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("voice", ["en-us+f2", "de+m3", "es+f2"])
def test_speech_is_as_loud_as_people_are(voice: str, rate: int) -> None:
    samples = speech(("Please hold the line, 12345.",), voice, rate)
    assert 1.0 < len(samples) / rate < 6.0
    assert -24.0 < rms_dbfs(samples) < -19.0  # with the pauses within it
    assert np.abs(samples).max() <= 0.9


def test_pauses_are_exact_and_bounded() -> None:
    one, other = speech(("One",), "en-us", 8000), speech(("Two",), "en-us", 8000)
    both = speech((300, "One", 1000, "Two", 10**9), "en-us", 8000)
    # The synthesiser's noise makes the edge of a sound a few samples more or less.
    assert len(both) == pytest.approx(len(one) + len(other) + (300 + 1000 + 10_000) * 8, abs=40)
    assert not both[:2400].any()


@pytest.mark.parametrize("parts", [(), ("",), ("  ", 0), ("\0",)])
def test_nothing_to_say_is_a_moment_of_silence(tmp_path: Path, parts: tuple[str | int, ...]) -> None:
    assert speak(parts, "en-us", tmp_path / "x.wav", 8000) == 0.1
    samples, rate = soundfile.read(tmp_path / "x.wav", dtype="int16")
    assert (len(samples), rate) == (800, 8000)
    assert not samples.any()


@pytest.mark.parametrize("text", ["<b>&amp;</b>", "[[h@'loU]]", "\ud800", "\u0000\u0007", "😀", "1" * 4096])
def test_any_text_can_be_given(text: str) -> None:
    assert len(speech((text,), "en-us", 8000)) < 8000 * 120


@pytest.mark.parametrize("language", sorted(_LANGUAGES))
def test_every_language_has_its_voice(language: str) -> None:
    assert len(speech(("a 1",), f"{language}+f2", 8000)) > 800


def test_a_voice_that_is_not_there_is_an_error() -> None:
    with pytest.raises(SpeechError):
        speech(("a",), "xx", 8000)
