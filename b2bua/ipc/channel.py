"""Channels between the processes of one node: msgspec structs as msgpack, each preceded by a 4-byte length.

Both ends are ours, so a frame that does not decode is a bug, not bad input; the size limit only keeps such a
bug from exhausting memory.
"""

import socket
import struct
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from b2bua.core.errors import LocalStateError

if TYPE_CHECKING:  # a relay that is started again has no time to import it
    import asyncio

__all__ = ["BlockingChannel", "Channel", "encode_frames"]

MAX_FRAME = 1 << 20
_LENGTH = struct.Struct(">I")
_ENCODER = msgspec.msgpack.Encoder()

In = TypeVar("In")


def encode_frames(messages: Iterable[msgspec.Struct]) -> bytes:
    """Encode ``messages`` as one piece for a single write."""
    parts: list[bytes] = []
    for message in messages:
        body = _ENCODER.encode(message)
        parts.append(_LENGTH.pack(len(body)))
        parts.append(body)
    return b"".join(parts)


class _Splitter(Generic[In]):
    """Decodes whole messages from bytes that arrive in arbitrary pieces."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[In]) -> None:
        self._decoder = decoder
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[In]:
        self._buffer += data
        start = 0
        try:
            while len(self._buffer) - start >= 4:
                (length,) = _LENGTH.unpack_from(self._buffer, start)
                if length > MAX_FRAME:
                    raise LocalStateError(f"oversized IPC frame: {length} bytes")
                end = start + 4 + length
                if len(self._buffer) < end:
                    break
                body = bytes(self._buffer[start + 4 : end])
                start = end
                yield self._decoder.decode(body)
        finally:
            del self._buffer[:start]


class Channel(Generic[In]):
    """One end on an asyncio loop: ``async for message in channel`` until the other end is gone.

    Thread: the loop's.
    """

    def __init__(
        self,
        reader: "asyncio.StreamReader",
        writer: "asyncio.StreamWriter",
        decoder: msgspec.msgpack.Decoder[In],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._splitter = _Splitter(decoder)

    def send(self, *messages: msgspec.Struct) -> None:
        """Queue ``messages`` in order. If the other end is gone they are lost; the reader detects that."""
        if not self._writer.is_closing():
            self._writer.write(encode_frames(messages))

    async def __aiter__(self) -> AsyncIterator[In]:
        """Yield messages as they arrive; ends when the other side closes."""
        while True:
            try:
                data = await self._reader.read(65536)
            except ConnectionError:
                return
            if not data:
                return
            for message in self._splitter.feed(data):
                yield message

    def close(self) -> None:
        """Close our end; what was sent is still delivered."""
        self._writer.close()


class BlockingChannel(Generic[In]):
    """One end without a loop, on a non-blocking socket that the owner polls.

    Thread: one, the owner's.
    """

    def __init__(self, sock: socket.socket, decoder: msgspec.msgpack.Decoder[In]) -> None:
        self.socket = sock
        self.closed = False
        sock.setblocking(False)
        self._splitter = _Splitter(decoder)
        self._unsent = bytearray()

    def receive(self) -> list[In]:
        """Return the messages that have arrived; sets ``closed`` when the other end is gone."""
        messages: list[In] = []
        while not self.closed:
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.closed = True
                break
            messages.extend(self._splitter.feed(data))
            if len(data) < 65536:
                break
        return messages

    def send(self, messages: Iterable[msgspec.Struct]) -> None:
        """Write ``messages``; the next call of send or flush retries what the socket does not take now."""
        self._unsent += encode_frames(messages)
        self.flush()

    def flush(self) -> None:
        """Retry writing the unsent bytes."""
        while self._unsent and not self.closed:
            try:
                sent = self.socket.send(self._unsent)
            except BlockingIOError:
                return
            except OSError:
                self.closed = True
                return
            del self._unsent[:sent]
