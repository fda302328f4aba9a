"""The pool of workers: how many there are, which are free, whose session runs in which.

It keeps ``idle`` workers warm, grants them to the edge as leases so that a call finds one without asking,
gives each session the worker its INVITE went to, and replaces what dies, misbehaves or has had its share of
sessions.

Thread: the controller's loop.
"""

import asyncio
import enum
import logging
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

import msgspec

from b2bua.core.commands import EndSession, LegCommand
from b2bua.core.errors import B2buaError, CapacityError
from b2bua.core.events import LegIncoming, MediaMeasured, SessionEvent
from b2bua.core.ids import WorkerId
from b2bua.engine.protocol import (
    ForkServerReady,
    FromForkServer,
    FromWorker,
    Retire,
    SessionDone,
    SpawnWorker,
    WorkerExited,
    WorkerHello,
    WorkerSpec,
)
from b2bua.ipc.channel import Channel

__all__ = ["Leases", "Pool", "PoolOptions", "SessionSink", "WorkerHandle"]

log = logging.getLogger(__name__)

_SESSIONS_A_WORKER = 200
"""Then it is replaced, so that nothing can accumulate in the library."""
_SURPLUS_IDLE_S = 30.0
"""A worker beyond ``idle`` that had nothing to do for so long is ended."""
_LEASE_TAKEN_S = 2.0
"""An INVITE the edge has sent to a worker arrives there within this, or the worker is broken."""
_START_LIMIT_S = 10.0
_END_LIMIT_S = 60.0
"""From the end of a session to an idle worker: a BYE that nobody answers is repeated for 32 s (RFC
3261 §17.1.2.2), and a recording may have to be completed before."""
_KNOWN_LIMIT_S = 2.0
"""For the edge to say that it knows a worker."""
_HOUSEKEEPING_S = 1.0
_FILL_DELAY_S = 0.05


class Leases(Protocol):
    """The edge, as the pool sees it."""

    def grant(self, worker: WorkerId, sip_port: int) -> None:
        """This worker may be given a call."""

    def taken(self, worker: WorkerId, sip_port: int, *, leased: bool) -> "asyncio.Future[None]":
        """This worker has a session that was not begun by an INVITE of the edge's.

        Done when the edge knows it: what it sends before that would be nobody's. Of a worker that was
        granted (``leased``), ``Pool.lease_taken`` has been called by then if it got a call before.
        """

    def gone(self, worker: WorkerId) -> None:
        """This worker is no more: neither leases nor dialogs."""


class SessionSink(Protocol):
    """Where the events of one session go."""

    def handle(self, event: SessionEvent) -> None:
        """A fact about one of the session's legs, or one of its recordings."""

    def measured(self, media: MediaMeasured) -> None:
        """How media came to one of the session's legs."""

    def worker_lost(self) -> None:
        """The worker died; all legs in it are gone."""


class State(enum.StrEnum):
    """Of a worker."""

    STARTING = "starting"
    LEASED = "leased"
    TAKEN = "taken"
    BUSY = "busy"
    RETIRING = "retiring"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """What a pool is made with; see ``WorkerSpec`` for the fields of the same name."""

    folder: Path
    """Private folder for the control socket."""
    idle: int
    max: int
    rtp_bind: str
    rtp_advertise: str
    rtp_ports: tuple[int, int]
    codecs: tuple[str, ...]
    tones_folder: Path
    user_agent: str
    srtp: bool
    """Whether any call that comes may be encrypted."""
    log_format: str
    clock_rate_hz: int


@dataclass(slots=True)
class WorkerHandle:
    """A worker as its session sees it."""

    worker: WorkerId
    block: int
    """Which block of RTP ports is its."""
    since: float
    state: State = State.STARTING
    channel: Channel[FromWorker] | None = None
    sip_port: int = 0
    pid: int = 0
    capacity: int = 0
    """Legs it can hold."""
    session: SessionSink | None = field(default=None, repr=False)
    over_since: float | None = None
    """When its session was told to end; None: it goes on, or there is none."""

    def send(self, *orders: LegCommand) -> None:
        """Tell the worker; lost without an error when it is dead (``worker_lost`` says so)."""
        if any(isinstance(order, EndSession) for order in orders):
            self.over_since = time.monotonic()
        if self.channel is not None:
            self.channel.send(*orders)


