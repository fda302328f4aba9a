"""The two sides of a recording, put together from the relay's raw file and from what a worker recorded.

The result is two mono WAVs of one length that begin at the recording's start (time 0), as ``media.merge``
takes them. A side is silent where nothing came from it. What came twice, late or in the wrong order is where
it belongs (``media.rtp_places``), so neither side ever shifts against the other.

The files are written in the order of the raw file, a few seconds of sound at a time, and are sparse where a
side is silent for long. Memory: less than 100 MB, whatever the length. Thread: any except that of an event
loop.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import soundfile

from media.g711 import decode
from media.recording import RecordingError, complete_header, has_sound
from media.relay_file import CHILD, PARENT
from media.relay_packets import LONGEST_S, Packets, packets
from media.rtp_places import places

__all__ = ["CLOCK_RATE_HZ", "TracksPlan", "WorkerPart", "write_tracks"]

CLOCK_RATE_HZ: Final = 8000
"""That of G.711."""

_Samples = npt.NDArray[np.int16]

_PACKETS_AT_ONCE: Final = 500_000
"""Placed at once; each such part has anchors of its own. An hour of both sides has 360,000."""
_GROUP: Final = 8192
"""Packets that are read, decoded and written at once."""
_GROUP_BYTES: Final = 1 << 24
_NEAR_SAMPLES: Final = CLOCK_RATE_HZ // 4
"""Packets no further apart are written together, with the silence between them."""
_HEADER: Final = struct.Struct("<4sI8sIHHIIHH4sI")
_BLOCK_FRAMES: Final = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPart:
    """A part of the recording that a worker made; it holds instead of the relay's for as long as it lasts."""

    parent: Path
    child: Path
    """Mono, PCM 16 bit, 8000 Hz, begun in the same frame; a missing file counts as silence."""
    at_s: float | None
    """When it began, in seconds since the recording's start. None: where the relay's part ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracksPlan:
    """What two tracks are made of, and where they go."""

    relay: Path
    """The relay's raw file."""
    parent: Path
    child: Path
    part: WorkerPart | None = None
    length_s: float | None = None
    """Length of the recording; None: not known, so that it ends with its last sound."""


def write_tracks(plan: TracksPlan) -> None:
    """Make the two tracks, which are empty if nothing was recorded at all. A repetition has the same result.

    Raises:
        RecordingError: a source is not what it should be, or a track could not be written.
    """
    try:
        with _Track(plan.parent) as parent, _Track(plan.child) as child:
            tracks = {PARENT: parent, CHILD: child}
            if plan.relay.exists():
                _add_relay(plan.relay, tracks)
            if plan.part is not None:
                ends = max(track.frames for track in tracks.values())
                first = ends if plan.part.at_s is None else round(plan.part.at_s * CLOCK_RATE_HZ)
                parent.add_file(plan.part.parent, first)
                child.add_file(plan.part.child, first)
            frames = max(parent.frames, child.frames)
            if plan.length_s is not None and (frames or _has_content(plan.relay)):
                frames = round(min(max(plan.length_s, 0.0), LONGEST_S) * CLOCK_RATE_HZ)
            for track in tracks.values():
                track.complete(frames)
    except OSError as error:
        raise RecordingError(f"{plan.parent}: could not be written: {error.strerror}") from error


def _has_content(path: Path) -> bool:
    """Return whether the relay could write: two parties may have been silent all the time."""
    return path.exists() and path.stat().st_size > 0


# -- the relay's packets ----------------------------------------------------------------------------------


def _add_relay(path: Path, tracks: dict[int, "_Track"]) -> None:
    with path.open("rb") as file:
        for part in packets(path, _PACKETS_AT_ONCE):
            starts = np.empty(len(part), np.int64)
            for side in tracks:
                ours = np.flatnonzero(part["side"] == side)
                starts[ours] = places(
                    part["at"][ours],
                    part["ssrc"][ours],
                    part["timestamp"][ours],
                    CLOCK_RATE_HZ,
                    sequence=part["sequence"][ours],
                    samples=part["length"][ours],
                )
            for group in _groups(part):
                _add_group(file, part[group], starts[group], tracks)


