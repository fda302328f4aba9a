"""The pool of workers: their sockets, and the processes behind them.

``workers`` decides; this module acts. It orders workers from the fork server, reads their messages, grants
them to the edge as leases, gives them sessions, ends them and kills them.

Thread: the controller's loop.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar, cast

import msgspec

from b2bua.core.admission import AdmittedCall, Lease
from b2bua.core.deadlines import pause_until
from b2bua.core.errors import CapacityError
from b2bua.core.events import LegIncoming
from b2bua.core.ids import WorkerId
from b2bua.engine import worker_table as table
from b2bua.engine.earlier_workers import EarlierWorkers
from b2bua.engine.fork_link import ForkLink
from b2bua.engine.pool_clients import LeaseHolder, SessionSink
from b2bua.engine.pool_options import PoolOptions
from b2bua.engine.port_blocks import PortBlocks
from b2bua.engine.protocol import FromWorker, Retire, SessionDone, WorkerHello
from b2bua.engine.worker_handle import WorkerHandle
from b2bua.engine.worker_link import WorkerLink
from b2bua.engine.worker_table import WorkerState
from b2bua.engine.workers import Workers
from b2bua.ipc.channel import Channel
from b2bua.ipc.connecting import listening_at
from b2bua.watch import Watch, Watched

__all__ = ["LeaseHolder", "Pool", "PoolOptions", "SessionSink", "WorkerHandle", "WorkerState"]

log = logging.getLogger(__name__)

_SESSIONS_A_WORKER = 200
"""After this many a worker is replaced, so that nothing can accumulate in the library."""
_FIRST_LIMIT_S = 60.0
"""For all of the first workers to start, competing with each other and with the machine's other load."""


Sink = TypeVar("Sink", bound=SessionSink)


@dataclass(slots=True)
class _Waiter:
    begin: Callable[[WorkerHandle], SessionSink]
    begun: "asyncio.Future[SessionSink]"


