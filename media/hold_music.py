"""The node's own hold music: a quiet piece for electric piano, synthesised, to be played in a loop.

Its last chord dies away before the end and its first one rises from silence, so that the end joins the start
without a click, even where a player puts a short silence between the two. All of it lies where a telephone
hears: fundamentals from 110 to 800 Hz, few partials above 3.4 kHz at any clock rate.
The piece is ours, and free of others' rights.
"""

from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from media.tones import CLOCK_RATES_HZ, FULL_SCALE_DBM0, PLAYER_REWIND_MS, write_wav

__all__ = ["LEVEL_DBM0", "hold_music", "write_hold_music"]

LEVEL_DBM0: Final = -19.0
"""Mean level of the piece, below that of speech, so that nobody turns the receiver away."""
_BEAT_S: Final = 60 / 84
_BAR: Final = 4
"""Beats of a bar."""
_REST_BEATS: Final = 1
"""Silence after the last bar, in which its chord has died away."""
_ATTACK_S: Final = 0.012
_RELEASE_S: Final = 0.25
_PEAK: Final = 0.7
"""Highest sample as a share of full scale; peaks above it are rounded off."""

_CHORDS: Final = (
    (48, 64, 67, 71, 74), (45, 60, 64, 67, 71), (53, 57, 60, 64, 67), (55, 59, 62, 64, 69),
    (52, 59, 62, 67, 71), (45, 60, 64, 67, 72), (50, 57, 60, 65, 69), (55, 60, 62, 65, 69),
    (48, 64, 67, 71, 74), (45, 60, 64, 67, 71), (53, 57, 60, 64, 69), (53, 56, 60, 65, 68),
    (52, 59, 62, 67, 71), (57, 61, 64, 67, 71), (50, 57, 60, 64, 65), (55, 59, 62, 65, 69),
    (48, 60, 64, 67, 71),
)  # fmt: skip
"""Bass and four voices of each bar, as MIDI notes (69 is 440 Hz)."""

_MELODY: Final = (
    (0, 76, 1.5), (1.5, 74, 0.5), (2, 71, 2), (4, 72, 1.5), (5.5, 71, 0.5), (6, 67, 2),
    (8, 69, 1), (9, 72, 1), (10, 76, 2), (12, 74, 3),
    (16, 74, 1.5), (17.5, 71, 0.5), (18, 67, 2), (20, 72, 1), (21, 74, 1), (22, 76, 2),
    (24, 77, 1.5), (25.5, 76, 0.5), (26, 74, 2), (28, 72, 1.5), (29.5, 74, 2.5),
    (32, 76, 1.5), (33.5, 79, 0.5), (34, 74, 2), (36, 72, 1.5), (37.5, 71, 0.5), (38, 67, 2),
    (40, 69, 1), (41, 72, 1), (42, 77, 2), (44, 75, 1.5), (45.5, 72, 2.5),
    (48, 71, 1), (49, 74, 1), (50, 79, 2), (52, 76, 1.5), (53.5, 73, 2.5),
    (56, 74, 1), (57, 76, 1), (58, 77, 2), (60, 76, 1), (61, 74, 1), (62, 71, 2),
    (64, 72, 4),
)  # fmt: skip
"""Beat, MIDI note and beats of each note."""

_PATTERN: Final = (1, 2, 3, 4, 3, 2, 3, 4)
"""Which voice of the chord each eighth of a bar plays."""

Samples = npt.NDArray[np.float64]


def hold_music(clock_rate_hz: int) -> npt.NDArray[np.int16]:
    """Return the piece once.

    Args:
        clock_rate_hz: 8000 or 16000.

    Returns:
        ``int16[n_frames]``, about 50 s, a whole number of 20 ms; it begins and ends with silence.

    Raises:
        ValueError: the clock rate is another one.
    """
    if clock_rate_hz not in CLOCK_RATES_HZ:
        raise ValueError(f"no hold music at {clock_rate_hz} Hz, only at 8000 and 16000")
    return _rendered(clock_rate_hz).copy()


def write_hold_music(clock_rate_hz: int, path: Path, *, rewind_ms: int = PLAYER_REWIND_MS) -> None:
    """Write the piece to ``path`` as 16-bit PCM WAV, for a looping player.

    The file gets its name only when it is complete.

    Args:
        clock_rate_hz: 8000 or 16000.
        path: the file to write.
        rewind_ms: silence that the player adds between two cycles, subtracted from the silence at the end.

    Raises:
        ValueError: see hold_music.
        OSError: the file cannot be written.
    """
    music = hold_music(clock_rate_hz)
    write_wav(music[: music.size - rewind_ms * clock_rate_hz // 1000], clock_rate_hz, path)


@cache
def _rendered(rate: int) -> npt.NDArray[np.int16]:
    beats = len(_CHORDS) * _BAR + _REST_BEATS
    frame = rate // 50
    music = np.zeros(int(np.ceil(beats * _BEAT_S * rate / frame)) * frame)
    for bar, (bass, *voices) in enumerate(_CHORDS):
        last = bar == len(_CHORDS) - 1
        _play(music, rate, bar * _BAR, bass, 3.8, 0.5)
        for voice in voices:
            _play(music, rate, bar * _BAR, voice, 3.8, 0.16)
        for eighth, voice in enumerate(_PATTERN):
            if not last:
                # The second eighth of each beat comes a little late, and softer.
                swing, softness = (0.06, 0.8) if eighth % 2 else (0.0, 1.0)
                note = (bass, *voices)[voice]
                _play(music, rate, bar * _BAR + eighth / 2 + swing, note, 0.9, 0.3 * softness)
    for beat, note, length in _MELODY:
        _play(music, rate, beat, note, length, 0.6)
    quiet = int((beats - 0.5) * _BEAT_S * rate)
    fade = int(1.5 * _BEAT_S * rate)
    music[quiet - fade : quiet] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(fade) / fade)
    music[quiet:] = 0.0
    wanted = 10 ** ((LEVEL_DBM0 - FULL_SCALE_DBM0) / 20) / np.sqrt(2)
    music *= wanted / np.sqrt(np.mean(music**2))
    music = _PEAK * np.tanh(music / _PEAK)
    rendered: npt.NDArray[np.int16] = np.rint(music * 32767).astype(np.int16)
    rendered.setflags(write=False)
    return rendered


def _play(music: Samples, rate: int, beat: float, note: int, beats: float, loudness: float) -> None:
    """Add one note of an electric piano: a tone with a bell in it that dies away before the tone does."""
    hz = 440.0 * 2 ** ((note - 69) / 12)
    start = int(beat * _BEAT_S * rate)
    held = beats * _BEAT_S
    t = np.arange(min(int((held + _RELEASE_S) * rate), music.size - start)) / rate
    # Higher notes are softer, purer and shorter, as on the instrument.
    height = np.clip((note - 48) / 36, 0.0, 1.0)
    bell = (1.1 - 0.7 * height) * np.exp(-t / 0.35)
    sound = np.sin(2 * np.pi * hz * t + bell * np.sin(2 * np.pi * hz * t))
    sound += 0.12 * np.exp(-t / 0.15) * np.sin(2 * np.pi * 2 * hz * t)
    shape = np.exp(-t / (1.6 - 0.8 * height))
    shape *= np.clip(t / _ATTACK_S, 0.0, 1.0) * np.clip((held + _RELEASE_S - t) / _RELEASE_S, 0.0, 1.0)
    music[start : start + t.size] += loudness * (1 - 0.3 * height) * shape * sound
