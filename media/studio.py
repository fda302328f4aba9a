"""A process that makes prompts: ``python -m media.studio``.

One order at a time, a line of JSON each on stdin; a line on stdout answers each. It ends with its stdin. What
it reads may be anybody's: libraries in C decode it, and when one of them crashes or never ends it is this
process that is lost, and whoever started it starts another.
"""

import os
import resource
import signal
import sys
from pathlib import Path
from typing import Final

import msgspec

from media.sounds import UnplayableSoundError, decode
from media.speech import SpeechError, speak, speech

__all__ = ["Answer", "Decode", "Made", "NotMade", "Order", "Speak"]

_MAX_MEMORY: Final = 2 << 30
"""Address space; with the neural voice it takes 0.7 GiB."""


class Speak(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """See ``media.speech.speak``."""

    parts: tuple[str | int, ...]
    voice: str
    neural: bool
    clock_rate_hz: int
    target: str


class Decode(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """See ``media.sounds.decode``."""

    source: str
    content_type: str
    clock_rate_hz: int
    target: str


class Made(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The prompt is there."""

    duration_s: float


class NotMade(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """It is not."""

    text: str
    """Why, for people."""
    by_source: bool
    """The sound that was to be decoded is none: the fault is not ours."""


Order = Speak | Decode
Answer = Made | NotMade


def _make(order: Order) -> Answer:
    try:
        match order:
            case Speak():
                duration_s = speak(
                    order.parts, order.voice, Path(order.target), order.clock_rate_hz, neural=order.neural
                )
            case Decode():
                duration_s = decode(
                    Path(order.source), Path(order.target), order.clock_rate_hz, order.content_type
                )
    except UnplayableSoundError as error:
        return NotMade(text=str(error), by_source=True)
    except (SpeechError, OSError, MemoryError) as error:
        return NotMade(text=str(error) or type(error).__name__, by_source=False)
    return Made(duration_s=duration_s)


def main() -> None:
    """Work until stdin ends."""
    # Libraries may write to stdout; the answers are to be alone on theirs.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the node, which drains
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.argv[1:] == ["speech"]:
        speech(("Hello",), "en-us", 8000)  # reads the voices from the disk, which takes the longest
    decoder = msgspec.json.Decoder(Order)
    for line in sys.stdin.buffer:
        answers.write(msgspec.json.encode(_make(decoder.decode(line))) + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
