"""A process that makes prompts and recordings: ``python -m media.renderer``.

An empty line on stdout reports that it is ready. It takes one order at a time, a line of JSON on stdin, and
answers each with a line on stdout. It exits at the end of stdin. Its input files are untrusted and decoded by
libraries in C; if one of them crashes or hangs, only this process is lost, and its parent starts another.
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
from media.relay_tracks import TracksPlan, WorkerPart, write_tracks
from media.sounds import UnplayableSoundError, decode
from media.speech import SpeechError, Ssml, speak, speech

__all__ = ["Answer", "Decode", "Made", "Merge", "MergeParts", "NotMade", "Order", "Speak"]

_NICE: Final = 5
"""Niceness for recordings, for which no caller waits: live calls come first."""
_MAX_MEMORY: Final = 2 << 30
"""Limit of the address space in bytes; the neural voice needs 0.7 GiB."""


class Speak(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Order ``media.speech.speak``."""

    parts: tuple[str | int | Ssml, ...]
    voice: str
    neural: bool
    clock_rate_hz: int
    target: str


class Decode(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Order ``media.sounds.decode``."""

    source: str
    content_type: str
    clock_rate_hz: int
    target: str


class Merge(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Order a merge by ``media.merge.MergePlan``. A result of 0 s means: nothing audible, and no file."""

    parent: str
    child: str
    target: str
    dual: bool
    track: Literal["both", "inbound", "outbound"]
    trim: bool
    pauses: tuple[tuple[float, float | None, Literal["silence", "skip"]], ...]
    """Start, end (None: never) and behaviour of each pause."""


class MergeParts(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Order a merge of what the relay and perhaps a worker have recorded (``media.relay_tracks``)."""

    merge: Merge
    """Its ``parent`` and ``child`` are made for it, and removed again."""
    relay: str
    worker: tuple[str, str]
    """Files of a worker's part, parent's and child's; without effect if they do not exist."""
    worker_at_s: float | None
    length_s: float | None


class Made(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The ordered file was made."""

    duration_s: float


class NotMade(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The ordered file could not be made."""

    text: str
    """The reason, for people."""
    by_source: bool
    """The source cannot be decoded as sound: the fault is not ours."""


Order = Speak | Decode | Merge | MergeParts
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
                duration_s = _merge(order)
            case MergeParts():
                duration_s = _merge_parts(order)
    except UnplayableSoundError as error:
        return NotMade(text=str(error), by_source=True)
    except (SpeechError, RecordingError, OSError, MemoryError) as error:
        return NotMade(text=str(error) or type(error).__name__, by_source=False)
    return Made(duration_s=duration_s)


def _merge(order: Merge) -> float:
    finished = merge(_merge_plan(order))
    return finished.duration_s if finished is not None else 0.0


def _merge_parts(order: MergeParts) -> float:
    parent, child = Path(order.merge.parent), Path(order.merge.child)
    part = WorkerPart(parent=Path(order.worker[0]), child=Path(order.worker[1]), at_s=order.worker_at_s)
    try:
        write_tracks(
            TracksPlan(
                relay=Path(order.relay), parent=parent, child=child, part=part, length_s=order.length_s
            )
        )
        return _merge(order.merge)
    finally:
        for track in (parent, child):
            track.unlink(missing_ok=True)


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
    """Handle orders until stdin ends."""
    # Libraries may write to stdout, so the answers get a descriptor of their own.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the node, which drains
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.argv[1:] == ["recordings"]:
        os.nice(_NICE)
    if sys.argv[1:] == ["speech"]:
        speech(("Hello",), "en-us", 8000)  # loads the voices from disk, which is the slowest part
    answers.write(b"\n")
    answers.flush()
    decoder = msgspec.json.Decoder(Order)
    for line in sys.stdin.buffer:
        answers.write(msgspec.json.encode(_make(decoder.decode(line))) + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
