"""Ringback as audio: one round of a tone plan's cadence, made to be played over and over.

A loop begins where its sound begins and ends in silence, so that its end joins its start. Amplitude
modulation (in, jp, sg, us-old, za) is why this is synthesis and not the media library's tone generator, which
can only add.
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
]

CLOCK_RATES_HZ = (8000, 16000)
LEVEL_DBM0 = -13.0
"""While it sounds, all frequencies together: within what national plans and E.180 ask of a tone."""
FULL_SCALE_DBM0 = 3.14
"""Of the loudest sine G.711 A-law can carry (µ-law: 3.17), which is full scale on a telephone."""
RAMP_MS = 5
"""Of the raised cosine at both ends of a sound: short enough for the cadence, long enough not to click."""

PLAYER_REWIND_MS = 20
"""The native player gives one frame of silence when it goes back to the beginning of its file (measured with
pjproject 2.15.1: as long as the bridge's frame, whatever the length of the file)."""


def ringback_loop(plan: TonePlan, clock_rate_hz: int) -> npt.NDArray[np.int16]:
    """One round of ``plan``'s cadence.

    The level is set by power, not by peak: all components together, over the time they sound, have the RMS of
    a sine at LEVEL_DBM0, that is 16.1 dB under a full-scale one. The loudest peak, that of two frequencies or
    of a modulated one, is still 11 dB under full scale.

    Args:
        plan: what to make.
        clock_rate_hz: 8000 or 16000.

    Returns:
        ``int16[n_frames]``; ``plan.loop_ms`` long.

    Raises:
        TonePlanError: another clock rate.
    """
    if clock_rate_hz not in CLOCK_RATES_HZ:
        raise TonePlanError(f"no ringback at {clock_rate_hz} Hz, only at 8000 and 16000")
    if not plan.cadence_ms:
        # Frequencies are whole hertz: after a second all of them are where they were.
        return _to_int16(_tone(plan, clock_rate_hz, clock_rate_hz))
    loop = np.zeros(_frames(plan.loop_ms, clock_rate_hz))
    ramp = _frames(RAMP_MS, clock_rate_hz)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(ramp) + 0.5) / ramp)
    start = 0
    for on_ms, off_ms in zip(plan.cadence_ms[::2], plan.cadence_ms[1::2], strict=True):
        on = _frames(on_ms, clock_rate_hz)
        # The fall comes after the nominal end: rise and fall together cost the sound no length.
        sound = _tone(plan, on + ramp, clock_rate_hz)
        sound[:ramp] *= rise
        sound[on:] *= rise[::-1]
        loop[start : start + on + ramp] = sound
        start += on + _frames(off_ms, clock_rate_hz)
    return _to_int16(loop)


def write_loop(plan: TonePlan, clock_rate_hz: int, path: Path, *, rewind_ms: int = PLAYER_REWIND_MS) -> None:
    """Write ``ringback_loop(plan, clock_rate_hz)`` to ``path`` as 16-bit PCM WAV, for a looping player.

    The file appears under its name when it is complete, so that a player never opens half a loop and several
    processes may write the same one.

    Args:
        plan: what to make.
        clock_rate_hz: 8000 or 16000.
        path: where to.
        rewind_ms: silence the player adds between two rounds, left out of the last silence of the file. The
            default is right for the native player; 0 writes the whole round.

    Raises:
        TonePlanError: see ringback_loop.
        OSError: the file cannot be written.
    """
    loop = ringback_loop(plan, clock_rate_hz)
    if plan.cadence_ms:
        spare_ms = min(rewind_ms, plan.cadence_ms[-1] - RAMP_MS)
        loop = loop[: loop.size - _frames(spare_ms, clock_rate_hz)]
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            soundfile.write(file, loop, clock_rate_hz, format="WAV", subtype="PCM_16")
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise


def _frames(ms: int, clock_rate_hz: int) -> int:
    return ms * clock_rate_hz // 1000


def _tone(plan: TonePlan, n_frames: int, clock_rate_hz: int) -> npt.NDArray[np.float64]:
    """``plan``'s unbroken tone; 1.0 is full scale.

    Modulation by 100 %: carrier times ``1 + cos``, which is the carrier and two sidebands of a quarter of its
    power each. It starts at its loudest, so that the ear (and a meter) finds the sound where it begins.
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
