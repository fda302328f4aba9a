"""Tells a person from an answering machine, by the loudness and cadence of what is said after the answer.

A person says one short phrase and then waits; a machine talks on, and ends with a beep or with silence. The
judgement needs no words: how long the peer is silent at first, how long it talks, and how long it is silent
afterwards. Tones are recognised besides: a beep ends a greeting, and a fax has tones of its own (ITU-T T.30).

::

    waiting ──a word──> greeting ──short, then silence──> human
       │                   └──long, or a beep──> a machine ──its end, if that is wanted──> machine_end_…
       ├──a fax's tone──> fax
       └──only silence──> unknown

The code is plain Python, because the worker has no numpy: a second of sound takes some 5 ms of processor
time.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul
from typing import Final, Literal

__all__ = [
    "FRAME_MS",
    "FrameMeter",
    "FrameSound",
    "MachineDetector",
    "MachineJudge",
    "MachineLimits",
    "Verdict",
]

Verdict = Literal[
    "human", "machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other", "fax", "unknown"
]

FRAME_MS: Final = 20
_WORD: Final = 4
"""Loud frames (80 ms) that make a word; fewer are a click."""
_PAUSE: Final = 4
"""Quiet frames (80 ms) after which such a click is forgotten."""
_BEEP: Final = 8
"""Frames (160 ms) of a steady tone that make a beep."""
_LONG_BEEP: Final = 100
"""Frames (2 s) after which the end of a tone is not awaited."""
_FAX: Final = 20
"""Frames (400 ms): a calling tone lasts 425 ms at least, an answer tone 2.6 s."""
_BEEP_HZ: Final = (350.0, 2000.0)
_CALLING_FAX_HZ: Final = (1062.0, 1138.0)
_ANSWERING_FAX_HZ: Final = (2085.0, 2115.0)
_LEAST_TONE_HZ: Final = 300.0
"""Below it are hums, and the pitch of voices."""
_STEADY: Final = 0.03
"""Greatest change of the frequency within one tone, relative to its beginning."""
_PURE: Final = 0.85
"""Least share of a tone in the power of its frame."""
_LEAST_DBFS: Final = -45.0
"""Level of the quietest frame that is heard at all; a full-scale sine is 0."""
_ABOVE_DB: Final = 9.0
"""By how much speech is louder than the background."""
_LOUDEST_NOISE_DBFS: Final = -35.0
_NOISE_FRAMES: Final = 40
"""The background is the quietest of so many frames (0.8 s): speech has a gap in that time."""
_SILENCE_DBFS: Final = -120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineLimits:
    """What to wait for, in milliseconds."""

    message_end: bool = False
    """Judge a machine when its greeting has ended, not as soon as it is known to be one."""
    timeout_ms: int = 30_000
    """After which an open question is ``unknown``."""
    speech_ms: int = 2400
    """A longer greeting is a machine's."""
    speech_end_ms: int = 1200
    """Silence that ends a greeting."""
    silence_ms: int = 5000
    """Silence at the beginning after which nobody is expected to speak any more."""


@dataclass(frozen=True, slots=True)
class FrameSound:
    """What is heard in one frame."""

    level_dbfs: float
    """Mean level; a full-scale sine is 0, silence ``-120``."""
    tone_hz: float = 0.0
    """The frequency, if it is nothing but a tone; 0: it is not."""


class FrameMeter:
    """Measures frames.

    Args:
        clock_rate_hz: clock rate of the samples.
    """

    def __init__(self, clock_rate_hz: int) -> None:
        self.size = clock_rate_hz * FRAME_MS // 1000
        """Samples in a frame."""
        self._rate = clock_rate_hz
        # Without a window the edges of the frame would move the frequency.
        self._window = [0.5 - 0.5 * math.cos(2 * math.pi * (n + 0.5) / self.size) for n in range(self.size)]

    def measure(self, frame: Sequence[int]) -> FrameSound:
        """Return the level and the tone of ``size`` 16-bit samples."""
        power = sum(map(mul, frame, frame)) / self.size
        level = 10 * math.log10(2 * power / 32768**2) if power else _SILENCE_DBFS
        return FrameSound(level, self._tone(frame) if level >= _LEAST_DBFS else 0.0)

    def _tone(self, frame: Sequence[int]) -> float:
        samples = list(map(mul, frame, self._window))
        energy = sum(map(mul, samples, samples))
        one = sum(map(mul, samples, samples[1:]))
        two = sum(map(mul, samples, samples[2:]))
        # Pisarenko: the frequency of a sine in white noise, by two values of its autocorrelation.
        cosine = (two + math.sqrt(two * two + 8 * one * one)) / (4 * one) if one else 0.0
        if not -1 < cosine < 1:
            return 0.0
        power = _power(samples, 2 * cosine)
        # Of a sine under this window: |X|² is its energy times two thirds of half the length.
        if power * 3 / self.size < _PURE * energy:
            return 0.0
        hz = math.acos(cosine) * self._rate / (2 * math.pi)
        return hz if hz >= _LEAST_TONE_HZ else 0.0


