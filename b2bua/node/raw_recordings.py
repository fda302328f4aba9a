"""The raw files of recordings, kept beside the finished ones, and a note about each recording.

``RECORDINGS/.raw/RUN/`` belongs to one run of one node, which holds a lock on it for as long as it lives.
Next to the raw files of a recording is a note with all that is needed to finish it. The raw files are those
of a worker, or one of the relay and, if a worker took over, those of the worker too. A folder whose lock is
not held belongs to a node that has died; the next node that starts finishes the recordings in it.

Thread: the file thread, which keeps writes in order; ``open`` and ``folder`` are used before it starts.
"""

import contextlib
import fcntl
import logging
import os
import secrets
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from b2bua.calls.recording_placement import HOST_PART, RELAY_FILE
from b2bua.calls.recording_plan import PauseSpan, RecordingPlan
from b2bua.core.errors import ConfigError
from b2bua.core.ids import RecordingSid

__all__ = ["RawRecordings", "RecordingNote", "raw_files", "relay_file", "worker_part"]

log = logging.getLogger(__name__)

_RAW = ".raw"
_LOCK = "lock"
_STARTING_S = 60.0
"""A younger empty folder may belong to a node that is about to lock it."""


class RecordingNote(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to finish a recording and to report it."""

    recording: RecordingSid
    plan: RecordingPlan
    stem: str
    created_at: datetime
    began_at: datetime | None = None
    """Time of the first frame."""
    pauses: tuple[PauseSpan, ...] = ()
    worker_part_at_s: float | None = None
    """When a worker took over from the relay, in seconds since the first frame; None: it did not."""
    length_s: float | None = None
    """Time from the first frame to the last; None: not known."""
    reason: str = ""
    """What is missing from the recording."""
    duration_s: float | None = None
    """Known once the recording is made; 0: it is empty."""

    @property
    def path(self) -> Path:
        """The file of this note."""
        return Path(f"{self.stem}.json")


def raw_files(note: RecordingNote) -> tuple[Path, Path]:
    """Return the files of the parent and the child leg: a worker's, or made from those of the relay."""
    return Path(f"{note.stem}.parent.wav"), Path(f"{note.stem}.child.wav")


def relay_file(note: RecordingNote) -> Path:
    """Return the relay's raw file; it exists if the recording began there."""
    return Path(f"{note.stem}{RELAY_FILE}")


def worker_part(note: RecordingNote) -> tuple[Path, Path]:
    """Return the files of a worker that has taken over from the relay."""
    return Path(f"{note.stem}{HOST_PART}.parent.wav"), Path(f"{note.stem}{HOST_PART}.child.wav")


def _all_files(note: RecordingNote) -> tuple[Path, ...]:
    return (*raw_files(note), relay_file(note), *worker_part(note))


class RawRecordings:
    """The raw files and notes of this run, and access to those that dead nodes have left.

    Args:
        folder: folder of the finished recordings.
    """

    def __init__(self, folder: Path) -> None:
        self._root = folder / _RAW
        self._recordings = folder
        self.folder = self._root / secrets.token_hex(6)
        """The raw folder of this run."""
        self._lock = -1

    def open(self) -> None:
        """Create the folders, and lock the one of this run.

        Raises:
            ConfigError: recordings cannot be kept there.
        """
        try:
            self._recordings.mkdir(exist_ok=True, mode=0o700)  # recordings are private
            self._root.mkdir(exist_ok=True, mode=0o700)
            self.folder.mkdir(mode=0o700)
            self._lock = os.open(self.folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        except OSError as error:
            self._abandon()
            raise ConfigError(
                f"storage.recordings: recordings cannot be kept in {self._recordings}: {error.strerror}"
            ) from error

    def close(self) -> None:
        """Unlock the folder of this run, and delete it if it is empty."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
            _drop(self.folder)

    def _abandon(self) -> None:
        """Undo a partial ``open``."""
        with contextlib.suppress(OSError):
            self.close()
            _drop(self.folder)

    def write(self, note: RecordingNote) -> None:
        """Write a note, replacing the previous one. If that fails, a crash would lose this recording."""
        partial = note.path.with_suffix(".part")
        try:
            partial.write_bytes(msgspec.json.encode(note))
            partial.replace(note.path)
        except OSError as error:
            log.error(
                "recording note could not be written",
                extra={"recording": note.recording, "reason": error.strerror},
            )

    def forget(self, note: RecordingNote) -> None:
        """Delete the raw files and the note of a recording that is finished and reported."""
        try:
            for path in (*_all_files(note), note.path):
                path.unlink(missing_ok=True)
            if note.path.parent != self.folder:
                _drop(note.path.parent)
        except OSError as error:
            log.warning(
                "raw recording files could not be deleted",
                extra={"recording": note.recording, "reason": error.strerror},
            )

    def orphans(self) -> list[RecordingNote]:
        """Return the notes that dead nodes have left, oldest first."""
        found = [note for folder in self._abandoned() for note in _notes(folder)]
        return sorted(found, key=lambda note: note.created_at)

    def _abandoned(self) -> Iterator[Path]:
        for folder in self._root.iterdir():
            if folder == self.folder or not folder.is_dir() or not _is_free(folder / _LOCK):
                continue
            if any(folder.glob("RE*")):
                yield folder
            elif time.time() - folder.stat().st_mtime > _STARTING_S:
                _drop(folder)


def last_change(note: RecordingNote, target: Path) -> float:
    """Return the seconds since one of the recording's files was last written.

    A worker and the relay can outlive their node by a moment and still write.
    """
    newest = 0.0
    for path in (*_all_files(note), target.with_name(f".{target.name}.part")):
        try:
            newest = max(newest, path.stat().st_mtime)
        except OSError:
            continue
    return max(0.0, time.time() - newest)


def _notes(folder: Path) -> Iterator[RecordingNote]:
    noted = set()
    for path in folder.glob("RE*.json"):
        try:
            note = msgspec.json.decode(path.read_bytes(), type=RecordingNote)
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            log.exception("recording note cannot be read", extra={"path": str(path)})
            continue
        noted.add(note.recording)
        # The folder may have been moved with its contents.
        yield msgspec.structs.replace(note, stem=str(folder / note.recording))
    for path in sorted((*folder.glob("RE*.wav"), *folder.glob(f"RE*{RELAY_FILE}"))):
        if path.name.partition(".")[0] not in noted:
            log.error("a raw recording that nothing is known of", extra={"path": str(path)})


def _is_free(lock: Path) -> bool:
    try:
        held = os.open(lock, os.O_RDWR)
    except OSError:
        return True
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(held)
    return True


def _drop(folder: Path) -> None:
    """Remove a folder if it holds nothing but its lock."""
    if any(path.name != _LOCK for path in folder.iterdir()):
        return
    (folder / _LOCK).unlink(missing_ok=True)
    folder.rmdir()
