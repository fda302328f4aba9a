"""The controller's side of the fork server: orders workers from it, and connects again when it has died.

Thread: the controller's loop.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

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
from b2bua.ipc.connecting import connect
from b2bua.watch import Watch, Watched

__all__ = ["ForkLink"]

log = logging.getLogger(__name__)

_START_LIMIT_S = 60.0
"""After this a fork server that is not ready is taken to hang; starting one is slow on a busy machine."""
_CONNECT_LIMIT_S = 1.0
"""For a fork server that is being started to listen; then this is a failure, and tried again."""


class ForkLink:
    """Talks to the fork server.

    Args:
        path: of its Unix socket.
        on_up: called when the fork server takes orders.
        on_down: called when it has died; orders sent to it may be lost.
        on_exited: called with each worker that it has reaped.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_up: Callable[[], None],
        on_down: Callable[[], None],
        on_exited: Callable[[WorkerId], None],
    ) -> None:
        self._path = path
        self._on_up = on_up
        self._on_down = on_down
        self._on_exited = on_exited
        self._channel: Channel[FromForkServer] | None = None
        self._watched: Watched | None = None
        self._first: asyncio.Future[None] | None = None
        self.pid: int | None = None
        """Process id of the running fork server."""

    async def start(self, watch: Watch) -> None:
        """Connect to the fork server; returns when it takes orders.

        Args:
            watch: connects again when it has died.

        Raises:
            B2buaError: the fork server did not start.
        """
        self._first = asyncio.get_running_loop().create_future()
        self._watched = watch.run("the fork server", self._live, announces=True)
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                await self._first
        except BaseException as error:
            await self._watched.close()
            if isinstance(error, TimeoutError):
                raise B2buaError("the fork server was not ready in time") from None
            raise

    async def close(self) -> None:
        """Leave the fork server."""
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
        """Connect to a fork server and listen to it. Raises when it has died or there is none."""
        channel, pid = await connect(self._path, FromForkServer, _CONNECT_LIMIT_S)
        self.pid = pid
        try:
            await self._listen(channel)
        finally:
            self.pid = None
            channel.close()

    async def _listen(self, channel: Channel[FromForkServer]) -> None:
        messages = channel.__aiter__()
        ready = await anext(messages, None)
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
