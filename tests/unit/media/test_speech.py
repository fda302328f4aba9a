"""Speech: length and level, in every selectable voice."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from media.measure import rms_dbfs
from media.speech import SpeechError, Ssml, speak, speech
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


class TestSsml:
    """What markup changes in the sound; the text alone is the measure."""

    TEXT = "Mama may know all men alone"

    def say(self, ssml: str) -> np.ndarray:
        return speech((Ssml(text=self.TEXT, ssml=ssml.format(self.TEXT)),), "en-us+m3", 8000)

    @pytest.mark.parametrize(("rate", "ratio"), [("50%", 2.2), ("slow", 1.2), ("fast", 0.85), ("200%", 0.6)])
    def test_prosody_changes_the_rate(self, rate: str, ratio: float) -> None:
        plain, changed = self.say("{}"), self.say(f'<prosody rate="{rate}">{{}}</prosody>')
        assert len(changed) / len(plain) == pytest.approx(ratio, abs=0.15)

    @pytest.mark.parametrize(("volume", "db"), [("50%", -6.0), ("25%", -12.0), ("x-soft", -10.0)])
    def test_prosody_changes_the_volume(self, volume: str, db: float) -> None:
        plain, changed = self.say("{}"), self.say(f'<prosody volume="{volume}">{{}}</prosody>')
        assert rms_dbfs(changed) - rms_dbfs(plain) == pytest.approx(db, abs=1.5)

    def test_prosody_changes_the_pitch(self) -> None:
        low, plain, high = (
            _pitch_hz(self.say(f'<prosody pitch="{pitch}">{{}}</prosody>'))
            for pitch in ("50%", "default", "200%")
        )
        assert low < 0.9 * plain and high > 1.2 * plain

    def test_emphasis_is_louder_than_the_rest(self) -> None:
        first, second = (
            self.say("{} <emphasis level=" + f'"{level}">yes</emphasis>') for level in ("none", "strong")
        )
        assert np.abs(second[-4000:]).max() > 1.1 * np.abs(first[-4000:]).max()

    def test_a_language_within_a_text_is_spoken_otherwise(self) -> None:
        here, there = (
            speech((Ssml(text="guten Morgen", ssml=ssml),), "en-us", 8000)
            for ssml in ("guten Morgen", '<voice xml:lang="de">guten Morgen</voice>')
        )
        assert abs(len(here) - len(there)) > 400

    def test_characters_are_spoken_one_by_one(self) -> None:
        spelt = '<say-as interpret-as="characters">maybe</say-as>'
        one, word = (
            len(speech((Ssml(text="maybe", ssml=ssml),), "en-us", 8000)) for ssml in (spelt, "maybe")
        )
        assert one > 1.5 * word

    def test_an_escaped_text_is_no_markup(self) -> None:
        samples = self.say('&lt;prosody rate="200%"&gt;{}')
        assert len(samples) > len(self.say("{}"))


def _pitch_hz(samples: np.ndarray) -> float:
    """Return the median fundamental of the voiced frames, by autocorrelation."""
    found = []
    for begin in range(0, len(samples) - 512, 256):
        frame = samples[begin : begin + 512]
        if rms_dbfs(frame) > -26.0:
            likeness = np.correlate(frame, frame, "full")[511:]
            found.append(8000 / (20 + int(np.argmax(likeness[20:160]))))
    return float(np.median(found))


@pytest.mark.parametrize("other", ["uk", "be"])
def test_a_voice_does_not_change_the_speed_of_the_next(other: str) -> None:
    text = ("Mama may know all men alone",)
    speech(text, "en-us", 8000)
    before = len(speech(text, "en-us", 8000))
    speech(("a 1",), f"{other}+f2", 8000)
    assert len(speech(text, "en-us", 8000)) == pytest.approx(before, rel=0.02)
