"""Merging of the raw files of both sides into a recording, which gets its name only when it is complete.

Both raw files start with the same frame of one clock and hold silence where their side had no sound, so that
frame n of one corresponds to frame n of the other. The merge does not shift them against each other; the
shorter one is padded with silence.

All work is done in blocks: memory does not grow with the length, and an hour of sound takes seconds. The work
is blocking (files and processor), so call it outside an event loop.

For one channel the two sides are added. A sum within ±70 % of full scale is unchanged, so that a single
talker keeps the same level. Above that a soft knee (tanh) bends the sum towards full scale, which it never
exceeds: nothing clips, and there is distortion only where both sides shout at once.
"""

import contextlib
import itertools
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import soundfile

from media.recording import RecordingError, RecordingFile, complete_header, has_sound
from media.trim import sounding_part

__all__ = ["MergePlan", "Pause", "merge"]

log = logging.getLogger(__name__)

Block = npt.NDArray[np.int16]
"""int16[n_frames, n_channels]."""

_BLOCK_FRAMES: Final = 65_536
_FRAME_S: Final = 0.020
_KNEE: Final = 0.7
_WAV_LIMIT_BYTES: Final = 0xFFFF_0000
"""The limit of a WAV's 32-bit sizes; a longer file is written as RF64 (EBU Tech 3306)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """An interval in which the recording was paused."""

    start_s: float
    """Seconds since the start of the recorders."""
    end_s: float
    """Seconds since the start of the recorders; ``math.inf``: the recording was never resumed."""
    behaviour: Literal["silence", "skip"]
    """``silence`` replaces the interval by silence in both channels; ``skip`` removes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePlan:
    """The raw files, the target and the options of a merge."""

    parent: Path
    """Raw file of the audio from the parent leg; mono, PCM 16 bit."""
    child: Path
    """Raw file of the child leg, started in the same frame. A missing file counts as silence."""
    target: Path
    """``….wav`` or ``….mp3``."""
    dual: bool = False
    """Make two channels; without effect for a single track."""
    track: Literal["both", "inbound", "outbound"] = "both"
    """inbound: what the parent says; outbound: what it hears, which is the child."""
    pauses: tuple[Pause, ...] = ()
    trim: bool = False
    """Cut silence at both ends (``media.trim``)."""


def merge(plan: MergePlan) -> RecordingFile | None:
    """Make the recording. A repetition has the same result as long as the raw files exist.

    Returns: the finished file; None, without a file, if the recording would be empty (no samples, all of them
        skipped, or with ``trim`` nothing audible).

    Raises:
        RecordingError: a raw file has more damage than wrong sizes, or the target could not be written;
            neither the target nor a partial file is left behind.

    Thread: any except that of an event loop.
    """
    raw = [_RawTrack.open(path) for path in (plan.parent, plan.child)]
    with contextlib.ExitStack() as stack:
        for track in raw:
            stack.callback(track.close)
        source = _Source(plan, raw)
        keep = (0, source.frames)
        if plan.trim:
            keep = sounding_part(source.blocks(), source.clock_rate_hz) or (0, 0)
        if keep[0] == keep[1]:
            return None
        return _write(source, keep)


class _RawTrack:
    """One side, read from front to back, with silence after its end."""

    def __init__(self, sound: soundfile.SoundFile | None) -> None:
        self._sound = sound
        self.frames = sound.frames if sound is not None else 0
        self.clock_rate_hz = sound.samplerate if sound is not None else 0

    @classmethod
    def open(cls, path: Path) -> "_RawTrack":
        if not has_sound(path):
            return cls(None)
        if complete_header(path):
            log.info("raw recording header completed", extra={"path": str(path)})
        try:
            return cls(soundfile.SoundFile(path))
        except (OSError, soundfile.SoundFileError) as error:
            raise RecordingError(f"{path}: {error}") from error

    def seek(self, frame: int) -> None:
        if self._sound is not None:
            self._sound.seek(min(frame, self.frames))

    def read_into(self, column: Block) -> None:
        found = self._sound.read(len(column), dtype="int16") if self._sound is not None else ()
        column[: len(found)] = found
        column[len(found) :] = 0

    def close(self) -> None:
        if self._sound is not None:
            self._sound.close()


