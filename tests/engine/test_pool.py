"""The pool's I/O: real sockets and pids; the test plays edge, fork server and sessions."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from b2bua.core.admission import AdmittedCall, Lease, Origin
from b2bua.core.commands import EndSession, HangupLeg
from b2bua.core.errors import B2buaError, CapacityError
from b2bua.core.events import LegConfirmed, LegIncoming, MediaMeasured, SessionEvent
from b2bua.core.ids import LegId, SipCallId, WorkerId
from b2bua.engine import worker_roster
from b2bua.engine.pool import Pool, PoolOptions, WorkerHandle, WorkerState
from b2bua.engine.process import Process
from b2bua.engine.protocol import Retire, SessionDone, SessionOrders, ToWorker, WorkerHello, WorkerSpec
from b2bua.engine.workers import Workers
from b2bua.ipc.channel import encode_frames
from b2bua.watch import Watch
from tests.peer.ladder import PATIENCE_S

pytestmark = pytest.mark.process

NOBODY = 2**30
"""A pid beyond the kernel's range."""


LEASE = Lease(sip_call_id=SipCallId("c1"), origin=Origin(source="udp:192.0.2.1:5060", user="ann"))


class FakeForks:
    """Receives orders; the test plays the fork server's workers."""

    def __init__(self, path: Path, **told: Callable[..., None]) -> None:
        self.told = told
        self.ordered: asyncio.Queue[WorkerSpec] = asyncio.Queue()
        self.killed: list[WorkerId] = []

    async def start(self, watch: Watch) -> None:
        self.told["on_up"]()

    async def close(self) -> None:
        pass

    def spawn(self, spec: WorkerSpec) -> None:
        self.ordered.put_nowait(spec)

    def kill(self, worker: WorkerId) -> None:
        self.killed.append(worker)


@dataclass
class FakeEdge:
    """Notes the events that it receives."""

    granted: asyncio.Queue[WorkerId] = field(default_factory=asyncio.Queue)
    lost: asyncio.Queue[WorkerId] = field(default_factory=asyncio.Queue)
    claims: asyncio.Queue[tuple[WorkerId, "asyncio.Future[None]"]] = field(default_factory=asyncio.Queue)
    fault: Exception | None = None

    def grant(self, worker: WorkerId, sip_port: int) -> None:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        self.granted.put_nowait(worker)

    def taken(self, worker: WorkerId, sip_port: int, *, leased: bool) -> "asyncio.Future[None]":
        known: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.claims.put_nowait((worker, known))
        return known

    def gone(self, worker: WorkerId) -> None:
        self.lost.put_nowait(worker)


@dataclass
class FakeSession:
    """Lease of one call."""

    handle_: WorkerHandle
    call: AdmittedCall | None = None
    events: asyncio.Queue[SessionEvent] = field(default_factory=asyncio.Queue)
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    fault: Exception | None = None

    def deliver(self, event: SessionEvent, worker: WorkerId) -> None:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        self.events.put_nowait(event)

    def measured(self, media: MediaMeasured) -> None:
        raise AssertionError("nothing was measured")

    def worker_lost(self, worker: WorkerId) -> None:
        self.lost.set()