def _groups(part: Packets) -> Iterator[slice]:
    """Split packets so that the payloads of a group are near each other in the file."""
    ends = part["payload_at"] + part["length"]
    first = 0
    while first < len(part):
        limit = int(np.searchsorted(ends, part["payload_at"][first] + _GROUP_BYTES, side="right"))
        end = max(first + 1, min(first + _GROUP, limit))
        yield slice(first, end)
        first = end


def _add_group(
    file: BinaryIO, group: Packets, starts: npt.NDArray[np.int64], tracks: dict[int, "_Track"]
) -> None:
    base = int(group["payload_at"][0])
    size = int(group["payload_at"][-1] + group["length"][-1]) - base
    file.seek(base)
    block = np.frombuffer(file.read(size), np.uint8)
    kinds = (
        group["side"].astype(np.int64) << 24 | group["payload_type"].astype(np.int64) << 16 | group["length"]
    )
    for kind in np.unique(kinds).tolist():
        ours = np.flatnonzero(kinds == kind)
        windows = np.lib.stride_tricks.sliding_window_view(block, kind & 0xFFFF)
        codes = windows[group["payload_at"][ours] - base]
        tracks[kind >> 24].add(starts[ours], decode(kind >> 16 & 0xFF, codes))


# -- the tracks -------------------------------------------------------------------------------------------


class _Track:
    """A WAV into which sound is put in any order, at any place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w+b")
        self.frames = 0
        """Where the sound ends so far."""

    def __enter__(self) -> "_Track":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, starts: npt.NDArray[np.int64], rows: _Samples) -> None:
        """Put sounds of one length, int16[n, length], each at its own frame."""
        by_place = np.argsort(starts, kind="stable")
        starts, rows = starts[by_place], rows[by_place]
        length = rows.shape[1]
        for near in np.split(
            np.arange(len(starts)), np.flatnonzero(np.diff(starts) > length + _NEAR_SAMPLES) + 1
        ):
            first = int(starts[near[0]])
            sound = self._read(first, int(starts[near[-1]]) + length - first)
            windows = np.lib.stride_tricks.sliding_window_view(sound, length, writeable=True)
            windows[starts[near] - first] = rows[near]
            self._write(first, sound)

    def add_file(self, path: Path, first: int) -> None:
        """Put the sound of a worker's raw file at a frame."""
        if not has_sound(path):
            return
        complete_header(path)
        try:
            with soundfile.SoundFile(path) as source:
                if source.samplerate != CLOCK_RATE_HZ:
                    raise RecordingError(f"{path}: recorded at {source.samplerate} Hz")
                for block in source.blocks(_BLOCK_FRAMES, dtype="int16"):
                    self._write(first, block)
                    first += len(block)
        except soundfile.SoundFileError as error:
            raise RecordingError(f"{path}: {error}") from error

    def complete(self, frames: int) -> None:
        """Make the track ``frames`` long, and write its header."""
        size = frames * 2
        self._file.truncate(_HEADER.size + size)
        self._file.seek(0)
        rate = CLOCK_RATE_HZ
        self._file.write(
            _HEADER.pack(b"RIFF", size + 36, b"WAVEfmt ", 16, 1, 1, rate, rate * 2, 2, 16, b"data", size)
        )
        self._file.flush()

    def _read(self, first: int, count: int) -> _Samples:
        """Return what is there so far, with silence before the first and after the last frame."""
        sound = np.zeros(count, np.int16)
        skipped = max(0, -first)
        if skipped < count and first + skipped < self.frames:
            self._file.seek(_HEADER.size + (first + skipped) * 2)
            found = np.frombuffer(self._file.read((count - skipped) * 2), "<i2")
            sound[skipped : skipped + len(found)] = found
        return sound

    def _write(self, first: int, sound: _Samples) -> None:
        if first < 0:
            first, sound = 0, sound[-first:]
        if not len(sound):
            return
        self._file.seek(_HEADER.size + first * 2)
        self._file.write(sound.astype("<i2", copy=False).tobytes())
        self.frames = max(self.frames, first + len(sound))