class Pool:
    """Runs the node's workers.

    Args:
        options: sizes and worker settings.
        edge: holds the leases of idle workers.
        on_incoming: creates the session for a call that arrived at a worker.
        on_refused: called with the reason when a call that arrived at a worker gets 503.
        watch: runs the process's background tasks.
    """

    def __init__(
        self,
        options: PoolOptions,
        edge: LeaseHolder,
        on_incoming: Callable[[WorkerHandle, AdmittedCall], SessionSink],
        on_refused: Callable[[str], None],
        watch: Watch,
    ) -> None:
        self._options = options
        self._edge = edge
        self._on_incoming = on_incoming
        self._on_refused = on_refused
        self._watch = watch
        self._blocks = PortBlocks(options.rtp_ports, options.max)
        self._workers = Workers(options.idle, self._blocks, options.generation)
        self._forks = ForkLink(
            options.forks_path,
            on_up=lambda: self._feed(table.ForksUp()),
            on_down=lambda: self._feed(table.ForksDown()),
            on_exited=lambda worker: self._feed(table.ProcessExited(worker=worker)),
        )
        self._links: dict[WorkerId, WorkerLink] = {}
        self.earlier = EarlierWorkers(self._links, self._feed)
        self._waiters: dict[int, _Waiter] = {}
        self._next_waiter = 1
        self._events: deque[table.PoolEvent] = deque()
        self._feeding = False
        self._server: asyncio.Server | None = None
        self._upkeep: Watched | None = None
        self._closing = False
        self._edge_port = 0
        self._due = asyncio.Event()
        """Set when the next deadline is earlier than ``_waits_until``."""
        self._waits_until = 0.0
        """Until when the upkeep waits, in monotonic seconds."""
        self._warm = asyncio.Event()
        """Set when as many workers as configured have been idle at once, for the first time."""

    # -- starting and ending ------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Connect to the fork server; the edge may be starting meanwhile.

        Raises:
            B2buaError: the fork server did not start.
        """
        path = str(self._options.control_path)
        self._server = await asyncio.start_unix_server(self._accept, sock=listening_at(path))
        await self._forks.start(self._watch)

    async def start(self, edge_port: int) -> None:
        """Start the first workers; returns when ``idle`` of them are warm.

        Args:
            edge_port: the edge's inner port on 127.0.0.1.

        Raises:
            CapacityError: the workers did not start.
        """
        self._edge_port = edge_port
        self._upkeep = self._watch.run("the pool's upkeep", self._keep)
        self._feed(table.PoolOpened())
        try:
            async with asyncio.timeout(_FIRST_LIMIT_S):
                await self._warm.wait()
        except TimeoutError:
            raise CapacityError("the workers did not start; see the log above") from None

    async def close(self) -> None:
        """End all workers; their sessions must be over."""
        self._feed(table.PoolClosing())
        self._closing = True
        if self._upkeep is not None:
            await self._upkeep.close()
        for link in self._links.values():
            link.channel.send(Retire())
            link.channel.close()
        if self._server is not None:
            self._server.close()
        await self._forks.close()

    # -- queries ------------------------------------------------------------------------------------

    def count(self, *states: WorkerState) -> int:
        """Count the workers in one of ``states``; all workers without arguments."""
        return self._workers.roster.count(*states)

    @property
    def max_workers(self) -> int:
        """Number of workers that the configuration and the RTP ports allow."""
        return self._blocks.count

    @property
    def fork_server_pid(self) -> int | None:
        """Process id of the fork server, while there is one."""
        return self._forks.pid

    def worker_pids(self) -> dict[WorkerId, int]:
        """Return the process ids of the workers that have said hello, in that order."""
        return {name: link.process.pid for name, link in self._links.items()}

    def reasons(self) -> list[str]:
        """Say why no further workers can start; ``Watch`` reports failures of the pool's tasks."""
        return ["workers do not start"] if self._workers.starts_fail else []

    # -- requests of the node and the edge ----------------------------------------------------------

    def lease_taken(self, worker: WorkerId, lease: Lease) -> None:
        """The edge has sent an INVITE to this worker."""
        self._feed(table.LeaseSpent(worker=worker, lease=lease))

    def edge_is_back(self, known: Iterable[WorkerId]) -> None:
        """Tell an edge that has just started of all workers; those that it knows and we do not are gone."""
        for worker in self._workers.roster:
            link = self._links.get(worker.name)
            if link is None or worker.state in (WorkerState.CLAIMED, WorkerState.RETIRING):
                continue
            if worker.state is WorkerState.LEASED:
                self._edge.grant(link.worker, link.sip_port)
            else:  # it keeps the call that the edge has given it
                self._edge.taken(link.worker, link.sip_port, leased=True)
        for worker_id in set(known) - self._links.keys():
            self._edge.gone(worker_id)

    async def take(self, begin: Callable[[WorkerHandle], Sink], *, at_once: bool = False) -> Sink:
        """Take a worker for a session that we originate, or to help one that goes on.

        If more workers are idle than are to be kept, or no other can be started, the edge gives one back; a
        new one takes some 10 ms to start.

        Args:
            begin: creates the session, or returns the one that goes on; called as soon as there is a worker.
            at_once: take an idle worker even if the edge cannot spare it.

        Returns:
            The session.

        Raises:
            CapacityError: no worker is available.
        """
        number, self._next_waiter = self._next_waiter, self._next_waiter + 1
        begun: asyncio.Future[SessionSink] = asyncio.get_running_loop().create_future()
        self._waiters[number] = _Waiter(begin, begun)
        self._feed(table.WorkerWanted(waiter=number, at_once=at_once))
        try:
            return cast(Sink, await begun)
        finally:
            if self._waiters.pop(number, None) is not None:
                self._feed(table.WaiterLeft(waiter=number))

    # -- events and commands ------------------------------------------------------------------------

    def _feed(self, event: table.PoolEvent) -> None:
        """Handle an event and carry out the resulting commands; events arising meanwhile are queued."""
        self._events.append(event)
        if self._feeding or self._closing:
            return
        self._feeding = True
        try:
            while self._events:
                for command in self._workers.handle(self._events.popleft(), time.monotonic()):
                    self._try(command)
        finally:
            self._feeding = False
        deadline = self._workers.next_deadline()
        if deadline is not None and deadline < self._waits_until:
            self._due.set()
        if self._workers.is_warm:
            self._warm.set()

    def _try(self, command: table.PoolCommand) -> None:
        try:
            self._do(command)
        except Exception:  # a bug in one command must not prevent the others
            log.exception("pool command failed", extra={"command": type(command).__name__})

    def _do(self, command: table.PoolCommand) -> None:
        match command:
            case table.StartWorker():
                ports = self._blocks.ports(command.block)
                self._forks.spawn(self._options.worker_spec(command.worker, ports, self._edge_port))
            case table.RefuseWaiter():
                waiter = self._waiters.pop(command.waiter, None)
                if waiter is not None and not waiter.begun.done():
                    waiter.begun.set_exception(CapacityError(command.reason))
            case table.Report():
                log.error(command.text, extra={"worker": command.worker, "state": command.state})
            case table.KillWorker():
                if (link := self._links.get(command.worker)) is not None:
                    link.process.kill()
                else:
                    self._forks.kill(command.worker)  # it has not reported its pid
            case table.ForgetWorker():
                self._forget(command.worker)
            case _:
                self._do_with(self._links[command.worker], command)

    def _do_with(
        self,
        link: WorkerLink,
        command: "table.GrantLease | table.ClaimWorker | table.GiveWorker | table.BeginSession | "
        "table.RefuseCall | table.RetireWorker",
    ) -> None:
        match command:
            case table.GrantLease():
                self._edge.grant(link.worker, link.sip_port)
            case table.ClaimWorker():
                known = self._edge.taken(link.worker, link.sip_port, leased=command.leased)
                event = table.EdgeKnows(worker=link.worker, waiter=command.waiter)
                known.add_done_callback(lambda _: self._feed(event))
            case table.GiveWorker():
                self._give(link, self._waiters.pop(command.waiter, None))
            case table.BeginSession():
                self._begin(link, command.call)
            case table.RefuseCall():
                link.early.clear()
                self._on_refused("not admitted")
            case table.RetireWorker():
                self._edge.gone(link.worker)
                link.channel.send(Retire())

    def _give(self, link: WorkerLink, waiter: _Waiter | None) -> None:
        if waiter is None or waiter.begun.done():  # the waiter has left; the table is notified later
            self._feed(table.SessionClosed(worker=link.worker, reusable=True))
            return
        try:
            link.session = waiter.begin(link.open())
        except Exception as error:
            self._not_begun(link)
            waiter.begun.set_exception(error)
        else:
            waiter.begun.set_result(link.session)

    def _begin(self, link: WorkerLink, call: AdmittedCall) -> None:
        (_, *since), link.early = link.early, []
        try:
            link.session = self._on_incoming(link.open(), call)
        except Exception:
            log.exception("session could not be created", extra={"worker": link.worker})
            self._not_begun(link)
        for event in since:
            self._hear(link, event)

    def _not_begun(self, link: WorkerLink) -> None:
        link.close_session()
        self._feed(table.SessionClosed(worker=link.worker, reusable=False))

    def _forget(self, worker: WorkerId) -> None:
        self._edge.gone(worker)
        link = self._links.pop(worker, None)
        if link is None:
            return
        link.close()
        session = link.close_session()
        if session is not None:
            session.worker_lost(worker)

    # -- sockets and time ---------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Send a ``Tick`` at each deadline."""
        while True:
            self._due.clear()
            deadline = self._workers.next_deadline()
            self._waits_until = math.inf if deadline is None else deadline
            pause_s = None if deadline is None else pause_until(deadline, time.monotonic())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._due.wait()
            if deadline is not None and deadline <= time.monotonic():
                self._feed(table.Tick())

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = msgspec.msgpack.Decoder(FromWorker)
        channel = cast(Channel[FromWorker], Channel(reader, writer, decoder))
        link: WorkerLink | None = None
        try:
            async for message in channel:
                if link is not None:
                    self._hear(link, message)
                elif isinstance(message, WorkerHello):
                    link = self._hello(message, channel)
        except Exception:  # not a valid message
            log.exception("invalid message from a worker", extra={"worker": link and link.worker})
            if link is not None:
                link.process.kill()
        finally:
            channel.close()
            if link is not None:
                self._feed(table.SocketClosed(worker=link.worker))

    def _hello(self, hello: WorkerHello, channel: Channel[FromWorker]) -> WorkerLink | None:
        state = self._workers.roster.state(hello.worker)
        block = self._blocks.claim(hello.rtp_port) if state is None else None
        if state is not WorkerState.STARTING and block is None:
            # It was given up before it reported: its block of ports may belong to another worker.
            log.warning(
                "a worker reported after it was given up", extra={"worker": hello.worker, "pid": hello.pid}
            )
            channel.send(Retire())
            return None
        link = self._links[hello.worker] = WorkerLink.greeted(
            hello, channel, on_ending=lambda worker: self._feed(table.SessionEnding(worker=worker))
        )
        log.info("worker", extra={"worker": hello.worker, "pid": hello.pid})
        if block is None:
            self._feed(table.WorkerReady(worker=hello.worker))
            return link
        may_stay = hello.healthy and hello.sessions < _SESSIONS_A_WORKER
        self._feed(self.earlier.arrived(link, hello, block, may_stay))
        return link

    def _hear(self, link: WorkerLink, message: FromWorker) -> None:
        try:
            self._take_message(link, message)
        except Exception:  # only this session is affected: its worker and all others go on
            log.exception("message of a worker could not be handled", extra={"worker": link.worker})

    def _take_message(self, link: WorkerLink, message: FromWorker) -> None:
        session = link.session
        if isinstance(message, SessionDone):
            link.close_session()
            link.sessions = message.sessions
            reusable = message.healthy and message.sessions < _SESSIONS_A_WORKER
            self._feed(table.SessionClosed(worker=link.worker, reusable=reusable))
        elif isinstance(message, WorkerHello):
            return
        elif session is not None:
            session.deliver(message, link.worker)
        elif link.early:
            link.early.append(message)
        elif isinstance(message, LegIncoming):
            link.early.append(message)
            self._feed(table.CallCame(worker=link.worker, invite=message))