_Wanted = asyncio.Future[tuple[WorkerHandle, asyncio.Future[None]]]
"""A worker for a session of ours, and when the edge knows it."""


class Pool:
    """See the module's docstring.

    Args:
        options: sizes and what workers are told.
        leases: the edge.
        on_incoming: makes the session for a call that came to a worker.
    """

    def __init__(
        self,
        options: PoolOptions,
        leases: Leases,
        on_incoming: Callable[[WorkerHandle, LegIncoming], SessionSink],
    ) -> None:
        self._options = options
        self._leases = leases
        self._on_incoming = on_incoming
        self._workers: dict[WorkerId, WorkerHandle] = {}
        self._wanted: deque[_Wanted] = deque()
        """Who waits for a worker of its own (``take``)."""
        self._next = 1
        self._blocks = _PortBlocks(options.rtp_ports, options.max)
        self._fork_server: asyncio.subprocess.Process | None = None
        self._forks: Channel[FromForkServer] | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._edge_port = 0
        self._filling: asyncio.TimerHandle | None = None
        self._warm = asyncio.Event()
        """Set when as many workers as configured have been idle at once, for the first time."""
        self.library = ""

    # -- life ---------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Start the fork server; the edge may be starting meanwhile."""
        self._server = await asyncio.start_unix_server(self._accept, str(self._control_path))
        self._control_path.chmod(0o600)
        await self._start_fork_server()

    async def start(self, edge_port: int) -> None:
        """Start the first workers; returns when ``idle`` of them are warm.

        Args:
            edge_port: the edge's inner port on 127.0.0.1.

        Raises:
            CapacityError: they did not start.
        """
        self._edge_port = edge_port
        self._task(self._housekeeping())
        self._fill()
        self._note_warmth()
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                await self._warm.wait()
        except TimeoutError:
            raise CapacityError("the workers did not start; see the log above") from None

    async def close(self) -> None:
        """End all workers; sessions have to be over before."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        for handle in self._workers.values():
            if handle.channel is not None:
                handle.channel.send(Retire())
                handle.channel.close()
        if self._server is not None:
            self._server.close()
        if self._forks is not None:
            self._forks.close()
        if self._fork_server is not None:
            await self._fork_server.wait()

    def count(self, *states: State) -> int:
        """How many workers are in one of ``states``; all without arguments."""
        return sum(not states or handle.state in states for handle in self._workers.values())

    @property
    def max_workers(self) -> int:
        """As many workers as the configuration and the RTP ports allow."""
        return self._blocks.count

    # -- the edge's side ----------------------------------------------------------------------------

    def lease_taken(self, worker: WorkerId) -> None:
        """The edge has sent an INVITE to this worker."""
        handle = self._workers.get(worker)
        if handle is not None and (handle.state is State.LEASED or _is_claimed(handle)):
            self._enter(handle, State.TAKEN)
            self._fill_soon()

    # -- workers ------------------------------------------------------------------------------------

    def _fill(self) -> None:
        if self._filling is not None:
            self._filling.cancel()
            self._filling = None
        while (
            not self._closing
            and self.count(State.STARTING) < len(self._wanted) + self._missing
            and (block := self._blocks.take()) is not None
        ):
            self._spawn(block)

    def _fill_soon(self) -> None:
        """Replace a worker that was taken, but not in the very moment in which its call is set up.

        Starting one costs as much CPU as setting up a call; while there are others, it can wait.
        """
        if self.count(State.LEASED) == 0:
            self._fill()
        elif self._filling is None:
            self._filling = asyncio.get_running_loop().call_later(_FILL_DELAY_S, self._fill)

    @property
    def _missing(self) -> int:
        """How many more idle workers are wanted than there are."""
        return max(0, self._options.idle - self.count(State.LEASED))

    def _spawn(self, block: int) -> None:
        assert self._forks is not None
        options = self._options
        worker = WorkerId(f"w{self._next}")
        self._next += 1
        self._workers[worker] = WorkerHandle(worker=worker, block=block, since=time.monotonic())
        first, size = self._blocks.ports(block)
        self._forks.send(
            SpawnWorker(
                spec=WorkerSpec(
                    worker=worker,
                    control_path=str(self._control_path),
                    edge_port=self._edge_port,
                    rtp_bind=options.rtp_bind,
                    rtp_advertise=options.rtp_advertise,
                    rtp_port=first,
                    rtp_ports=size,
                    codecs=options.codecs,
                    tones_folder=str(options.tones_folder),
                    user_agent=options.user_agent,
                    srtp=options.srtp,
                    clock_rate_hz=options.clock_rate_hz,
                )
            )
        )

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = msgspec.msgpack.Decoder(FromWorker)
        channel = cast(Channel[FromWorker], Channel(reader, writer, decoder))
        handle: WorkerHandle | None = None
        try:
            async for message in channel:
                if isinstance(message, WorkerHello):
                    handle = self._hello(message, channel)
                elif handle is not None:
                    self._from_worker(handle, message)
        finally:
            channel.close()
            if handle is not None and not self._closing:
                self._lost(handle)

    def _hello(self, hello: WorkerHello, channel: Channel[FromWorker]) -> WorkerHandle | None:
        handle = self._workers.get(hello.worker)
        if handle is None:
            return None
        handle.channel, handle.sip_port, handle.pid = channel, hello.sip_port, hello.pid
        handle.capacity = hello.capacity
        log.info("worker", extra={"worker": hello.worker, "pid": hello.pid})
        self._make_idle(handle)
        return handle

    def _from_worker(self, handle: WorkerHandle, message: FromWorker) -> None:
        if isinstance(message, SessionDone):
            handle.session = handle.over_since = None
            if message.healthy and message.sessions < _SESSIONS_A_WORKER:
                self._make_idle(handle)
            else:
                self._retire(handle)
        elif isinstance(message, LegIncoming) and handle.session is None:
            self._enter(handle, State.BUSY)
            handle.session = self._on_incoming(handle, message)
            self._fill_soon()
        elif isinstance(message, WorkerHello) or handle.session is None:
            return
        elif isinstance(message, MediaMeasured):
            handle.session.measured(message)
        else:
            handle.session.handle(message)

    async def take(self) -> WorkerHandle:
        """A worker for a session that begins with us; the taker sets its ``session`` at once.

        Where there are more idle ones than are kept, or no other can be started, the edge gives one back; a
        new one takes some 10 ms to start.

        Raises:
            CapacityError: there are as many workers as there may be.
        """
        while (idle := self._dispensable()) is not None:
            self._enter(idle, State.BUSY)
            await self._known(idle, self._leases.taken(idle.worker, idle.sip_port, leased=True))
            if _is_claimed(idle) and self._workers.get(idle.worker) is idle:
                self._fill_soon()
                return idle
        wanted: _Wanted = asyncio.get_running_loop().create_future()
        self._wanted.append(wanted)
        self._fill()
        if self.count(State.STARTING) == 0:
            self._wanted.remove(wanted)
            raise CapacityError("all workers are busy")
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                handle, known = await wanted
        except TimeoutError:
            raise CapacityError("no worker has started in time") from None
        await self._known(handle, known)
        return handle

    def _dispensable(self) -> WorkerHandle | None:
        """The idle worker that the edge will need last, if it can do without."""
        leased = [handle for handle in self._workers.values() if handle.state is State.LEASED]
        if len(leased) <= self._options.idle and self._blocks.free:
            return None
        return max(leased, key=lambda handle: handle.since, default=None)

    async def _known(self, handle: WorkerHandle, known: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(_KNOWN_LIMIT_S):
                await known
        except TimeoutError:
            if _is_claimed(handle):
                self._retire(handle)
            raise CapacityError("the edge does not answer") from None

    def _make_idle(self, handle: WorkerHandle) -> None:
        while self._wanted:
            wanted = self._wanted.popleft()
            if not wanted.done():
                self._enter(handle, State.BUSY)
                known = self._leases.taken(handle.worker, handle.sip_port, leased=False)
                wanted.set_result((handle, known))
                return
        self._enter(handle, State.LEASED)
        self._leases.grant(handle.worker, handle.sip_port)
        self._note_warmth()

    def _note_warmth(self) -> None:
        if self.count(State.LEASED) >= min(self._options.idle, self._blocks.count):
            self._warm.set()

    def _retire(self, handle: WorkerHandle) -> None:
        """End a worker that has no session; its process says goodbye by closing its socket."""
        self._enter(handle, State.RETIRING)
        self._leases.gone(handle.worker)
        if handle.channel is not None:
            handle.channel.send(Retire())

    def _lost(self, handle: WorkerHandle) -> None:
        """A worker's socket has closed: its end, wanted or not."""
        if self._workers.pop(handle.worker, None) is None:
            return
        self._blocks.give_back(handle.block)
        self._leases.gone(handle.worker)
        if handle.state is not State.RETIRING:
            log.error("a worker died", extra={"worker": handle.worker, "state": handle.state})
        if handle.session is not None:
            handle.session.worker_lost()
        self._fill()

    def _enter(self, handle: WorkerHandle, state: State) -> None:
        handle.state = state
        handle.since = time.monotonic()

    # -- upkeep -------------------------------------------------------------------------------------

    async def _housekeeping(self) -> None:
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            now = time.monotonic()
            for handle in list(self._workers.values()):
                self._inspect(handle, now - handle.since)
            self._fill()

    def _inspect(self, handle: WorkerHandle, age_s: float) -> None:
        match handle.state:
            case State.LEASED if age_s > _SURPLUS_IDLE_S and self.count(State.LEASED) > self._options.idle:
                self._retire(handle)
            case State.TAKEN if age_s > _LEASE_TAKEN_S:
                # What the edge sent was not an INVITE the library could take.
                self._retire(handle)
            case State.BUSY if handle.over_since is not None and _passed(handle.over_since, _END_LIMIT_S):
                log.error("a worker does not end its session", extra={"worker": handle.worker})
                os.kill(handle.pid, signal.SIGKILL)
                handle.over_since = None  # its socket says the rest
            case State.STARTING | State.RETIRING if age_s > _START_LIMIT_S:
                log.error("a worker hangs", extra={"worker": handle.worker, "state": handle.state})
                if handle.pid:
                    os.kill(handle.pid, signal.SIGKILL)
                self._lost(handle)

    # -- the fork server ----------------------------------------------------------------------------

    @property
    def _control_path(self) -> Path:
        return self._options.folder / "workers.sock"

    async def _start_fork_server(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._fork_server = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "b2bua.engine.forkserver",
                str(theirs.fileno()),
                self._options.log_format,
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        decoder = msgspec.msgpack.Decoder(FromForkServer)
        self._forks = cast(Channel[FromForkServer], Channel(reader, writer, decoder))
        messages = self._forks.__aiter__()
        async with asyncio.timeout(_START_LIMIT_S):
            ready = await anext(messages)
        if not isinstance(ready, ForkServerReady):
            raise B2buaError("the fork server did not start")
        self.library = ready.library
        self._task(self._watch_fork_server(self._forks))

    async def _watch_fork_server(self, forks: Channel[FromForkServer]) -> None:
        async for message in forks:
            if isinstance(message, WorkerExited):
                if message.status:
                    log.error("worker exited", extra={"worker": message.worker, "status": message.status})
                handle = self._workers.get(message.worker)
                if handle is not None and handle.channel is None:
                    self._lost(handle)  # it died before it could say hello
        if not self._closing:
            log.critical("the fork server died; starting another")
            await self._start_fork_server()
            self._fill()

    def _task(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _PortBlocks:
    """RTP ports in one block a worker. A block freed last is used last: its late packets are over by then."""

    _LARGEST = 64
    _SMALLEST = 16
    """Four legs of two ports, and as many again while the old sockets are still closing."""

    def __init__(self, ports: tuple[int, int], workers: int) -> None:
        self._first = ports[0] + ports[0] % 2
        total = ports[1] - self._first + 1
        self._size = max(self._SMALLEST, min(self._LARGEST, total // workers // 2 * 2))
        self.count = min(workers, total // self._size)
        self._free = list(range(self.count))

    @property
    def free(self) -> int:
        """How many are not in use."""
        return len(self._free)

    def take(self) -> int | None:
        """A block's number, or None when all are in use."""
        return self._free.pop(0) if self._free else None

    def give_back(self, block: int) -> None:
        """Its worker is gone."""
        self._free.append(block)

    def ports(self, block: int) -> tuple[int, int]:
        """(first port, size) of a block."""
        return self._first + block * self._size, self._size


def _is_claimed(handle: WorkerHandle) -> bool:
    """It is to have a session of ours, which it has not got yet: a call may have come to it before."""
    return handle.state is State.BUSY and handle.session is None


def _passed(since: float, limit_s: float) -> bool:
    return time.monotonic() - since > limit_s
