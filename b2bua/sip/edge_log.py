"""The edge's log of its legs, from which the next edge process makes them again.

A file in the run folder to which a leg's whole state is appended whenever it has changed, in the step in
which it changes. It outlives the process, not the machine: nothing waits for a disk. Once it is much longer
than what stands, it is written anew.
Thread: the edge's loop.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from b2bua.core.admission import Origin
from b2bua.core.ids import WorkerId
from b2bua.ipc.channel import encode_frames
from b2bua.sip.dialog_records import DialogRecord
from b2bua.sip.media_paths import LegMedia

__all__ = ["EdgeLog", "LoggedLeg", "SessionOver"]

_SLACK_BYTES: Final = 4 << 20
"""The file may have so much more than twice what stands."""
_LENGTH_BYTES: Final = 4


class LoggedLeg(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A leg as it is now; it replaces what was said of it before. With neither of the two it is over."""

    worker: WorkerId
    call_id: str
    record: DialogRecord | None
    media: LegMedia | None
    sip_port: int = 0
    """The worker's."""
    origin: Origin | None = None
    """Of the call that the worker was given; None: it was given none."""
    hops: int | None = None
    """Max-Forwards of that call."""


class SessionOver(msgspec.Struct, frozen=True, tag=True):
    """All legs of a worker are over."""

    worker: WorkerId


class EdgeLog:
    """One edge's log.

    Args:
        path: of the file; an earlier edge's is read and replaced.

    Raises:
        OSError: it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._legs: dict[WorkerId, dict[str, bytes]] = {}
        """What stands: each leg's last entry."""
        self._standing = self._length = 0
        self._fd = -1
        self.found = self._read()
        """The legs of the edge before."""
        self._write_anew()

    def append(self, entries: Iterable[LoggedLeg | SessionOver]) -> None:
        """Note what has changed."""
        data = b"".join(self._note(entry, encode_frames([entry])) for entry in entries)
        if not data:
            return
        os.write(self._fd, data)
        self._length += len(data)
        if self._length > 2 * self._standing + _SLACK_BYTES:
            self._write_anew()

    def _note(self, entry: LoggedLeg | SessionOver, data: bytes) -> bytes:
        legs = self._legs.get(entry.worker, {})
        if isinstance(entry, SessionOver):
            for gone in self._legs.pop(entry.worker, {}).values():
                self._standing -= len(gone)
            return data if legs else b""
        before = legs.pop(entry.call_id, b"")
        self._standing -= len(before)
        if entry.record is not None or entry.media is not None:
            self._legs.setdefault(entry.worker, {})[entry.call_id] = data
            self._standing += len(data)
        return data

    def _read(self) -> list[LoggedLeg]:
        decoder = msgspec.msgpack.Decoder(LoggedLeg | SessionOver)
        found: dict[WorkerId, dict[str, LoggedLeg]] = {}
        data = self._path.read_bytes() if self._path.exists() else b""
        start = 0
        while (end := start + _LENGTH_BYTES) <= len(data):
            end += int.from_bytes(data[start:end], "big")
            if end > len(data):
                break  # the edge died while it wrote this one
            entry = decoder.decode(data[start + _LENGTH_BYTES : end])
            self._note(entry, data[start:end])
            if isinstance(entry, SessionOver):
                found.pop(entry.worker, None)
            else:
                found.setdefault(entry.worker, {})[entry.call_id] = entry
            start = end
        legs = [leg for legs in found.values() for leg in legs.values()]
        return [leg for leg in legs if leg.record is not None or leg.media is not None]

    def _write_anew(self) -> None:
        part = self._path.with_suffix(".part")
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        data = b"".join(entry for legs in self._legs.values() for entry in legs.values())
        os.write(self._fd, data)
        self._length = self._standing = len(data)
        part.replace(self._path)
