"""Ringback as audio: one cycle of a tone plan's cadence, to be played in a loop.

A loop starts with the sound and ends with silence, so that its end joins its start. Amplitude modulation (in,
jp, sg, us-old, za) is the reason for a synthesis of our own: the media library's tone generator can only add
tones.
"""

import contextlib
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from media.plans import TonePlan, TonePlanError, load_tone_plans

__all__ = [
    "CLOCK_RATES_HZ",
    "PLAYER_REWIND_MS",
    "TonePlan",
    "TonePlanError",
    "load_tone_plans",
    "ringback_loop",
    "write_loop",
    "write_wav",
]

CLOCK_RATES_HZ = (8000, 16000)
LEVEL_DBM0 = -13.0
"""Level of all frequencies together while the tone sounds, within the limits of national plans and E.180."""
FULL_SCALE_DBM0 = 3.14
"""Level of the loudest sine that G.711 A-law can carry (µ-law: 3.17), which is full scale on a telephone."""
RAMP_MS = 5
"""Raised cosine at both ends of a sound: short enough for the cadence, long enough not to click."""

PLAYER_REWIND_MS = 20
"""The native player inserts one frame of silence when it rewinds its file (measured with pjproject 2.15.1: as
long as the bridge's frame, whatever the length of the file)."""


def ringback_loop(plan: TonePlan, clock_rate_hz: int) -> npt.NDArray[np.int16]:
    """Return one cycle of ``plan``'s cadence.

    The level is defined by power, not by peak: while they sound, all components together have the RMS of a
    sine at LEVEL_DBM0, that is 16.1 dB below a full-scale sine. The highest peak, of two frequencies or of a
    modulated one, is still 11 dB below full scale.

    Args:
        plan: the tone plan.
        clock_rate_hz: 8000 or 16000.

    Returns:
        ``int16[n_frames]``; ``plan.loop_ms`` long.

    Raises:
        TonePlanError: the clock rate is another one.
    """
    if clock_rate_hz not in CLOCK_RATES_HZ:
        raise TonePlanError(f"no ringback at {clock_rate_hz} Hz, only at 8000 and 16000")
    if not plan.cadence_ms:
        # Frequencies are whole hertz: after a second all of them have the same phase again.
        return _to_int16(_tone(plan, clock_rate_hz, clock_rate_hz))
    loop = np.zeros(_frames(plan.loop_ms, clock_rate_hz))
    ramp = _frames(RAMP_MS, clock_rate_hz)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(ramp) + 0.5) / ramp)
    start = 0
    for on_ms, off_ms in zip(plan.cadence_ms[::2], plan.cadence_ms[1::2], strict=True):
        on = _frames(on_ms, clock_rate_hz)
        # The fall comes after the nominal end, so that the ramps do not shorten the sound.
        sound = _tone(plan, on + ramp, clock_rate_hz)
        sound[:ramp] *= rise
        sound[on:] *= rise[::-1]
        loop[start : start + on + ramp] = sound
        start += on + _frames(off_ms, clock_rate_hz)
    return _to_int16(loop)


def write_loop(plan: TonePlan, clock_rate_hz: int, path: Path, *, rewind_ms: int = PLAYER_REWIND_MS) -> None:
    """Write ``ringback_loop(plan, clock_rate_hz)`` to ``path`` as 16-bit PCM WAV, for a looping player.

    The file gets its name only when it is complete, so that a player never opens a partial loop and several
    processes may write the same file.

    Args:
        plan: the tone plan.
        clock_rate_hz: 8000 or 16000.
        path: the file to write.
        rewind_ms: silence that the player adds between two cycles, subtracted from the last silence of the
            file. The default is right for the native player; 0 writes the whole cycle.

    Raises:
        TonePlanError: see ringback_loop.
        OSError: the file cannot be written.
    """
    loop = ringback_loop(plan, clock_rate_hz)
    if plan.cadence_ms:
        spare_ms = min(rewind_ms, plan.cadence_ms[-1] - RAMP_MS)
        loop = loop[: loop.size - _frames(spare_ms, clock_rate_hz)]
    write_wav(loop, clock_rate_hz, path)


def write_wav(samples: npt.NDArray[np.int16], clock_rate_hz: int, path: Path) -> None:
    """Write ``int16[n_frames]`` to ``path`` as 16-bit PCM WAV; the file gets its name when it is complete.

    Raises:
        OSError: the file cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            soundfile.write(file, samples, clock_rate_hz, format="WAV", subtype="PCM_16")
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise


def _frames(ms: int, clock_rate_hz: int) -> int:
    return ms * clock_rate_hz // 1000


def _tone(plan: TonePlan, n_frames: int, clock_rate_hz: int) -> npt.NDArray[np.float64]:
    """Return ``plan``'s continuous tone, where 1.0 is full scale.

    Modulation by 100 % is carrier times ``1 + cos``: the carrier and two sidebands, each with a quarter of
    its power. It starts at its maximum, so that the ear (and a meter) finds the sound where it begins.
    """
    t = np.arange(n_frames) / clock_rate_hz
    tone = np.zeros(n_frames)
    for hz in plan.frequencies_hz:
        tone += np.sin(2 * np.pi * hz * t)
    power = len(plan.frequencies_hz) / 2
    if plan.modulation_hz is not None:
        tone *= 1 + np.cos(2 * np.pi * plan.modulation_hz * t)
        power *= 1.5
    wanted_rms = 10 ** ((LEVEL_DBM0 - FULL_SCALE_DBM0) / 20) / np.sqrt(2)
    scaled: npt.NDArray[np.float64] = tone * (wanted_rms / np.sqrt(power))
    return scaled


def _to_int16(samples: npt.NDArray[np.float64]) -> npt.NDArray[np.int16]:
    return np.rint(samples * 32767).astype(np.int16)
