"""A process that makes prompts and recordings: ``python -m media.studio``.

It says with an empty line on stdout that it is ready. One order at a time, a line of JSON each on stdin; a
line on stdout answers each. It ends with its stdin. What it reads may be anybody's: libraries in C decode it,
and when one of them crashes or never ends it is this process that is lost, and whoever started it starts
another.
"""

import math
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Final, Literal

import msgspec

from media.merge import MergePlan, Pause, merge
from media.recording import RecordingError
from media.sounds import UnplayableSoundError, decode
from media.speech import SpeechError, speak, speech

__all__ = ["Answer", "Decode", "Made", "Merge", "NotMade", "Order", "Speak"]

_NICE: Final = 5
"""Of recordings, which wait for nobody: calls that are heard come first."""
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


class Merge(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """See ``media.merge.MergePlan``. Made of 0 s, there is nothing to be heard in it, and no file."""

    parent: str
    child: str
    target: str
    dual: bool
    track: Literal["both", "inbound", "outbound"]
    trim: bool
    pauses: tuple[tuple[float, float | None, Literal["silence", "skip"]], ...]
    """Begin, end (None: never), behaviour."""


class Made(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """It is there."""

    duration_s: float


class NotMade(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """It is not."""

    text: str
    """Why, for people."""
    by_source: bool
    """The sound that was to be decoded is none: the fault is not ours."""


Order = Speak | Decode | Merge
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
            case Merge():
                finished = merge(_merge_plan(order))
                duration_s = finished.duration_s if finished is not None else 0.0
    except UnplayableSoundError as error:
        return NotMade(text=str(error), by_source=True)
    except (SpeechError, RecordingError, OSError, MemoryError) as error:
        return NotMade(text=str(error) or type(error).__name__, by_source=False)
    return Made(duration_s=duration_s)


def _merge_plan(order: Merge) -> MergePlan:
    return MergePlan(
        parent=Path(order.parent),
        child=Path(order.child),
        target=Path(order.target),
        dual=order.dual,
        track=order.track,
        trim=order.trim,
        pauses=tuple(
            Pause(start_s=start_s, end_s=math.inf if end_s is None else end_s, behaviour=behavior)
            for start_s, end_s, behavior in order.pauses
        ),
    )


def main() -> None:
    """Work until stdin ends."""
    # Libraries may write to stdout; the answers are to be alone on theirs.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the node, which drains
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.argv[1:] == ["recordings"]:
        os.nice(_NICE)
    if sys.argv[1:] == ["speech"]:
        speech(("Hello",), "en-us", 8000)  # reads the voices from the disk, which takes the longest
    answers.write(b"\n")
    answers.flush()
    decoder = msgspec.json.Decoder(Order)
    for line in sys.stdin.buffer:
        answers.write(msgspec.json.encode(_make(decoder.decode(line))) + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
