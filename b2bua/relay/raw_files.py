"""Writes raw files (``media.relay_file``) in a thread: a disk that hesitates must not stop audio."""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Final

from b2bua.relay.control import TapsBegun, TapsEnded
from media.relay_file import HEADER, MAGIC

__all__ = ["RawFiles"]

log = logging.getLogger(__name__)

_WAITING_MOST: Final = 64 << 20
"""Bytes that may wait for the disk."""

_Job = Callable[[], object]


class RawFiles:
    """The files of all recordings; ``tapping.Files``.

    Args:
        wake: called in the thread when ``results`` has something new.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.results: deque[TapsBegun | TapsEnded] = deque()
        """For the controller."""
        self._wake = wake
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._files: dict[str, int] = {}
        """Of the thread."""
        self._began_at: dict[str, float] = {}
        """Of the thread."""
        self._cut: set[str] = set()
        """Recordings whose last piece may have been written in part; of the thread."""
        self._failures: dict[str, str] = {}
        """Of the thread."""
        self._waiting = 0
        """Bytes that were handed over; changed by both threads, under the lock."""
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="raw-files", daemon=True)
        self._thread.start()

    def begin(self, recording: str, path: str, now: float) -> None:
        """See ``tapping.Files``."""
        self._jobs.put(lambda: self._begin(recording, path, now))

    def write(self, pieces: list[tuple[str, bytes]]) -> None:
        """See ``tapping.Files``. One job for all: each costs a change of threads."""
        size = sum(len(piece) for _, piece in pieces)
        with self._lock:
            full = self._waiting + size > _WAITING_MOST
            self._waiting += 0 if full else size
        if full:
            for recording, _ in pieces:
                self._jobs.put(partial(self._fail, recording, "the disk is too slow"))
        else:
            self._jobs.put(lambda: self._write_all(pieces, size))

    def end(self, recording: str, now: float) -> None:
        """See ``tapping.Files``."""
        self._jobs.put(lambda: self._end(recording, now))

    def close(self, within_s: float = 2.0) -> None:
        """Write what waits and end the thread, which is left behind if the disk does not answer in time."""
        self._jobs.put(None)
        self._thread.join(within_s)

    # -- in the thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:  # a failure with one file must not end the others
                log.exception("a recording is damaged")
        for descriptor in self._files.values():
            os.close(descriptor)

    def _begin(self, recording: str, path: str, now: float) -> None:
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._fail(recording, error.strerror or "cannot be opened")
        else:
            self._files[recording] = descriptor
            now = self._began_at[recording] = _beginning(descriptor) or now
            self._write(recording, HEADER.pack(MAGIC, now))
        self._say(TapsBegun(recording=recording, at=now))

    def _write_all(self, pieces: list[tuple[str, bytes]], size: int) -> None:
        for recording, piece in pieces:
            self._write(recording, piece)
        with self._lock:
            self._waiting -= size

    def _write(self, recording: str, piece: bytes) -> None:
        descriptor = self._files.get(recording)
        if descriptor is None:
            return
        if recording in self._cut:
            piece = HEADER.pack(MAGIC, self._began_at[recording]) + piece
        view = memoryview(piece)
        try:
            while view:
                view = view[os.write(descriptor, view) :]
            self._cut.discard(recording)
        except OSError as error:
            self._cut.add(recording)
            self._fail(recording, error.strerror or "cannot be written")

    def _fail(self, recording: str, reason: str) -> None:
        if recording not in self._failures:
            self._failures[recording] = reason
            log.error("a recording is incomplete", extra={"recording": recording, "reason": reason})

    def _end(self, recording: str, now: float) -> None:
        descriptor = self._files.pop(recording, None)
        self._began_at.pop(recording, None)
        self._cut.discard(recording)
        if descriptor is not None:
            os.close(descriptor)
        missing = "" if descriptor is not None else "it was not begun"
        self._say(TapsEnded(recording=recording, at=now, reason=self._failures.pop(recording, missing)))

    def _say(self, result: TapsBegun | TapsEnded) -> None:
        self.results.append(result)
        self._wake()


def _beginning(descriptor: int) -> float | None:
    """Time of the first header of a file that an earlier relay began."""
    head = os.pread(descriptor, HEADER.size, 0)
    if len(head) < HEADER.size:
        return None
    magic, at = HEADER.unpack(head)
    return float(at) if magic == MAGIC else None