class MachineJudge:
    """Judges one peer by its frames.

    Args:
        limits: what to wait for.
    """

    def __init__(self, limits: MachineLimits) -> None:
        self.heard_ms = 0
        """The time so far."""
        self._limits = limits
        self._levels: deque[float] = deque(maxlen=_NOISE_FRAMES)
        self._loud = 0
        """Loud frames of the word, or click, that may have just begun."""
        self._quiet = 0
        """Frames since the last loud one."""
        self._began_ms: int | None = None
        """When the first word began."""
        self._spoken_ms = 0
        """When the last word was heard."""
        self._is_machine = False
        self._tone_hz = 0.0
        self._tone_frames = 0

    def hear(self, sound: FrameSound) -> Verdict | None:
        """Take the next frame; return the verdict, once. No frame must follow it."""
        self.heard_ms += FRAME_MS
        verdict = self._hear_tone(sound.tone_hz)
        if verdict is None and not self._tone_frames:
            verdict = self._hear_speech(self._is_loud(sound.level_dbfs))
        if verdict is None and self.heard_ms >= self._limits.timeout_ms:
            return "machine_end_other" if self._is_machine else "unknown"
        return verdict

    # -- tones --------------------------------------------------------------------------------------

    def _hear_tone(self, hz: float) -> Verdict | None:
        before, frames = self._tone_hz, self._tone_frames
        if hz and frames and abs(hz - before) <= _STEADY * before:
            self._tone_frames += 1
        else:
            self._tone_hz, self._tone_frames = hz, int(hz > 0)
            if frames >= _BEEP and _BEEP_HZ[0] <= before <= _BEEP_HZ[1]:
                return self._machine("machine_end_beep")
        return self._long_tone()

    def _long_tone(self) -> Verdict | None:
        hz, frames = self._tone_hz, self._tone_frames
        has_spoken = self._began_ms is not None
        if frames >= _FAX:
            # Who has spoken before sends a beep, which may have the frequency of a calling fax.
            calls = not has_spoken and _CALLING_FAX_HZ[0] <= hz <= _CALLING_FAX_HZ[1]
            if calls or _ANSWERING_FAX_HZ[0] <= hz <= _ANSWERING_FAX_HZ[1]:
                return "fax"
        may_be_fax = not has_spoken and _CALLING_FAX_HZ[0] <= hz <= _CALLING_FAX_HZ[1]
        if frames >= _BEEP and _BEEP_HZ[0] <= hz <= _BEEP_HZ[1] and not may_be_fax:
            # The message is to begin after the beep, not in it.
            return self._machine("machine_end_beep" if frames >= _LONG_BEEP else None)
        return None

    # -- speech -------------------------------------------------------------------------------------

    def _is_loud(self, level_dbfs: float) -> bool:
        if level_dbfs > _SILENCE_DBFS:  # without packets there is no background to know
            self._levels.append(level_dbfs)
        if level_dbfs < _LEAST_DBFS:
            return False
        return level_dbfs >= min(min(self._levels), _LOUDEST_NOISE_DBFS) + _ABOVE_DB

    def _hear_speech(self, loud: bool) -> Verdict | None:
        if loud:
            self._quiet = 0
            self._loud += 1
            if self._loud >= _WORD:
                self._spoken_ms = self.heard_ms
                if self._began_ms is None:
                    self._began_ms = self.heard_ms - _WORD * FRAME_MS
        else:
            self._quiet += 1
            if self._quiet >= _PAUSE:
                self._loud = 0
        return self._cadence()

    def _cadence(self) -> Verdict | None:
        limits = self._limits
        if self._began_ms is None:
            return "unknown" if self.heard_ms >= limits.silence_ms else None
        if self._spoken_ms - self._began_ms > limits.speech_ms and (verdict := self._machine(None)):
            return verdict
        if self.heard_ms - self._spoken_ms < limits.speech_end_ms:
            return None
        return "machine_end_silence" if self._is_machine else "human"

    def _machine(self, end: Verdict | None) -> Verdict | None:
        """Note that it is a machine, whose greeting has ended like this (None: not yet)."""
        self._is_machine = True
        return end if self._limits.message_end else "machine_start"


class MachineDetector:
    """Judges one peer by its samples.

    Args:
        clock_rate_hz: clock rate of the samples.
        limits: what to wait for.
    """

    def __init__(self, clock_rate_hz: int, limits: MachineLimits) -> None:
        self._meter = FrameMeter(clock_rate_hz)
        self._judge = MachineJudge(limits)
        self._rest: list[int] = []
        self.verdict: Verdict | None = None

    @property
    def heard_ms(self) -> int:
        """The time from the first sample to the verdict, or until now."""
        return self._judge.heard_ms

    def feed(self, samples: Sequence[int]) -> Verdict | None:
        """Take the next 16-bit samples, any number; return the verdict as soon as there is one."""
        self._rest.extend(samples)
        size = self._meter.size
        start = 0
        while self.verdict is None and start + size <= len(self._rest):
            self.verdict = self._judge.hear(self._meter.measure(self._rest[start : start + size]))
            start += size
        del self._rest[:start]
        return self.verdict


def _power(samples: Sequence[float], factor: float) -> float:
    """Return |X|² of one frequency (Goertzel)."""
    before = now = 0.0
    for x in samples:
        before, now = now, x + factor * now - before
    return before * before + now * now - factor * before * now
