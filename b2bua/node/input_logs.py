"""Keeps the input logs of a node's sessions in files of its run folder, one for each session.

A log's file is written in the loop: appending a few hundred bytes to a file that is open does not wait for a
disk. Files are made, emptied and read in a thread. A file that a session leaves is used by another one.

Thread: the controller's loop.
"""

import hashlib
import logging
import os
import pickle
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from b2bua.node.disk import Disk
from b2bua.node.session_log import LogFile
from b2bua.settings import Settings

__all__ = ["FoundLog", "InputLogs", "boot_id", "code_id"]

log = logging.getLogger(__name__)

_SUFFIX = ".inputs"
_SPARE = 8
"""Empty files that are ready for the next sessions."""
_PACKAGE = Path(__file__).parents[1]
_DECIDING = ("core", "calls", "twiml", "node", "sip")
"""Those parts of the package that decide how a session goes on."""


def code_id() -> str:
    """Return what identifies the code that decides about calls; reads its files."""
    digest = hashlib.sha256()
    for part in _DECIDING:
        for path in sorted((_PACKAGE / part).glob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def boot_id() -> str:
    """Return what identifies this run of the machine, and so of its monotonic clock."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


class _Header(Protocol):
    @property
    def settings(self) -> str:
        """Identifies the settings of the log's session; empty: it has none."""


Header = TypeVar("Header", bound=_Header)
Step = TypeVar("Step")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLog(Generic[Header, Step]):
    """A log that an earlier run has left."""

    file: LogFile
    header: Header | None
    """None: it cannot be read."""
    steps: tuple[Step, ...]
    size: int
    """In bytes, up to the last whole step."""
    settings: Settings | None = None
    """Those of the session; None: they cannot be had."""


class _File:
    """The file of one session's log; until it is open, what is written waits."""

    def __init__(self, leave: Callable[[int], None], fd: int | None) -> None:
        self._leave = leave
        self._fd = fd
        self._waiting = bytearray()
        self._is_closed = False

    def opened(self, fd: int) -> None:
        """Use this file."""
        if self._is_closed:
            self._leave(fd)
            return
        self._fd = fd
        waiting, self._waiting = self._waiting, bytearray()
        self.write(waiting)

    def write(self, data: bytes | bytearray) -> None:
        """See ``LogFile``."""
        if self._fd is None:
            self._waiting += data
            return
        try:
            done = os.write(self._fd, data)
        except OSError as error:
            log.error("the input log of a call cannot be written", extra={"reason": error.strerror})
            self.close()
        else:
            if done < len(data):
                log.error("the input log of a call is not whole", extra={"reason": "no space"})
                self.close()

    def restart(self, data: bytes) -> None:
        """See ``LogFile``."""
        if self._fd is None:
            self._waiting = bytearray(data)
        else:
            os.ftruncate(self._fd, 0)
            self.write(data)

    def close(self) -> None:
        """See ``LogFile``."""
        self._is_closed = True
        fd, self._fd = self._fd, None
        if fd is not None:
            self._leave(fd)


class InputLogs(Generic[Header, Step]):
    """The input logs of one node. Without ``open``, none are kept.

    Args:
        read: reads a log: its header, its steps and their size; None: it is empty.
    """

    def __init__(self, read: Callable[[bytes], tuple[Header, list[Step], int] | None]) -> None:
        self._parse = read
        self._folder = Path()
        self._is_open = False
        self._disk = Disk("input logs")
        self._spare: deque[int] = deque()
        self._made = 0
        self._making = False
        self._settings: Settings | None = None
        self._settings_id = ""
        self.code = ""
        """See ``LogKeeper``."""
        self.boot = ""
        """See ``LogKeeper``."""

    async def open(self, folder: Path) -> list[FoundLog[Header, Step]]:
        """Keep logs in this private folder; returns those that an earlier run has left there."""
        found = await self._disk.soon(self._open, folder)
        self._is_open = True
        return found

    async def close(self) -> None:
        """Close the files; what is in them stays."""
        self._is_open = False
        await self._disk.soon(self._close_spare)

    def settings_id(self, settings: Settings) -> str:
        """See ``LogKeeper``."""
        if not self._is_open:
            return ""
        if settings is not self._settings:
            data = pickle.dumps(settings)
            self._settings, self._settings_id = settings, hashlib.sha256(data).hexdigest()[:16]
            self._disk.later(partial(_write_private, self._folder / f"settings-{self._settings_id}", data))
        return self._settings_id

    def new_file(self) -> LogFile | None:
        """See ``LogKeeper``."""
        if not self._is_open:
            return None
        fd = self._spare.popleft() if self._spare else None
        file = _File(self._leave, fd)
        if fd is None:
            opening = self._disk.soon(self._make)
            opening.add_done_callback(lambda made: None if made.cancelled() else file.opened(made.result()))
        elif len(self._spare) < _SPARE // 2 and not self._making:
            self._making = True
            self._disk.later(self._fill)
        return file

    # -- in the file thread -------------------------------------------------------------------------

    def _open(self, folder: Path) -> list[FoundLog[Header, Step]]:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self.code, self.boot = code_id(), boot_id()
        found = [
            each for path in sorted(folder.glob(f"*{_SUFFIX}")) if (each := self._read(path)) is not None
        ]
        used = {each.header.settings for each in found if each.header is not None}
        for path in folder.glob("settings-*"):
            if path.name.removeprefix("settings-") not in used:
                path.unlink(missing_ok=True)
        self._fill()
        return found

    def _read(self, path: Path) -> FoundLog[Header, Step] | None:
        """Read a log; a file without one becomes a spare one."""
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        data = path.read_bytes()
        file = _File(self._leave, fd)
        try:
            read = self._parse(data)
        except (ValueError, msgspec.MsgspecError) as error:
            log.error("an input log cannot be read", extra={"path": str(path), "reason": str(error)})
            return FoundLog(file=file, header=None, steps=(), size=len(data))
        if read is None:
            self._empty(fd)
            return None
        header, steps, size = read
        if size < len(data):
            os.ftruncate(fd, size)
        settings = _read_settings(path.with_name(f"settings-{header.settings}")) if header.settings else None
        return FoundLog(file=file, header=header, steps=tuple(steps), size=size, settings=settings)

    def _make(self) -> int:
        self._made += 1
        path = self._folder / f"{os.getpid()}-{self._made}{_SUFFIX}"
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _fill(self) -> None:
        while len(self._spare) < _SPARE:
            self._spare.append(self._make())
        self._making = False

    def _leave(self, fd: int) -> None:
        self._disk.later(partial(self._empty, fd))

    def _empty(self, fd: int) -> None:
        os.ftruncate(fd, 0)
        self._spare.append(fd)

    def _close_spare(self) -> None:
        while self._spare:
            os.close(self._spare.popleft())


def _write_private(path: Path, data: bytes) -> None:
    partial_path = path.with_suffix(".part")
    try:
        with open(os.open(partial_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
        partial_path.replace(path)
    except OSError as error:
        log.error("the settings of calls cannot be kept", extra={"reason": error.strerror})


def _read_settings(path: Path) -> Settings | None:
    """Read settings that this user's node has written; the folder is private."""
    try:
        settings = pickle.loads(path.read_bytes())
    except Exception as error:  # whatever other code has made of it
        log.error("the settings of a call cannot be read", extra={"reason": type(error).__name__})
        return None
    return settings if isinstance(settings, Settings) else None
