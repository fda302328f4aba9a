"""What machine detection makes of greetings in several voices, with and without noise: right or wrong.

``python -m tests.bench.greetings`` prints the table of docs/machine-detection.md. The greetings are
synthesised and the noise comes from a fixed seed, so that everybody has the same table.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from media.machine_detection import MachineDetector, MachineLimits, Verdict
from media.speech import speech

__all__ = ["GREETINGS", "Greeting", "Trial", "sound", "tone", "trials"]

RATE: Final = 8000
VOICES: Final = ("en-us", "en-us+f2", "en-us+m3", "en-us+f4", "en-gb-scotland+m1", "de+f2", "fr+m1", "es+f2")
NOISES_DBFS: Final = (None, -50.0, -40.0, -35.0)
_BEFORE_MS: Final = 600
_AFTER_MS: Final = 12_000

Samples = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Greeting:
    """What is said after the answer, and the right verdicts on it: at once, and at its end."""

    name: str
    parts: tuple[str | int, ...]
    """Texts, and pauses in milliseconds."""
    start: Verdict
    end: Verdict
    beep_hz: float = 0.0
    beep_after_ms: int = 700
    beep_ms: int = 400


GREETINGS: Final = (
    Greeting("person: Hello?", ("Hello?",), "human", "human"),
    Greeting("person: hello, with the name", ("Hello, this is Ann Miller.",), "human", "human"),
    Greeting("person: a company", ("Miller and sons, good morning.",), "human", "human"),
    Greeting("person: twice", ("Hello?", 700, "Hello?"), "human", "human"),
    Greeting(
        "person: a long company",
        ("Good morning, Miller and sons, my name is Ann, how can I help you?",),
        "human",
        "human",
    ),
    Greeting(
        "machine: long, beep",
        ("You have reached Ann Miller. I cannot take your call. Please leave a message after the tone.",),
        "machine_start",
        "machine_end_beep",
        1000.0,
    ),
    Greeting(
        "machine: short, beep",
        ("Hi, this is Ann. Leave me a message.",),
        "machine_start",
        "machine_end_beep",
        440.0,
    ),
    Greeting(
        "machine: pause, beep",
        ("Hello.", 800, "This is Ann Miller. I am not here.", 900, "Please leave a message."),
        "machine_start",
        "machine_end_beep",
        1400.0,
    ),
    Greeting(
        "machine: long pause, beep",
        ("Hello.", 1500, "I am not here. Please leave a message after the tone."),
        "machine_start",
        "machine_end_beep",
        1000.0,
    ),
    Greeting(
        "machine: late beep",
        ("You have reached Ann Miller. I cannot take your call. Please leave a message after the tone.",),
        "machine_start",
        "machine_end_beep",
        850.0,
        2500,
    ),
    Greeting(
        "machine: long, no beep",
        ("The number you have dialled is not available at the moment. Please try again later.",),
        "machine_start",
        "machine_end_silence",
    ),
    Greeting("machine: nothing but a beep", (), "machine_start", "machine_end_beep", 950.0),
    Greeting("fax: answer tone", (), "fax", "fax", 2100.0, 700, 3000),
    Greeting("nobody: silence", (), "unknown", "unknown"),
)


@dataclass(frozen=True, slots=True)
class Trial:
    """The verdicts on one greeting in one voice and noise."""

    greeting: Greeting
    voice: str
    noise_dbfs: float | None
    start: Verdict | None
    start_ms: int
    end: Verdict | None

    @property
    def rights(self) -> tuple[bool, bool]:
        """Whether the verdict at once, and that at the end, is right."""
        return self.start == self.greeting.start, self.end == self.greeting.end


def tone(hz: float, length_ms: int, level_dbfs: float = -12.0) -> Samples:
    """Return a sine."""
    samples: Samples = 10 ** (level_dbfs / 20) * np.sin(
        2 * np.pi * hz / RATE * np.arange(RATE * length_ms // 1000)
    )
    return samples


def sound(greeting: Greeting, voice: str) -> Samples:
    """Return what is heard from the answer on, ``float64[n]`` at 8000 Hz."""
    pieces: list[npt.NDArray[Any]] = [_pause(_BEFORE_MS), speech(greeting.parts, voice, RATE)]
    if greeting.beep_hz:
        pieces += [_pause(greeting.beep_after_ms), tone(greeting.beep_hz, greeting.beep_ms)]
    return np.concatenate([*pieces, _pause(_AFTER_MS)]).astype(np.float64)


def trials(
    greetings: Sequence[Greeting] = GREETINGS,
    voices: Sequence[str] = VOICES,
    noises_dbfs: Sequence[float | None] = NOISES_DBFS,
) -> Iterator[Trial]:
    """Judge each greeting in each voice and each noise, with the default limits."""
    rng = np.random.default_rng(1)
    for greeting in greetings:
        for voice in voices:
            clean = sound(greeting, voice)
            for noise in noises_dbfs:
                level = 0.0 if noise is None else 10 ** (noise / 20) / np.sqrt(2)
                noisy = clean + rng.normal(0, level, len(clean)) if level else clean
                samples = (noisy.clip(-1, 1) * 32767).astype(np.int16).tolist()
                start, end = (
                    MachineDetector(RATE, MachineLimits(message_end=wait)) for wait in (False, True)
                )
                yield Trial(greeting, voice, noise, start.feed(samples), start.heard_ms, end.feed(samples))


def _pause(length_ms: int) -> Samples:
    return np.zeros(RATE * length_ms // 1000)


def _main() -> None:
    print("| greeting | right verdict | right at once | after, ms | right at its end | wrong verdicts |")
    print("|---|---|---|---|---|---|")
    for greeting in GREETINGS:
        of_it = list(trials([greeting]))
        wrong = Counter(trial.start for trial in of_it if not trial.rights[0])
        wrong += Counter(trial.end for trial in of_it if not trial.rights[1])
        right = greeting.start if greeting.start == greeting.end else f"{greeting.start}, {greeting.end}"
        cells = (
            greeting.name,
            f"`{right}`",
            f"{sum(trial.rights[0] for trial in of_it)}/{len(of_it)}",
            f"{np.median([trial.start_ms for trial in of_it]):.0f}",
            f"{sum(trial.rights[1] for trial in of_it)}/{len(of_it)}",
            ", ".join(f"{verdict} {count}" for verdict, count in wrong.items()),
        )
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    _main()
