"""Conversion of sound files into prompts: the native player's format, at a level that a telephone carries.

A prompt is a mono 16 bit WAV at the bridge's clock rate, padded to the player's minimum length. Channels are
mixed by their mean. A sound that would exceed the peak is attenuated as a whole, so that nothing clips; no
sound is amplified.

The module reads untrusted files: run it in a process that may die (``media.renderer``).
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

__all__ = ["MAX_SOUND_S", "PEAK", "UnplayableSoundError", "decode", "write_prompt"]

MAX_SOUND_S: Final = 3600.0
"""Longer sounds are refused: a small file can be hours long."""
PEAK: Final = 10 ** (-1 / 20)
"""Maximum peak as a share of full scale (-1 dBFS): resampling or coding may raise peaks above the samples."""
_LEAST_S: Final = 0.1
"""The native player refuses files of less than 400 bytes."""
_BLOCK: Final = 65_536
_MULAW_TYPES: Final = frozenset(("audio/basic", "audio/ulaw", "audio/x-ulaw", "audio/x-mulaw", "audio/pcmu"))
_ALAW_TYPES: Final = frozenset(("audio/alaw", "audio/x-alaw", "audio/pcma"))
_TELEPHONE_HZ: Final = 8000

Samples = npt.NDArray[np.float32]


class UnplayableSoundError(Exception):
    """The file is not a sound that can be decoded, or too long; the text says which."""


def decode(source: Path, target: Path, clock_rate_hz: int, content_type: str = "") -> float:
    """Make a prompt from a sound file: WAV, MP3, OGG, FLAC, AIFF, AU, or µ-law or A-law without a header.

    Args:
        source: the sound file.
        target: the prompt's file, which appears when it is complete.
        clock_rate_hz: clock rate of the bridge.
        content_type: type and subtype; determines the coding of a file without a header.

    Returns:
        The length of the prompt in seconds.

    Raises:
        UnplayableSoundError: ``source`` cannot be decoded, or is too long.
        OSError: ``target`` cannot be written.
    """
    # The first pass only measures the peak: an hour of sound is too much to keep in memory.
    peak = max(float(np.abs(b).max(initial=0.0)) for b in _mono(source, clock_rate_hz, content_type))
    return write_prompt(_mono(source, clock_rate_hz, content_type), target, clock_rate_hz, peak)


def write_prompt(blocks: Iterable[Samples], target: Path, clock_rate_hz: int, peak: float) -> float:
    """Write mono ``float32[n]`` blocks as a prompt.

    Args:
        blocks: samples at ``clock_rate_hz``.
        target: the prompt's file, which appears when it is complete.
        clock_rate_hz: clock rate of the bridge.
        peak: magnitude of the loudest sample, where 1.0 is full scale.

    Returns:
        The length of the prompt in seconds.
    """
    gain = 32767.0 * (PEAK / peak if peak > PEAK else 1.0)
    part = target.with_name(f"{target.name}.part")
    written = 0
    try:
        with soundfile.SoundFile(part, "w", clock_rate_hz, 1, "PCM_16", format="WAV") as file:
            for block in blocks:
                file.write(np.rint(block * gain).astype(np.int16))
                written += len(block)
            missing = max(0, round(_LEAST_S * clock_rate_hz) - written)
            file.write(np.zeros(missing, np.int16))
        os.replace(part, target)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return (written + missing) / clock_rate_hz


def _mono(source: Path, clock_rate_hz: int, content_type: str) -> Iterator[Samples]:
    """Yield the whole sound as mono blocks at the clock rate."""
    try:
        with _open(source, content_type) as file:
            if file.channels > 16:
                raise UnplayableSoundError(f"{file.channels} channels")
            resampler = soxr.ResampleStream(file.samplerate, clock_rate_hz, 1, dtype="float32")
            longest = MAX_SOUND_S * file.samplerate
            read = 0
            while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
                read += len(block)
                if read > longest:
                    raise UnplayableSoundError(f"longer than {MAX_SOUND_S:.0f} s")
                # A file of floats may hold NaN or infinity.
                mono = np.nan_to_num(block.mean(axis=1), nan=0.0, posinf=1.0, neginf=-1.0)
                yield resampler.resample_chunk(mono)
            if not read:
                raise UnplayableSoundError("there is no sound in it")
            yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
    except soundfile.LibsndfileError as error:  # str(error) contains our path
        raise UnplayableSoundError(f"not a sound that can be decoded: {error.error_string}") from error


def _open(source: Path, content_type: str) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(source)
    except soundfile.LibsndfileError:
        law = "ULAW" if content_type in _MULAW_TYPES else "ALAW" if content_type in _ALAW_TYPES else None
        if law is None:
            raise
        return soundfile.SoundFile(source, format="RAW", subtype=law, channels=1, samplerate=_TELEPHONE_HZ)
