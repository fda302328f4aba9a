"""The thread that writes the relay's raw files: begun once, goes on after a disk that was full."""

import errno
import os
from pathlib import Path

import pytest

from b2bua.relay.control import TapsBegun, TapsEnded
from b2bua.relay.raw_files import RawFiles
from media.relay_file import HEADER, MAGIC
from media.relay_packets import packets
from tests.unit.media.relay_files import BEGAN_AT, Packet, piece

pytestmark = pytest.mark.unit


def some(first: int, count: int = 5) -> bytes:
    return piece(
        Packet(number * 0.02, 9, number * 160, number, bytes([number]) * 160)
        for number in range(first, first + count)
    )


def sequences(path: Path) -> list[int]:
    return [int(number) for part in packets(path, 1 << 20) for number in part["sequence"]]


class Disk:
    """Has room for so many bytes; None: for all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room: int | None = None
        self._write = os.write
        monkeypatch.setattr("b2bua.relay.raw_files.os.write", self.write)

    def write(self, descriptor: int, data: bytes) -> int:
        if self.room is None:
            return self._write(descriptor, data)
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._write(descriptor, data[: self.room])
        self.room -= written
        return written


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "RE1.rtp"
    files = RawFiles(lambda: None)
    files.begin("RE1", str(path), BEGAN_AT)
    files.write([("RE1", some(0))])
    files.end("RE1", BEGAN_AT + 9.0)
    files.close()
    assert sequences(path) == [0, 1, 2, 3, 4]
    assert list(files.results) == [
        TapsBegun(recording="RE1", at=BEGAN_AT),
        TapsEnded(recording="RE1", at=BEGAN_AT + 9.0),
    ]


def test_a_second_relay_goes_on_with_the_first_ones_time(tmp_path: Path) -> None:
    path = tmp_path / "RE1.rtp"
    path.write_bytes((HEADER.pack(MAGIC, BEGAN_AT) + some(0))[:-50])
    files = RawFiles(lambda: None)
    files.begin("RE1", str(path), BEGAN_AT + 7.0)
    files.write([("RE1", some(5))])
    files.end("RE1", BEGAN_AT + 9.0)
    files.close()
    assert files.results[0] == TapsBegun(recording="RE1", at=BEGAN_AT)
    assert sequences(path) == [0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_what_comes_after_a_full_disk_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    path = tmp_path / "RE1.rtp"
    files = RawFiles(lambda: None)
    files.begin("RE1", str(path), BEGAN_AT)
    files.write([("RE1", some(0))])
    files._jobs.put(lambda: setattr(disk, "room", 200))  # one record and a piece of the next
    files.write([("RE1", some(5))])
    files.write([("RE1", some(10))])
    files._jobs.put(lambda: setattr(disk, "room", None))
    files.write([("RE1", some(15))])
    files.write([("RE1", some(20))])
    files.end("RE1", BEGAN_AT + 9.0)
    files.close()
    assert files.results[-1] == TapsEnded(
        recording="RE1", at=BEGAN_AT + 9.0, reason="No space left on device"
    )
    assert sequences(path) == [*range(6), *range(15, 25)]


def test_a_file_that_cannot_be_opened_is_told_at_the_end(tmp_path: Path) -> None:
    files = RawFiles(lambda: None)
    files.begin("RE1", str(tmp_path / "none" / "RE1.rtp"), BEGAN_AT)
    files.write([("RE1", some(0))])
    files.end("RE1", BEGAN_AT + 9.0)
    files.close()
    assert [type(result) for result in files.results] == [TapsBegun, TapsEnded]
    assert files.results[-1].reason == "No such file or directory"  # type: ignore[union-attr]