class FakeWorker:
    """The far end of a worker's socket."""

    def __init__(self, spec: WorkerSpec, pool: Pool | None = None) -> None:
        self.name = spec.worker
        self._pool = pool
        self._path = spec.control_path
        self._decoder = msgspec.msgpack.Decoder(ToWorker)

    async def hello(self, pid: int = NOBODY) -> "FakeWorker":
        self.reader, self.writer = await asyncio.open_unix_connection(self._path)
        self.say(WorkerHello(worker=self.name, sip_port=5060, pid=pid, capacity=4))
        return self

    def say(self, *messages: msgspec.Struct) -> None:
        self.writer.write(encode_frames(messages))

    def call(self) -> None:
        """An INVITE that the edge has sent to it."""
        assert self._pool is not None
        self._pool.lease_taken(self.name, LEASE)
        self.invited()

    def invited(self) -> None:
        self.say(
            LegIncoming(
                leg=LegId("in1"),
                at=0.0,
                sip_call_id=SipCallId("c1"),
                request_uri="sip:1@h",
                from_header="<sip:a@h>",
                to_header="<sip:1@h>",
                headers=(),
            )
        )

    async def heard(self) -> Any:
        """The next order; None: the socket was closed."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                length = int.from_bytes(await self.reader.readexactly(4), "big")
                order = self._decoder.decode(await self.reader.readexactly(length))
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
        if not isinstance(order, SessionOrders):
            return order
        (only,) = order.orders
        return only

    def close(self) -> None:
        self.writer.close()


@dataclass
class Scene:
    pool: Pool
    forks: FakeForks
    edge: FakeEdge
    watch: Watch
    sessions: asyncio.Queue[FakeSession]
    refused: asyncio.Queue[str]
    fault: Exception | None = None
    """Error that creating the next session raises."""
    workers: list[FakeWorker] = field(default_factory=list)

    def begin(self, handle: WorkerHandle, call: AdmittedCall | None = None) -> FakeSession:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        session = FakeSession(handle, call)
        self.sessions.put_nowait(session)
        return session

    async def spec(self) -> WorkerSpec:
        return await soon(self.forks.ordered.get())

    async def worker(self, pid: int = NOBODY) -> FakeWorker:
        """The next worker that is ordered, leased to the edge."""
        worker = await FakeWorker(await self.spec(), self.pool).hello(pid)
        self.workers.append(worker)
        assert await soon(self.edge.granted.get()) == worker.name
        return worker

    async def called(self) -> tuple[FakeWorker, FakeSession]:
        """A worker with a call."""
        worker = await self.worker()
        worker.call()
        return worker, await soon(self.sessions.get())


async def soon(what: Any) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        return await what


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """A pool that keeps one worker warm, of at most three."""
    monkeypatch.setattr("b2bua.engine.pool.ForkLink", FakeForks)
    monkeypatch.setattr("b2bua.watch._FIRST_PAUSE_S", 0.0)
    edge, watch = FakeEdge(), Watch()
    options = PoolOptions(
        folder=tmp_path,
        idle=1,
        max=3,
        rtp_bind="127.0.0.1",
        rtp_advertise="",
        rtp_ports=(20000, 20191),
        codecs=("PCMU",),
        tones_folder=tmp_path,
        user_agent="test",
        secret="",
        srtp=False,
        clock_rate_hz=8000,
    )
    begun: list[Scene] = []
    refused: asyncio.Queue[str] = asyncio.Queue()
    pool = Pool(options, edge, lambda handle, came: begun[0].begin(handle, came), refused.put_nowait, watch)
    await pool.prepare()
    scene = Scene(pool, pool._forks, edge, watch, asyncio.Queue(), refused)  # type: ignore[arg-type]
    begun.append(scene)
    starting = asyncio.create_task(pool.start(5060))
    scene.workers.append(await scene.worker())
    await starting
    scene.forks.ordered = asyncio.Queue()
    yield scene
    await pool.close()
    await watch.close()
    for worker in scene.workers:
        worker.close()


async def first_call(scene: Scene) -> tuple[FakeWorker, FakeSession]:
    worker = scene.workers[0]
    worker.call()
    return worker, await soon(scene.sessions.get())


async def test_a_worker_has_one_session_after_the_other(scene: Scene) -> None:
    worker, session = await first_call(scene)
    worker.say(LegConfirmed(leg=LegId("in1"), at=1.0))
    assert isinstance(await soon(session.events.get()), LegConfirmed)
    session.handle_.send(EndSession())
    assert await worker.heard() == EndSession()
    worker.say(SessionDone(sessions=1, healthy=True))
    assert await soon(scene.edge.granted.get()) == worker.name
    worker.call()
    assert (await soon(scene.sessions.get())) is not session


async def test_a_call_that_is_quicker_than_the_edges_word_loses_nothing(
    scene: Scene,
) -> None:
    worker = scene.workers[0]
    worker.invited()
    worker.say(LegConfirmed(leg=LegId("in1"), at=1.0), LegConfirmed(leg=LegId("in1"), at=2.0))
    await scene.spec()  # another is ordered: the call has been seen
    assert scene.pool.count(WorkerState.ARRIVED) == 1 and scene.sessions.empty()
    scene.pool.lease_taken(worker.name, LEASE)
    session = await soon(scene.sessions.get())
    assert session.call.origin == LEASE.origin and session.call.invite.sip_call_id == "c1"
    worker.say(LegConfirmed(leg=LegId("in1"), at=3.0))
    assert [(await soon(session.events.get())).at for _ in range(3)] == [1.0, 2.0, 3.0]


async def test_a_call_of_which_the_edge_says_nothing_is_refused_and_counted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(worker_roster._LIMITS_S, WorkerState.ARRIVED, 0.05)
    worker = scene.workers[0]
    worker.invited()
    assert await worker.heard() == Retire()  # which is 503 to the caller
    assert await soon(scene.refused.get()) == "not admitted"
    assert scene.sessions.empty()
    assert await soon(scene.edge.lost.get()) == worker.name


async def test_who_keeps_a_handle_too_long_writes_to_nobody(scene: Scene) -> None:
    worker, old = await first_call(scene)
    worker.say(SessionDone(sessions=1, healthy=True))
    await soon(scene.edge.granted.get())
    worker.call()
    new = await soon(scene.sessions.get())
    old.handle_.send(HangupLeg(leg=LegId("in1")))
    new.handle_.send(EndSession())
    assert await worker.heard() == EndSession()


async def test_a_session_that_cannot_be_made_costs_its_worker_only(scene: Scene) -> None:
    scene.fault = ValueError("a bug")
    worker = scene.workers[0]
    worker.call()
    assert await worker.heard() == Retire()
    second = await scene.worker()
    second.call()
    await soon(scene.sessions.get())


async def test_what_a_session_raises_costs_that_message_only(scene: Scene) -> None:
    worker, session = await first_call(scene)
    session.fault = ValueError("a bug")
    worker.say(LegConfirmed(leg=LegId("a"), at=1.0), LegConfirmed(leg=LegId("b"), at=2.0))
    assert (await soon(session.events.get())).leg == "b"
    assert not session.lost.is_set()


async def test_a_lease_that_cannot_be_granted_does_not_end_the_pool(scene: Scene) -> None:
    worker, _ = await first_call(scene)
    scene.edge.fault = ValueError("a bug")
    worker.say(SessionDone(sessions=1, healthy=True))
    second = await scene.worker()
    second.call()
    await soon(scene.sessions.get())


async def test_a_worker_that_cannot_be_understood_is_killed_and_its_session_told(scene: Scene) -> None:
    with process() as other:
        scene.workers[0].call()  # so that another one is ordered
        await soon(scene.sessions.get())
        worker = await scene.worker(other.pid)
        worker.call()
        session = await soon(scene.sessions.get())
        worker.writer.write(b"\0\0\0\1\xc1")
        await soon(session.lost.wait())
        assert await asyncio.to_thread(other.wait, 5) == -signal.SIGKILL


async def test_one_that_comes_after_it_was_given_up_is_sent_away(scene: Scene) -> None:
    scene.workers[0].call()
    spec = await scene.spec()
    scene.forks.told["on_exited"](spec.worker)
    late = await FakeWorker(spec).hello()
    assert await late.heard() == Retire()
    late.close()


async def test_the_pid_of_one_that_was_reaped_does_not_end_the_upkeep(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(worker_roster._LIMITS_S, WorkerState.RETIRING, 0.05)
    with process() as other:
        await first_call(scene)
        worker = await scene.worker(other.pid)
        other.kill()
        other.wait()  # its socket is still open, as if somebody had inherited it
        worker.call()
        await soon(scene.sessions.get())
        worker.say(SessionDone(sessions=1, healthy=False))
        assert await worker.heard() == Retire()
        assert await worker.heard() is None  # the limit has come
    assert scene.watch.reasons() == []
    assert not [line for line in caplog.records if line.exc_info]
    # And the next one that hangs is found as well.
    third = await scene.worker()
    third.call()
    await soon(scene.sessions.get())
    third.say(SessionDone(sessions=1, healthy=False))
    assert await third.heard() == Retire()
    assert await third.heard() is None


async def test_one_that_has_not_told_its_pid_is_killed_by_its_parent(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(worker_roster._LIMITS_S, WorkerState.STARTING, 0.05)
    await first_call(scene)
    first = await scene.spec()
    await scene.spec()
    assert scene.forks.killed[0] == first.worker


async def test_the_upkeep_goes_on_after_an_exception(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(worker_roster._LIMITS_S, WorkerState.TAKEN, 0.05)
    faults = [ValueError("a bug")]
    on_tick = Workers._on_tick

    def raise_once(self: Workers, now: float) -> None:
        if faults:
            raise faults.pop()
        on_tick(self, now)

    monkeypatch.setattr(Workers, "_on_tick", raise_once)
    worker = scene.workers[0]
    scene.pool.lease_taken(worker.name, LEASE)
    assert await worker.heard() == Retire()
    assert [line.__dict__["task"] for line in caplog.records if line.message.startswith("a background")] == [
        "the pool's upkeep"
    ]


async def test_starts_that_fail_are_a_reason_until_one_does_not(scene: Scene) -> None:
    await first_call(scene)
    for _ in range(3):
        assert scene.pool.reasons() == []
        scene.forks.told["on_exited"]((await scene.spec()).worker)
    assert scene.pool.reasons() == ["workers do not start"]
    await scene.worker()
    assert scene.pool.reasons() == []


class TestTake:
    async def test_the_session_begins_when_the_edge_knows(self, scene: Scene) -> None:
        taking = asyncio.create_task(scene.pool.take(scene.begin))
        worker = await FakeWorker(await scene.spec()).hello()
        scene.workers.append(worker)
        name, known = await soon(scene.edge.claims.get())
        assert name == worker.name
        assert scene.sessions.empty()
        known.set_result(None)
        session = await soon(taking)
        session.handle_.send(EndSession())
        assert await worker.heard() == EndSession()

    async def test_what_cannot_begin_says_so_and_costs_its_worker(self, scene: Scene) -> None:
        scene.fault = B2buaError("a bug")
        taking = asyncio.create_task(scene.pool.take(scene.begin))
        worker = await FakeWorker(await scene.spec()).hello()
        scene.workers.append(worker)
        (await soon(scene.edge.claims.get()))[1].set_result(None)
        with pytest.raises(B2buaError, match="a bug"):
            await soon(taking)
        assert await worker.heard() == Retire()

    @pytest.mark.parametrize("knows_first", [False, True])
    async def test_who_stops_waiting_leaves_the_worker_to_others(
        self, scene: Scene, knows_first: bool
    ) -> None:
        taking = asyncio.create_task(scene.pool.take(scene.begin))
        worker = await FakeWorker(await scene.spec()).hello()
        scene.workers.append(worker)
        _, known = await soon(scene.edge.claims.get())
        if knows_first:  # it is given away before he can say that he has left
            known.set_result(None)
            taking.cancel()
        else:
            taking.cancel()
            known.set_result(None)
        with pytest.raises(asyncio.CancelledError):
            await taking
        assert await soon(scene.edge.granted.get()) == worker.name
        assert scene.sessions.empty()

    async def test_there_are_no_more_than_there_may_be(self, scene: Scene) -> None:
        await first_call(scene)
        for _ in range(2):
            worker = await scene.worker()
            worker.call()
            await soon(scene.sessions.get())
        with pytest.raises(CapacityError):
            await soon(scene.pool.take(scene.begin))
        assert scene.pool.count() == scene.pool.count(WorkerState.BUSY) == scene.pool.max_workers == 3


class TestProcess:
    @pytest.fixture(params=["pidfd", "start time"], autouse=True)
    def way(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        if request.param == "start time":
            monkeypatch.delattr(os, "pidfd_open")

    def test_it_is_killed(self) -> None:
        with process() as other:
            found = Process(other.pid)
            found.kill()
            assert other.wait(5) == -signal.SIGKILL
            found.close()

    def test_one_that_was_reaped_is_not(self) -> None:
        with process() as other:
            found = Process(other.pid)
            other.kill()
            other.wait(5)
            found.kill()
            found.close()

    def test_another_one_with_its_number_is_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with process() as one, process() as other:
            found = Process(one.pid)
            one.kill()
            one.wait(5)
            found.pid = other.pid  # as if the kernel had given the number again
            monkeypatch.setattr("b2bua.engine.process._begun", lambda pid: f"later than {found._begun}")
            found.kill()
            other.stdin.write(b"alive\n")
            other.stdin.flush()
            assert other.stdout.readline() == b"alive\n"
            found.close()


@contextlib.contextmanager
def process() -> Any:
    """A process that reports what it receives, until it is killed."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        try:
            yield running
        finally:
            running.kill()
