"""The controller's link to the edge: starts the edge process, grants it workers, receives its reports.

Thread: the controller's loop.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import msgspec

from b2bua.core.admission import Lease
from b2bua.core.errors import B2buaError, ConfigError
from b2bua.core.ids import WorkerId
from b2bua.ipc.channel import Channel
from b2bua.ipc.process_end import wait_or_kill
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

__all__ = ["EdgeLink"]

log = logging.getLogger(__name__)

_START_LIMIT_S = 60.0
"""Limit for a process that hangs. It is long because a busy machine starts processes slowly, most of all
while it boots; a process that cannot start ends, and that is noticed at once."""
_END_LIMIT_S = 3.0
_LAST_WORDS_S = 1.0
"""Time to read the last messages of the edge after its process has ended."""


class EdgeLink:
    """Starts and controls the edge process; the ``LeaseHolder`` of the pool.

    Args:
        folder: private folder for the control socket.
        log_format: format of the edge's own log.
        on_lease_taken: called with the worker and the lease when the edge gives a call to a worker.
        on_refused: called with the reason for, the number and the source of refused calls.
        on_trunk: called when the state of a trunk changes.
        on_gone: called when the edge process has ended by itself.
        on_bindings: called with the current bindings of a user.
    """

    def __init__(
        self,
        folder: Path,
        log_format: str,
        on_lease_taken: Callable[[WorkerId, Lease], None],
        on_refused: Callable[[CallsRefused], None],
        on_trunk: Callable[[TrunkState], None],
        on_gone: Callable[[], None],
        on_bindings: Callable[[BindingsChanged], None],
    ) -> None:
        self._path = folder / "edge.sock"
        self._log_format = log_format
        self._on_lease_taken = on_lease_taken
        self._on_refused = on_refused
        self._on_trunk = on_trunk
        self._on_gone = on_gone
        self._on_bindings = on_bindings
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel[FromEdge] | None = None
        self._server: asyncio.Server | None = None
        self._ready: asyncio.Future[EdgeReady] | None = None
        self._closing = False
        self._known: dict[WorkerId, asyncio.Future[None]] = {}
        """Futures that are done when the edge knows the worker."""

    async def start(self, config: EdgeConfig, bindings: Iterable[BindingsChanged] = ()) -> EdgeReady:
        """Start the process; returns when it listens.

        Args:
            config: where to listen and whom to admit.
            bindings: registrations from an earlier run.

        Raises:
            ConfigError: the edge cannot listen on a configured address.
            B2buaError: the edge has ended, or does not listen in time.
        """
        self._ready = asyncio.get_running_loop().create_future()
        self._opening = (config, *bindings)
        self._server = await asyncio.start_unix_server(self._serve, str(self._path))
        self._path.chmod(0o600)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "b2bua.sip.edge",
            "--control",
            str(self._path),
            "--log-format",
            self._log_format,
            stdin=asyncio.subprocess.DEVNULL,
        )
        ended = asyncio.ensure_future(self._process.wait())
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                either: set[asyncio.Future[Any]] = {self._ready, ended}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise B2buaError(f"the edge does not listen after {_START_LIMIT_S:g} s") from None
        finally:
            ended.cancel()
        # The last message of the edge may not have been read yet.
        await asyncio.wait({self._ready}, timeout=_LAST_WORDS_S)
        if not self._ready.done():
            raise B2buaError("the edge ended before it listened")
        return self._ready.result()

    @property
    def pid(self) -> int | None:
        """PID of the edge process; None unless it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def close(self) -> None:
        """End the edge."""
        self._closing = True
        if self._channel is not None:
            self._channel.close()
        if self._server is not None:
            self._server.close()
        if self._process is not None:
            await wait_or_kill(self._process, _END_LIMIT_S)

    def grant(self, worker: WorkerId, sip_port: int) -> None:
        """Lease a worker to the edge (``engine.pool_clients.LeaseHolder``)."""
        self._send(GrantLease(worker=worker, sip_port=sip_port))

    def taken(self, worker: WorkerId, sip_port: int, *, leased: bool) -> asyncio.Future[None]:
        """Report that a worker has a session not begun by the edge (``engine.pool_clients.LeaseHolder``)."""
        known = self._known[worker] = asyncio.get_running_loop().create_future()
        self._send(WorkerTaken(worker=worker, sip_port=sip_port, leased=leased))
        return known

    def gone(self, worker: WorkerId) -> None:
        """Report that a worker has gone (``engine.pool_clients.LeaseHolder``)."""
        self._send(WorkerGone(worker=worker))

    def restore(self, bindings: BindingsChanged) -> None:
        """Give the edge the bindings that a user had before it was started."""
        self._send(bindings)

    def drain(self) -> None:
        """Answer new calls with 503 from now on."""
        self._send(SetDraining(draining=True))

    def configure(self, config: EdgeConfig) -> None:
        """Send a new configuration; the edge adopts the parts that may change while it runs."""
        self._send(config)

    def _send(self, message: msgspec.Struct) -> None:
        if self._channel is not None:
            self._channel.send(message)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = msgspec.msgpack.Decoder(FromEdge)
        self._channel = channel = cast(Channel[FromEdge], Channel(reader, writer, decoder))
        assert self._ready is not None
        channel.send(*self._opening)
        try:
            async for message in channel:
                try:
                    self._take(message, self._ready)
                except Exception:  # a failure on one message must not end the edge and with it the node
                    log.exception("edge message could not be handled", extra={"kind": type(message).__name__})
        finally:
            if not self._ready.done():
                self._ready.set_exception(B2buaError("the edge ended before it listened"))
            elif not self._closing:
                self._on_gone()
            channel.close()

    def _take(self, message: FromEdge, ready: "asyncio.Future[EdgeReady]") -> None:
        match message:
            case EdgeReady():
                ready.set_result(message)
            case EdgeFailed():
                ready.set_exception(ConfigError(message.text))
            case WorkerKnown():
                known = self._known.pop(message.worker, None)
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
