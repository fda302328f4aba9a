"""The node's side of the link to the edge: start, orders, reports and the loss of the process."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from b2bua.core.admission import Lease, Origin
from b2bua.core.errors import B2buaError, ConfigError
from b2bua.core.ids import SipCallId, WorkerId
from b2bua.ipc.channel import Channel
from b2bua.node import edge_link as edge_link_module
from b2bua.node.edge_link import EdgeLink
from b2bua.node.facts import CallsRefused
from b2bua.sip.edge_control import (
    Binding,
    BindingsChanged,
    CallRefused,
    EdgeConfig,
    EdgeFailed,
    EdgeReady,
    GrantLease,
    LeaseTaken,
    ListenSpec,
    SetDraining,
    ToEdge,
    TrunkState,
    WorkerGone,
    WorkerKnown,
    WorkerTaken,
)
from tests.unit.ipc.pipe import End, pipe
from tests.unit.sip.edge_scene import config

pytestmark = pytest.mark.unit

W1, W2 = WorkerId("w1"), WorkerId("w2")
READY = EdgeReady(listening=(ListenSpec("udp", "127.0.0.1", 5060),), inner_port=4321)
LEASE = Lease(sip_call_id=SipCallId("call-1"), origin=Origin(source="udp:192.0.2.1:5060"))
BINDINGS = BindingsChanged(
    user="alice",
    bindings=(
        Binding(
            user="alice",
            contact="sip:alice@192.0.2.5:5060",
            call_id="reg-1",
            cseq=1,
            expires_at=100.0,
            source="udp:192.0.2.5:5060",
        ),
    ),
)
TRUNK = TrunkState(trunk="pbx", registration="registered", reachable=True, sip_code=0)


class Process:
    """An edge process that does nothing until the test ends it."""

    pid = 4711

    def __init__(self) -> None:
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    def end(self, status: int = 0) -> None:
        self.returncode = status
        self._ended.set()

    async def wait(self) -> int | None:
        await self._ended.wait()
        return self.returncode


class Server:
    closed = False

    def close(self) -> None:
        self.closed = True


class Scene:
    """A link whose process and socket are the test's; the test holds the edge's end."""

    def __init__(self, folder: Path) -> None:
        self.reports: list[Any] = []
        self.gone = 0
        self.process = Process()
        self.server = Server()
        self.command: tuple[str, ...] = ()
        self.path = folder / "edge.sock"
        self.link = EdgeLink(
            folder,
            "json",
            lambda worker, lease: self.reports.append((worker, lease)),
            self.reports.append,
            self.reports.append,
            self._lost,
            self.reports.append,
        )
        self._link_end, self.edge = pipe()
        self._connected: asyncio.Future[Any] | None = None
        decoder = msgspec.msgpack.Decoder(ToEdge)
        self._orders = Channel(self.edge.reader, self.edge.writer, decoder).__aiter__()

    def _lost(self) -> None:
        self.gone += 1

    async def listen(self, serve: Any, path: str) -> Server:
        """Stand in for ``asyncio.start_unix_server``."""
        Path(path).touch()  # noqa: ASYNC240
        self._connected = asyncio.ensure_future(self._serve(serve))
        return self.server

    async def _serve(self, serve: Any) -> None:
        await serve(self._link_end.reader, self._link_end.writer)

    async def run(self, *command: str, **options: Any) -> Process:
        """Stand in for ``asyncio.create_subprocess_exec``."""
        self.command = command
        return self.process

    async def started(self, *bindings: BindingsChanged, first: EdgeConfig | None = None) -> "Scene":
        """Start the link with an edge that is ready."""
        self.edge.send(READY)
        assert await self.link.start(first or config(), bindings) == READY
        return self

    async def order(self) -> Any:
        """Return the next message to the edge."""
        async with asyncio.timeout(10):
            return await anext(self._orders)

    async def ends(self) -> None:
        """Close the edge's end, and wait until the link has read everything."""
        self.edge.close()
        if self._connected is not None:
            async with asyncio.timeout(10):
                await self._connected

    @property
    def link_end(self) -> End:
        return self._link_end


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path)
    monkeypatch.setattr(edge_link_module.asyncio, "start_unix_server", scene.listen)
    monkeypatch.setattr(edge_link_module.asyncio, "create_subprocess_exec", scene.run)
    monkeypatch.setattr(edge_link_module, "_LAST_WORDS_S", 0.05)
    yield scene
    scene.process.end()
    await scene.ends()


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, edge_link_module.__name__):
        yield caplog


