"""The prompts that were made, as files in a folder that does not grow beyond its limit.

A file's name says what it was made of, so whoever wants the same again finds it, after a restart too. The
least recently used go first; what was used within the last minute stays: somebody may be about to play it.

Thread: one for files; ``path`` and ``duration_s`` may be asked from any.
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
    """See the module's docstring.

    Args:
        folder: made if it is not there; what it holds is taken over.
        max_bytes: of all files.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._bytes = 0
        self._files: OrderedDict[str, _File] = OrderedDict()

    def open(self) -> None:
        """See what is there.

        Raises:
            OSError: the folder cannot be made or read.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        found = []
        for entry in os.scandir(self._folder):
            if entry.name.endswith(".wav"):
                found.append((entry.stat().st_mtime, entry.name, entry.stat().st_size))
            elif entry.name.endswith(".part"):  # of a node that was killed
                os.unlink(entry.path)
        for _, name, size in sorted(found):
            self._put(name, size, -_IN_USE_S)
        self._evict()

    def path(self, name: str) -> Path:
        """Where the file of this name is to be made; temporary ones end in ``.part``."""
        return self._folder / name

    def use(self, name: str) -> Path | None:
        """The file if it is there."""
        file, path = self._files.get(name), self._folder / name
        if file is None:
            return None
        try:
            os.utime(path)
        except OSError:  # somebody has emptied the folder
            self._forget(name)
            return None
        file.used_at = time.monotonic()
        self._files.move_to_end(name)
        return path

    def made(self, name: str) -> Path:
        """The file has come to be."""
        path = self._folder / name
        self._put(name, path.stat().st_size, time.monotonic())
        self._evict()
        return path

    def duration_s(self, name: str, clock_rate_hz: int) -> float:
        """Of a file that is there, mono and 16 bit."""
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
