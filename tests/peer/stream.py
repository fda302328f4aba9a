"""SIP over TCP and TLS: connections both ways, and framing by Content-Length."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable

from .ladder import Address

Tls = tuple[ssl.SSLContext, ssl.SSLContext]
"""TLS contexts for incoming and for outgoing connections."""

LENGTH = re.compile(rb"^(?:Content-Length|l)[ \t]*:[ \t]*(\d+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


class Streams:
    """A listening socket and all connections; each is used in both directions (RFC 3261 §18)."""

    def __init__(self, received: Callable[[bytes, Address], None], tls: Tls | None = None) -> None:
        self._received = received
        self._tls: Tls | tuple[None, None] = tls or (None, None)
        self._writers: dict[Address, asyncio.StreamWriter] = {}
        self._waiting: dict[Address, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def open(self, host: str) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._come, host, 0, ssl=self._tls[0])
        self.port = int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> list[Address]:
        """The far ends of all open connections."""
        return list(self._writers)

    def send(self, data: bytes, address: Address) -> None:
        """Send over the connection with this far end; without one, open one."""
        writer = self._writers.get(address)
        if writer is not None and not writer.is_closing():
            writer.write(data)
        elif address in self._waiting:
            self._waiting[address].append(data)
        else:
            self._waiting[address] = [data]
            task = asyncio.create_task(self._connect(address))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def drop(self, address: Address) -> None:
        """Cut a connection."""
        self._writers[address].transport.abort()

    async def close(self) -> None:
        """Close the socket and all connections."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers.values():
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, address: Address) -> None:
        try:
            reader, writer = await asyncio.open_connection(*address, ssl=self._tls[1])
        except OSError:
            self._waiting.pop(address)  # what waits for an answer tells the test
            return
        for data in self._waiting.pop(address):
            writer.write(data)
        await self._read(reader, writer, address)

    async def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        host, port = writer.get_extra_info("peername")[:2]
        await self._read(reader, writer, (host, port))

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: Address
    ) -> None:
        self._writers[address] = writer
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.strip():
                    writer.write(b"\r\n")  # RFC 5626 §3.5.1: pong
                    continue
                length = LENGTH.search(head)
                # RFC 3261 §18.3: over a stream there must be one.
                body = await reader.readexactly(int(length[1])) if length else b""
                self._received(head.lstrip(b"\r\n") + body, address)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # closed
        finally:
            if self._writers.get(address) is writer:
                del self._writers[address]
            writer.close()
