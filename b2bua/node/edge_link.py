"""The controller's link to the edge: grants it workers, receives its reports, survives its restarts.

Thread: the controller's loop.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from b2bua.core.admission import Lease
from b2bua.core.errors import B2buaError, ConfigError
from b2bua.core.ids import WorkerId
from b2bua.ipc.channel import Channel
from b2bua.ipc.connecting import connect
from b2bua.node.facts import CallsRefused
from b2bua.sip.edge_control import (
    BindingsChanged,
    CallRefused,
    EdgeConfig,
    EdgeFailed,
    EdgeReady,
    FromEdge,
    GrantLease,
    LeaseTaken,
    SetDraining,
    TrunkState,
    WorkerGone,
    WorkerKnown,
    WorkerTaken,
)
from b2bua.watch import Watch, Watched

__all__ = ["EdgeLink"]

log = logging.getLogger(__name__)

_START_LIMIT_S = 60.0
"""Limit for a process that hangs. It is long because a busy machine starts processes slowly, most of all
while it boots; a process that cannot start ends, and the supervisor notices that."""


class EdgeLink:
    """Controls the edge process; the ``LeaseHolder`` of the pool.

    Args:
        path: of the edge's Unix socket.
        watch: connects again when the edge has died.
        on_lease_taken: called with the worker and the lease when the edge gives a call to a worker.
        on_refused: called with the reason for, the number and the source of refused calls.
        on_trunk: called when the state of a trunk changes.
        on_bindings: called with the current bindings of a user.
        on_back: called when an edge is connected, each time but the first, with the workers that it knows.
    """

    def __init__(
        self,
        path: Path,
        watch: Watch,
        on_lease_taken: Callable[[WorkerId, Lease], None],
        on_refused: Callable[[CallsRefused], None],
        on_trunk: Callable[[TrunkState], None],
        on_bindings: Callable[[BindingsChanged], None],
        on_back: Callable[[EdgeReady], None],
    ) -> None:
        self._path = path
        self._watch = watch
        self._on_lease_taken = on_lease_taken
        self._on_refused = on_refused
        self._on_trunk = on_trunk
        self._on_bindings = on_bindings
        self._on_back = on_back
        self._watched: Watched | None = None
        self._channel: Channel[FromEdge] | None = None
        self._config: EdgeConfig | None = None
        self._draining = False
        self._ready: asyncio.Future[EdgeReady] | None = None
        self._known: dict[WorkerId, tuple[WorkerTaken, asyncio.Future[None]]] = {}
        """What the edge has been told, and futures that are done when it knows the worker."""
        self.pid: int | None = None
        """PID of the edge process; None unless it runs."""

    async def start(self, config: EdgeConfig) -> EdgeReady:
        """Connect to the process; returns when it listens.

        Args:
            config: whom to admit.

        Raises:
            ConfigError: the edge cannot use the certificates.
            B2buaError: the edge does not listen in time.
        """
        self._ready = asyncio.get_running_loop().create_future()
        self._config = config
        self._watched = self._watch.run("the edge", self._run, announces=True)
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                return await self._ready
        except TimeoutError:
            raise B2buaError(f"the edge does not listen after {_START_LIMIT_S:g} s") from None

    async def close(self) -> None:
        """Leave the edge."""
        if self._watched is not None:
            await self._watched.close()

    def grant(self, worker: WorkerId, sip_port: int) -> None:
        """Lease a worker to the edge (``engine.pool_clients.LeaseHolder``)."""
        self._send(GrantLease(worker=worker, sip_port=sip_port))

    def taken(self, worker: WorkerId, sip_port: int, *, leased: bool) -> asyncio.Future[None]:
        """Report that a worker has a session not begun by the edge (``engine.pool_clients.LeaseHolder``)."""
        known: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        told = WorkerTaken(worker=worker, sip_port=sip_port, leased=leased)
        self._known[worker] = (told, known)
        self._send(told)
        return known

    def gone(self, worker: WorkerId) -> None:
        """Report that a worker has gone (``engine.pool_clients.LeaseHolder``)."""
        self._known.pop(worker, None)
        self._send(WorkerGone(worker=worker))

    def restore(self, bindings: BindingsChanged) -> None:
        """Give the edge the bindings that a user had before it was started."""
        self._send(bindings)

    def drain(self) -> None:
        """Answer new calls with 503 from now on."""
        self._draining = True
        self._send(SetDraining(draining=True))

    def configure(self, config: EdgeConfig) -> None:
        """Send a new configuration; the edge adopts the parts that may change while it runs."""
        self._config = config
        self._send(config)

    def _send(self, *messages: msgspec.Struct) -> None:
        if self._channel is not None:
            self._channel.send(*messages)

    async def _run(self) -> None:
        """Serve one edge process until it ends.

        Raises:
            B2buaError: it has ended.
        """
        channel, self.pid = await connect(self._path, FromEdge)
        try:
            await self._serve(channel)
        finally:
            self._channel, self.pid = None, None
            channel.close()
        raise B2buaError("it has ended")

    async def _serve(self, channel: Channel[FromEdge]) -> None:
        assert self._config is not None and self._ready is not None
        self._channel = channel
        channel.send(self._config)
        async for message in channel:
            try:
                self._take(message, self._ready)
            except Exception:  # a failure on one message must not cost the connection
                log.exception("edge message could not be handled", extra={"kind": type(message).__name__})

    def _is_ready(self, message: EdgeReady, ready: "asyncio.Future[EdgeReady]") -> None:
        if self._watched is not None:
            self._watched.works()
        if not ready.done():
            ready.set_result(message)
            return
        log.warning("the edge is back", extra={"pid": self.pid})
        waiting = [told for told, _ in self._known.values()]
        self._on_back(message)
        self._send(*waiting)
        if self._draining:
            self._send(SetDraining(draining=True))

    def _take(self, message: FromEdge, ready: "asyncio.Future[EdgeReady]") -> None:
        match message:
            case EdgeReady():
                self._is_ready(message, ready)
            case EdgeFailed():
                if not ready.done():
                    ready.set_exception(ConfigError(message.text))
            case WorkerKnown():
                _, known = self._known.pop(message.worker, (None, None))
                if known is not None and not known.done():
                    known.set_result(None)
            case LeaseTaken():
                self._on_lease_taken(message.worker, message.lease)
            case TrunkState():
                bad = message.down or message.registration == "failed"
                facts = {name: getattr(message, name) for name in message.__struct_fields__}
                log.log(logging.WARNING if bad else logging.INFO, "trunk", extra=facts)
                self._on_trunk(message)
            case BindingsChanged():
                self._on_bindings(message)
            case CallRefused():
                refused = CallsRefused(reason=message.reason, count=message.count, source=message.source)
                self._on_refused(refused)
