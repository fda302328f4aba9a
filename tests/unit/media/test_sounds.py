"""Sounds of any kind as prompts: complete, at the clock rate, never clipped."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from media import sounds
from media.measure import goertzel_dbfs
from media.sounds import PEAK, UnplayableSoundError, decode

pytestmark = pytest.mark.unit

HZ = 600.0


def tone(seconds: float, rate: int, *, level: float = 0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * HZ * np.arange(round(seconds * rate)) / rate)


def made(tmp_path: Path, source: Path, rate: int = 8000, content_type: str = "") -> np.ndarray:
    duration_s = decode(source, tmp_path / "made.wav", rate, content_type)
    info = soundfile.info(tmp_path / "made.wav")
    assert (info.samplerate, info.channels, info.subtype, info.format) == (rate, 1, "PCM_16", "WAV")
    assert info.frames / rate == duration_s
    return soundfile.read(tmp_path / "made.wav", dtype="int16")[0]


@pytest.mark.parametrize("to_rate", [8000, 16000])
@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000])
@pytest.mark.parametrize(
    ("format", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "PCM_U8"),
        ("WAV", "ULAW"),
        ("WAV", "ALAW"),
        ("WAV", "FLOAT"),
        ("WAV", "GSM610"),
        ("AIFF", "PCM_24"),
        ("AU", "ULAW"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
def test_every_format_is_decoded(tmp_path: Path, format: str, subtype: str, rate: int, to_rate: int) -> None:
    if subtype == "GSM610" and rate != 8000:
        pytest.skip("GSM is at 8 kHz")
    source = tmp_path / "source"
    soundfile.write(source, tone(1.0, rate), rate, subtype, format=format)
    samples = made(tmp_path, source, to_rate)
    assert len(samples) / to_rate == pytest.approx(1.0, abs=0.06)
    assert goertzel_dbfs(samples[to_rate // 4 : -to_rate // 4], HZ, to_rate) == pytest.approx(-6.0, abs=1.5)


def test_channels_are_mixed_by_their_mean(tmp_path: Path) -> None:
    left = tone(1.0, 8000)
    soundfile.write(tmp_path / "x.wav", np.column_stack([left, np.zeros_like(left)]), 8000)
    assert goertzel_dbfs(made(tmp_path, tmp_path / "x.wav"), HZ, 8000) == pytest.approx(-12.0, abs=0.2)


@pytest.mark.parametrize("level", [1.0, 4.0])
def test_what_is_too_loud_is_made_less_loud_and_not_clipped(tmp_path: Path, level: float) -> None:
    soundfile.write(tmp_path / "x.wav", tone(1.0, 8000, level=level), 8000, "FLOAT")
    samples = made(tmp_path, tmp_path / "x.wav")
    assert np.abs(samples).max() == pytest.approx(PEAK * 32767, abs=2)
    assert goertzel_dbfs(samples, 3 * HZ, 8000) < -80.0


def test_what_is_soft_stays_soft(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", tone(1.0, 8000, level=0.01), 8000)
    assert goertzel_dbfs(made(tmp_path, tmp_path / "x.wav"), HZ, 8000) == pytest.approx(-40.0, abs=0.3)


def test_a_moment_of_sound_is_long_enough_for_the_player(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", tone(0.01, 8000), 8000)
    assert len(made(tmp_path, tmp_path / "x.wav")) == 800


def test_numbers_that_are_none_are_silence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", np.full(8000, np.nan), 8000, "FLOAT")
    assert not made(tmp_path, tmp_path / "x.wav").any()


@pytest.mark.parametrize("content_type", ["audio/basic", "audio/pcma"])
def test_bare_samples_are_known_by_their_type(tmp_path: Path, content_type: str) -> None:
    (tmp_path / "x").write_bytes(bytes(range(256)) * 100)
    assert len(made(tmp_path, tmp_path / "x", content_type=content_type)) == 25_600


@pytest.mark.parametrize(
    "content", [b"", b"no sound" * 100, b"RIFF\0\0\0\0WAVEfmt ", b"ID3" + b"\xff" * 2000, b"fLaC" + bytes(99)]
)
def test_what_is_no_sound_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(UnplayableSoundError) as raised:
        decode(tmp_path / "x", tmp_path / "made.wav", 8000)
    assert str(tmp_path) not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_sound_that_is_too_long_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "MAX_SOUND_S", 5.0)
    soundfile.write(tmp_path / "x", np.zeros(8000 * 20), 8000, format="FLAC")
    with pytest.raises(UnplayableSoundError, match="longer than 5 s"):
        decode(tmp_path / "x", tmp_path / "made.wav", 8000)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