class _Source:
    """The recording as a sequence of blocks, which can be read more than once."""

    def __init__(self, plan: MergePlan, raw: list[_RawTrack]) -> None:
        self.plan = plan
        rates = {track.clock_rate_hz for track in raw} - {0}
        if len(rates) > 1:
            raise RecordingError(f"{plan.target}: its sides have clock rates of {sorted(rates)} Hz")
        self.clock_rate_hz = rates.pop() if rates else 8000
        self.channels = 2 if plan.dual and plan.track == "both" else 1
        self._raw = raw
        lengths = [track.frames for track in raw]
        present = [length for length in lengths if length]
        if present and max(present) - min(present) > _FRAME_S * self.clock_rate_hz:
            log.warning(
                "the sides of a recording differ in length",
                extra={"path": str(plan.target), "parent_frames": lengths[0], "child_frames": lengths[1]},
            )
        self._spans = _spans(plan.pauses, max(lengths), self.clock_rate_hz)
        self.frames = sum(end - start for start, end, _ in self._spans)

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks from the beginning, each int16[n_frames, self.channels]."""
        pair = np.zeros((_BLOCK_FRAMES, 2), np.int16)
        for start, end, blank in self._spans:
            for track in self._raw:
                track.seek(start)
            for at in range(start, end, _BLOCK_FRAMES):
                part = pair[: min(_BLOCK_FRAMES, end - at)]
                if blank:
                    part[:] = 0
                else:
                    for column, track in enumerate(self._raw):
                        track.read_into(part[:, column])
                yield self._shaped(part)

    def _shaped(self, pair: Block) -> Block:
        if self.channels == 2:
            return pair
        if self.plan.track != "both":
            column = 0 if self.plan.track == "inbound" else 1
            return pair[:, column : column + 1]
        total = pair[:, 0].astype(np.int32) + pair[:, 1]
        mixed: Block = _LIMITED[total + _LIMITED_OFFSET][:, np.newaxis]
        return mixed


def _spans(pauses: tuple[Pause, ...], frames: int, rate: int) -> list[tuple[int, int, bool]]:
    """Return the kept parts of ``frames`` in order, each as (first, end, whether it is silent).

    Where pauses overlap, ``skip`` takes precedence.
    """
    cuts = [
        (_frame(pause.start_s, frames, rate), _frame(pause.end_s, frames, rate), pause.behaviour)
        for pause in pauses
    ]
    edges = sorted({0, frames, *(edge for start, end, _ in cuts for edge in (start, end))})
    spans = []
    for start, end in itertools.pairwise(edges):
        how = {behaviour for first, last, behaviour in cuts if first <= start and end <= last}
        if "skip" not in how:
            spans.append((start, end, "silence" in how))
    return spans


def _frame(seconds: float, frames: int, rate: int) -> int:
    return round(min(max(seconds, 0.0) * rate, frames))


def _limit_table() -> npt.NDArray[np.int16]:
    total = np.arange(2 * -32768, 2 * 32767 + 1) / 32767
    over = np.maximum(np.abs(total) - _KNEE, 0.0)
    limited = np.minimum(np.abs(total), _KNEE) + (1 - _KNEE) * np.tanh(over / (1 - _KNEE))
    return np.rint(np.sign(total) * limited * 32767).astype(np.int16)


_LIMITED_OFFSET: Final = 2 * 32768
_LIMITED: Final = _limit_table()
"""The limited value for each sum of two samples, at the index sum + _LIMITED_OFFSET."""


# -- the file ---------------------------------------------------------------------------------------------


def _write(source: _Source, keep: tuple[int, int]) -> RecordingFile:
    target = source.plan.target
    partial = target.with_name(f".{target.name}.part")
    try:
        _write_blocks(source, keep, partial)
        size = _make_durable(partial, target)
    # soundfile raises AssertionError if the library has not written all samples.
    except (OSError, soundfile.SoundFileError, AssertionError) as error:
        raise RecordingError(f"{target}: could not be written: {error or 'disk full?'}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return RecordingFile(
        path=target,
        duration_s=(keep[1] - keep[0]) / source.clock_rate_hz,
        channels=source.channels,
        clock_rate_hz=source.clock_rate_hz,
        size_bytes=size,
    )


def _write_blocks(source: _Source, keep: tuple[int, int], path: Path) -> None:
    container, subtype = _format(source, keep[1] - keep[0])
    rate, channels = source.clock_rate_hz, source.channels
    with soundfile.SoundFile(path, "w", rate, channels, format=container, subtype=subtype) as file:
        at = 0
        for block in source.blocks():
            kept = block[max(0, keep[0] - at) : max(0, keep[1] - at)]
            # libsndfile 1.2.2 makes a two-channel MP3 6 dB too quiet from int16, but not from floating point.
            file.write(kept if container != "MP3" else kept.astype(np.float32) / 32768)
            at += len(block)


def _format(source: _Source, frames: int) -> tuple[str, str]:
    if source.plan.target.suffix == ".mp3":
        return "MP3", "MPEG_LAYER_III"
    large = frames * source.channels * 2 > _WAV_LIMIT_BYTES
    return ("RF64" if large else "WAV"), "PCM_16"


def _make_durable(partial: Path, target: Path) -> int:
    """Rename the file so that a power failure leaves either all of it or nothing; return its size."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
        size = os.fstat(file.fileno()).st_size
    partial.replace(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return size
