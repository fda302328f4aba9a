"""The controller's side of the fork server: starts it, orders workers from it, restarts it when it dies.

Thread: the controller's loop.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import cast

import msgspec

from b2bua.core.errors import B2buaError
from b2bua.core.ids import WorkerId
from b2bua.engine.protocol import (
    ForkServerReady,
    FromForkServer,
    KillChild,
    SpawnWorker,
    WorkerExited,
    WorkerSpec,
)
from b2bua.ipc.channel import Channel
from b2bua.ipc.process_end import wait_or_kill
from b2bua.watch import Watch, Watched

__all__ = ["ForkLink"]

log = logging.getLogger(__name__)

_START_LIMIT_S = 60.0
"""After this a fork server that is not ready is taken to hang; starting one is slow on a busy machine."""
_END_LIMIT_S = 3.0
"""From the closing of its channel to the end of its process."""


class ForkLink:
    """Keeps one fork server running and talks to it.

    Args:
        command: the command to run; its socket's number and its log format are appended.
        log_format: ``console`` or ``json``.
        on_up: called when the fork server takes orders.
        on_down: called when it has died; orders sent to it may be lost.
        on_exited: called with each worker that it has reaped.
    """

    def __init__(
        self,
        command: tuple[str, ...],
        log_format: str,
        *,
        on_up: Callable[[], None],
        on_down: Callable[[], None],
        on_exited: Callable[[WorkerId], None],
    ) -> None:
        self._command = command
        self._log_format = log_format
        self._on_up = on_up
        self._on_down = on_down
        self._on_exited = on_exited
        self._channel: Channel[FromForkServer] | None = None
        self._watched: Watched | None = None
        self._first: asyncio.Future[None] | None = None
        self.pid: int | None = None
        """Process id of the running fork server."""

    async def start(self, watch: Watch) -> None:
        """Start the fork server; returns when it takes orders.

        Args:
            watch: restarts the fork server when it ends.

        Raises:
            B2buaError: the fork server did not start.
        """
        self._first = asyncio.get_running_loop().create_future()
        self._watched = watch.run("the fork server", self._live, announces=True)
        try:
            await self._first
        except BaseException:
            await self._watched.close()
            raise

    async def close(self) -> None:
        """End the fork server."""
        if self._watched is not None:
            await self._watched.close()

    def spawn(self, spec: WorkerSpec) -> None:
        """Order a worker. If the fork server has died the order is lost; ``on_down`` reports that."""
        self._send(SpawnWorker(spec=spec))

    def kill(self, worker: WorkerId) -> None:
        """Have a worker killed."""
        self._send(KillChild(worker=worker))

    def _send(self, order: SpawnWorker | KillChild) -> None:
        if self._channel is not None:
            self._channel.send(order)

    async def _live(self) -> None:
        """Start a fork server and listen to it. Raises when it has died or did not start."""
        try:
            async with contextlib.AsyncExitStack() as stack:
                process, ours = await self._run()
                stack.push_async_callback(wait_or_kill, process, _END_LIMIT_S)
                self.pid = process.pid
                stack.callback(setattr, self, "pid", None)
                reader, writer = await asyncio.open_unix_connection(sock=ours)
                decoder = msgspec.msgpack.Decoder(FromForkServer)
                channel = cast(Channel[FromForkServer], Channel(reader, writer, decoder))
                stack.callback(channel.close)
                await self._listen(channel)
        except Exception as error:
            if self._first is not None and not self._first.done():
                text = error.strerror if isinstance(error, OSError) else error
                self._first.set_exception(B2buaError(f"the fork server did not start: {text}"))
            raise

    async def _run(self) -> tuple[asyncio.subprocess.Process, socket.socket]:
        """Start the process; returns it and our end of its channel."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    str(theirs.fileno()),
                    self._log_format,
                    pass_fds=[theirs.fileno()],
                    stdin=asyncio.subprocess.DEVNULL,
                )
        except BaseException:
            ours.close()
            raise
        return process, ours

    async def _listen(self, channel: Channel[FromForkServer]) -> None:
        messages = channel.__aiter__()
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                ready = await anext(messages, None)
        except TimeoutError:
            raise B2buaError("it was not ready in time") from None
        if not isinstance(ready, ForkServerReady):
            raise B2buaError("it exited before it was ready")
        self._channel = channel
        try:
            self._is_up()
            async for message in messages:
                if isinstance(message, WorkerExited):
                    if message.status:
                        facts = {"worker": message.worker, "status": message.status}
                        log.error("worker exited", extra=facts)
                    self._on_exited(message.worker)
        finally:
            self._channel = None
            self._on_down()
        raise B2buaError("it has exited")

    def _is_up(self) -> None:
        assert self._watched is not None and self._first is not None
        self._watched.works()
        if not self._first.done():
            self._first.set_result(None)
        self._on_up()
