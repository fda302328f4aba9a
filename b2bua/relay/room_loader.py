"""What rooms need beside packets: the mixing desk, and sounds from files. Both are had in a thread.

Importing numpy takes longer than audio may wait, and a disk may hesitate.
"""

import logging
import os
import threading
import wave
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Final

from b2bua.relay.seat import FRAME, Desk

__all__ = ["FileSound", "RoomLoader"]

log = logging.getLogger(__name__)

_RATE: Final = 8000
_BYTES: Final = 2 * FRAME
_PIECE: Final = 250
"""Frames (5 s) that are read at once."""
_LOW: Final = 100
"""So few frames (2 s) in hand, more are read."""


class FileSound:
    """A mono 16-bit WAV at 8 kHz, read some seconds ahead.

    Args:
        path: the file.
        do: has a job done in the thread.
    """

    def __init__(self, path: str, do: Callable[[Callable[[], None]], None]) -> None:
        self.failure = ""
        """Why it cannot be played; empty: it can, as far as is known."""
        self._path = path
        self._do = do
        self._frames: deque[bytes] = deque()
        self._file: wave.Wave_read | None = None
        self._read_all = False
        self._reading = True
        do(self._read)

    def next(self) -> bytes | None:
        """Return the next frame, the last with fewer bytes than others; None: it has not been read yet."""
        frames = self._frames
        if len(frames) < _LOW and not self._reading and not self._read_all:
            self._reading = True
            self._do(self._read)
        try:
            return frames.popleft()
        except IndexError:
            return None

    @property
    def over(self) -> bool:
        """Nothing is left to play."""
        return self._read_all and not self._frames

    def close(self) -> None:
        """Read no more."""
        self._read_all = True
        self._do(self._close)

    # -- in the thread --------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            if self._file is None:
                self._file = _opened(self._path)
            data = self._file.readframes(_PIECE * FRAME)
        except Exception as error:  # whatever is in the file
            self.failure = getattr(error, "strerror", None) or str(error) or "the file is cut"
            data = b""
        self._frames.extend(data[at : at + _BYTES] for at in range(0, len(data) & ~1, _BYTES))
        if len(data) < _PIECE * _BYTES:
            self._close()
        self._reading = False

    def _close(self) -> None:
        self._read_all = True
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None


def _opened(path: str) -> wave.Wave_read:
    file = wave.open(path, "rb")
    if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, _RATE):
        file.close()
        raise wave.Error("not mono, 16 bit and 8000 Hz")
    return file


class RoomLoader:
    """See ``rooms.RoomLoader``; its thread begins when it is needed."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._desk: Desk | None = None
        self._asked = False

    def desk(self) -> Desk | None:
        """Return the mixing desk; None: it is being made."""
        if not self._asked:
            self._asked = True
            self._do(self._make_desk)
        return self._desk

    def sound(self, path: str) -> FileSound:
        """Begin to read a sound."""
        return FileSound(path, self._do)

    def _do(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="room loader", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, 0, 0)  # of this thread, which is not to delay the relay's
        while True:
            job = self._jobs.get()
            try:
                job()
            except Exception:  # a sound that fails must not end the others
                log.exception("a room lacks something")

    def _make_desk(self) -> None:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each of its threads costs memory
        from b2bua.relay.mixing import MixingDesk

        self._desk = MixingDesk()
