"""A cache of finished prompts: files in a folder of limited size.

A file's name is derived from its source, so that the same prompt is found again, even after a restart. The
least recently used files are deleted first; a file used within the last minute stays, since it may be about
to be played.

Thread: the file thread; ``path`` and ``duration_s`` may be called from any thread.
"""

import contextlib
import os
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PromptFiles"]

_IN_USE_S = 60.0
_WAV_HEADER = 44


@dataclass(slots=True)
class _File:
    size: int
    used_at: float


class PromptFiles:
    """A cache of prompt files that evicts the least recently used ones.

    Args:
        folder: created if missing; files in it are adopted.
        max_bytes: limit for the size of all files together.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._bytes = 0
        self._files: OrderedDict[str, _File] = OrderedDict()

    def open(self) -> None:
        """Create the folder, or adopt the files in it.

        Raises:
            OSError: the folder cannot be created or read.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        found = []
        for entry in os.scandir(self._folder):
            if entry.name.endswith(".wav"):
                found.append((entry.stat().st_mtime, entry.name, entry.stat().st_size))
            elif entry.name.endswith(".part"):  # left by a node that was killed
                os.unlink(entry.path)
        for _, name, size in sorted(found):
            self._put(name, size, -_IN_USE_S)
        self._evict()

    def path(self, name: str) -> Path:
        """Return the path at which to make the file ``name``; temporary names end in ``.part``."""
        return self._folder / name

    def use(self, name: str) -> Path | None:
        """Return the file's path and mark it as used; None if the file does not exist."""
        file, path = self._files.get(name), self._folder / name
        if file is None:
            return None
        try:
            os.utime(path)
        except OSError:  # the file was deleted from outside
            self._forget(name)
            return None
        file.used_at = time.monotonic()
        self._files.move_to_end(name)
        return path

    def made(self, name: str) -> Path:
        """Add a file that has been made; returns its path."""
        path = self._folder / name
        self._put(name, path.stat().st_size, time.monotonic())
        self._evict()
        return path

    def duration_s(self, name: str, clock_rate_hz: int) -> float:
        """Return the duration of an existing file (mono, 16 bit)."""
        return max(0, self._files[name].size - _WAV_HEADER) / 2 / clock_rate_hz

    def _put(self, name: str, size: int, used_at: float) -> None:
        self._forget(name)
        self._files[name] = _File(size, used_at)
        self._bytes += size

    def _forget(self, name: str) -> None:
        if (file := self._files.pop(name, None)) is not None:
            self._bytes -= file.size

    def _evict(self) -> None:
        now = time.monotonic()
        while self._bytes > self._max_bytes:
            name, file = next(iter(self._files.items()))
            if now - file.used_at < _IN_USE_S:
                return
            self._forget(name)
            with contextlib.suppress(OSError):
                os.unlink(self._folder / name)
