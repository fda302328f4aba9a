"""A softphone's configuration, and analysis of the audio that it heard."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from tests.peer.tones import RATE_HZ, Samples, holds_tone, sine, tone_dbfs

WINDOW = RATE_HZ // 5


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user's phone and its registrar."""

    user: str
    password: str
    server: tuple[str, int]
    """The node: registrar and proxy."""
    transport: str = "udp"
    """udp, tcp or tls."""
    srtp: str = ""
    """Empty, ``optional`` or ``required``."""
    ca: Path | None = None
    """Certificate authority for TLS; None: certificates are not checked."""
    tone_hz: float = 440.0
    answers: bool = False
    """Accept calls at once, without an order."""
    expires_s: int = 60


def write_tone(path: Path, hz: float, seconds: float = 120.0) -> Path:
    """A file for a phone to play: longer than any test's call, since some phones hang up at its end."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(sine(hz, -9.0, int(seconds * RATE_HZ)).tobytes())
    return path


def read_heard(path: Path) -> Samples:
    """The audio that a phone recorded, at 8000 Hz; empty if there is no file."""
    if not path.exists() or path.stat().st_size <= 44:
        return np.zeros(0, np.int16)
    data, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = soxr.resample(data[:, 0], rate, RATE_HZ) if rate != RATE_HZ else data[:, 0]
    return np.clip(np.round(mono * 32767), -32768, 32767).astype(np.int16)


def seconds_of_tone(samples: Samples, hz: float) -> float:
    """How long a tone was heard, in steps of 200 ms."""
    pieces = [samples[at : at + WINDOW] for at in range(0, len(samples) - WINDOW + 1, WINDOW)]
    return sum(holds_tone(piece, hz) for piece in pieces) * WINDOW / RATE_HZ


def describe(samples: Samples, *tones_hz: float) -> str:
    """For failure messages: the levels of tones in all audio heard."""
    levels = ", ".join(f"{hz:g} Hz {tone_dbfs(samples, hz):.0f} dB" for hz in tones_hz)
    return f"{len(samples) / RATE_HZ:.1f} s heard: {levels}"