class TestStart:
    async def test_the_configuration_goes_first_and_then_the_bindings(self, scene: Scene) -> None:
        first = config(domain="first.example.com")
        await scene.started(BINDINGS, first=first)
        scene.link.drain()
        assert [await scene.order() for _ in range(3)] == [first, BINDINGS, SetDraining(draining=True)]

    async def test_the_process_finds_a_socket_that_is_private(self, scene: Scene) -> None:
        await scene.started()
        assert scene.command[1:] == (
            "-m", "b2bua.sip.edge", "--control", str(scene.path), "--log-format", "json"
        )  # fmt: skip
        assert scene.path.stat().st_mode & 0o777 == 0o600
        assert scene.link.pid == 4711
        scene.process.end()
        assert scene.link.pid is None

    async def test_an_address_that_cannot_be_used_is_an_error_of_the_configuration(
        self, scene: Scene
    ) -> None:
        scene.edge.send(EdgeFailed(text="cannot listen on udp://192.0.2.1:5060"))
        with pytest.raises(ConfigError, match="cannot listen on udp"):
            await scene.link.start(config())

    async def test_the_last_message_of_an_ended_process_counts(self, scene: Scene) -> None:
        starting = asyncio.ensure_future(scene.link.start(config()))
        await scene.order()
        scene.process.end(1)
        for _ in range(10):  # turns of the loop: the end of the process is noticed before the message arrives
            await asyncio.sleep(0)
        scene.edge.send(EdgeFailed(text="the port is in use"))
        with pytest.raises(ConfigError, match="the port is in use"):
            await starting

    async def test_a_process_that_ends_without_a_message(self, scene: Scene) -> None:
        scene.process.end(1)
        with pytest.raises(B2buaError, match="ended before it listened"):
            await scene.link.start(config())

    async def test_a_connection_that_is_lost_before_the_edge_is_ready(self, scene: Scene) -> None:
        scene.edge.close()
        with pytest.raises(B2buaError, match="ended before it listened"):
            await scene.link.start(config())
        assert scene.gone == 0  # ``start`` has reported it

    async def test_a_process_that_hangs(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(edge_link_module, "_START_LIMIT_S", 0.01)
        with pytest.raises(B2buaError, match="does not listen after"):
            await scene.link.start(config())
        await scene.ends()
        assert scene.link_end.is_closed

    def test_orders_before_the_start_are_dropped(self, scene: Scene) -> None:
        scene.link.gone(W1)
        scene.link.drain()
        assert scene.link.pid is None


class TestOrders:
    async def test_they_arrive_in_order(self, scene: Scene) -> None:
        await scene.started()
        await scene.order()  # the configuration
        fresh = config(allow=())
        scene.link.grant(W1, 10001)
        known = scene.link.taken(W2, 10002, leased=True)
        scene.link.gone(W1)
        scene.link.restore(BINDINGS)
        scene.link.configure(fresh)
        scene.link.drain()
        assert [await scene.order() for _ in range(6)] == [
            GrantLease(worker=W1, sip_port=10001),
            WorkerTaken(worker=W2, sip_port=10002, leased=True),
            WorkerGone(worker=W1),
            BINDINGS,
            fresh,
            SetDraining(draining=True),
        ]
        assert not known.done()

    async def test_a_taken_worker_is_known_when_the_edge_says_so(self, scene: Scene) -> None:
        await scene.started()
        first, second = (scene.link.taken(each, 10001, leased=False) for each in (W1, W2))
        scene.edge.send(WorkerKnown(worker=WorkerId("w9")), WorkerKnown(worker=W2))
        await asyncio.wait_for(second, 10)
        assert not first.done()

    async def test_an_answer_that_nobody_awaits_any_more_is_ignored(
        self, scene: Scene, caplog: pytest.LogCaptureFixture
    ) -> None:
        await scene.started()
        scene.link.taken(W1, 10001, leased=False).cancel()
        scene.edge.send(WorkerKnown(worker=W1), WorkerKnown(worker=W1))
        await scene.ends()
        assert not [
            each for each in caplog.records if each.exc_info and each.name == edge_link_module.__name__
        ]


class TestReports:
    async def test_each_is_passed_on_in_order(self, scene: Scene) -> None:
        await scene.started()
        scene.edge.send(
            LeaseTaken(worker=W1, lease=LEASE),
            CallRefused(reason="rate", source="udp:192.0.2.9:5060", count=3),
            BINDINGS,
            TRUNK,
        )
        await scene.ends()
        refused = CallsRefused(reason="rate", source="udp:192.0.2.9:5060", count=3)
        assert scene.reports == [(W1, LEASE), refused, BINDINGS, TRUNK]

    @pytest.mark.parametrize(
        ("changes", "level"),
        [
            ({}, "INFO"),
            ({"registration": "trying"}, "INFO"),
            ({"reachable": None}, "INFO"),
            ({"reachable": False, "sip_code": 503}, "WARNING"),
            ({"registration": "failed", "sip_code": 403}, "WARNING"),
        ],
    )
    async def test_a_trunk_in_trouble_is_a_warning(
        self, scene: Scene, warnings: pytest.LogCaptureFixture, changes: dict[str, Any], level: str
    ) -> None:
        state = msgspec.structs.replace(TRUNK, **changes)
        await scene.started()
        scene.edge.send(state)
        await scene.ends()
        (record,) = [each for each in warnings.records if each.message == "trunk"]
        assert record.levelname == level
        facts = vars(record)
        assert (facts["registration"], facts["sip_code"]) == (state.registration, state.sip_code)

    async def test_one_that_cannot_be_handled_costs_no_other(
        self, scene: Scene, caplog: pytest.LogCaptureFixture
    ) -> None:
        await scene.started()
        scene.edge.send(READY)  # a second one: its future is done
        scene.edge.send(LeaseTaken(worker=W1, lease=LEASE))
        await scene.ends()
        assert scene.reports == [(W1, LEASE)]
        (record,) = [
            each for each in caplog.records if each.exc_info and each.name == edge_link_module.__name__
        ]
        assert vars(record)["kind"] == "EdgeReady"


class TestEnd:
    async def test_a_process_that_is_lost_is_reported_once(self, scene: Scene) -> None:
        await scene.started()
        await scene.ends()
        assert scene.gone == 1
        assert scene.link_end.is_closed

    async def test_a_process_that_we_end_is_not_lost(self, scene: Scene) -> None:
        await scene.started()
        scene.process.end()
        await scene.link.close()
        await scene.ends()
        assert scene.gone == 0
        assert scene.server.closed and scene.link_end.is_closed

    async def test_orders_after_the_end_are_dropped(self, scene: Scene) -> None:
        await scene.started()
        await scene.ends()
        scene.link.grant(W1, 10001)
        assert await scene.order() == config()
        with pytest.raises(StopAsyncIteration):
            await scene.order()
