"""A connection between two ends in memory, with the parts of asyncio's streams that a channel uses."""

import asyncio
from typing import cast

import msgspec

from b2bua.ipc.channel import encode_frames

__all__ = ["End", "pipe"]


class _Writer:
    """Feeds what is written to the reader at the other end."""

    def __init__(self, other: asyncio.StreamReader) -> None:
        self._other = other
        self.closed = False

    def write(self, data: bytes) -> None:
        self._other.feed_data(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._other.feed_eof()


class End:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, other: asyncio.StreamReader) -> None:
        self.reader = reader
        self._writer = _Writer(other)

    @property
    def writer(self) -> asyncio.StreamWriter:
        """The writer, as code under test expects it."""
        return cast(asyncio.StreamWriter, self._writer)

    def send(self, *messages: msgspec.Struct) -> None:
        """Write ``messages`` in one piece."""
        self._writer.write(encode_frames(messages))

    def close(self) -> None:
        """Close this end."""
        self._writer.close()

    @property
    def is_closed(self) -> bool:
        """Whether this end was closed."""
        return self._writer.closed


def pipe() -> tuple[End, End]:
    """Return the two ends of a connection."""
    one, other = asyncio.StreamReader(), asyncio.StreamReader()
    return End(one, other), End(other, one)
