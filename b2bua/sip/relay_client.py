"""The edge's connection to the relay, which is opened again whenever the relay has been restarted.

What is sent while there is no connection is lost here; the caller repeats all that holds when there is one.
Thread: the edge's loop.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, cast

import msgspec

from b2bua.ipc.channel import Channel
from b2bua.relay.control import ToEdge

__all__ = ["RelayClient"]

log = logging.getLogger(__name__)

_PAUSES_S: Final = (0.02, 0.05, 0.1, 0.2)
"""Pauses between attempts; the last repeats. Calls without audio wait for us, and an attempt costs little."""


class RelayClient:
    """One connection at a time.

    Args:
        path: the relay's Unix socket.
        hello: returns the first messages of each connection.
        receive: called with each message of the relay's.
    """

    def __init__(
        self, path: str, hello: Callable[[], Sequence[msgspec.Struct]], receive: Callable[[ToEdge], None]
    ) -> None:
        self._path = path
        self._hello = hello
        self._receive = receive
        self._channel: Channel[ToEdge] | None = None

    def send(self, message: msgspec.Struct) -> None:
        """Send a message to the relay that is connected now."""
        if self._channel is not None:
            self._channel.send(message)

    async def run(self) -> None:
        """Stay connected; never returns."""
        attempts = 0
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._path)
            except OSError:
                await asyncio.sleep(_PAUSES_S[min(attempts, len(_PAUSES_S) - 1)])
                attempts += 1
                continue
            attempts = 0
            try:
                await self._serve(reader, writer)
            finally:
                self._channel = None
                writer.close()
            log.warning("the relay is gone")
            await asyncio.sleep(_PAUSES_S[0])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = msgspec.msgpack.Decoder(ToEdge)
        self._channel = channel = cast(Channel[ToEdge], Channel(reader, writer, decoder))
        channel.send(*self._hello())
        async for message in channel:
            self._receive(message)
