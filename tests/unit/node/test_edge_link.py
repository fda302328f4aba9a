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
    FromEdge,
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
from b2bua.watch import Watch
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


class Scene:
    """A link whose connections are the test's; the test holds the edge's end of the present one."""

    def __init__(self, folder: Path) -> None:
        self.reports: list[Any] = []
        self.back: list[EdgeReady] = []
        self.watch = Watch()
        self.link = EdgeLink(
            folder / "edge.sock",
            self.watch,
            lambda worker, lease: self.reports.append((worker, lease)),
            self.reports.append,
            self.reports.append,
            self.reports.append,
            self.back.append,
        )
        self._edges: asyncio.Queue[Channel[Any]] = asyncio.Queue()
        self.edge_comes()

    def edge_comes(self) -> None:
        """Let the link connect to an edge, now or when it has lost the one before."""
        self._link_end, self.edge = pipe()
        decoder = msgspec.msgpack.Decoder(ToEdge)
        self._orders = Channel(self.edge.reader, self.edge.writer, decoder).__aiter__()
        reports = msgspec.msgpack.Decoder(FromEdge)
        self._edges.put_nowait(Channel(self._link_end.reader, self._link_end.writer, reports))

    async def connect(self, path: Path, kind: Any) -> tuple[Channel[Any], int]:
        """Stand in for ``ipc.connecting.connect``."""
        return await self._edges.get(), 4711

    async def started(self, first: EdgeConfig | None = None) -> "Scene":
        """Start the link with an edge that is ready."""
        self.edge.send(READY)
        assert await self.link.start(first or config()) == READY
        return self

    async def order(self) -> Any:
        """Return the next message to the edge."""
        async with asyncio.timeout(10):
            return await anext(self._orders)

    async def ends(self) -> None:
        """Close the edge's end, and wait until the link has read everything."""
        link_end = self._link_end
        self.edge.close()
        async with asyncio.timeout(10):
            while not link_end.is_closed and self.link._watched is not None:  # noqa: ASYNC110
                await asyncio.sleep(0)

    @property
    def link_end(self) -> End:
        return self._link_end


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path)
    monkeypatch.setattr(edge_link_module, "connect", scene.connect)
    monkeypatch.setattr("b2bua.watch._FIRST_PAUSE_S", 0.0)
    yield scene
    await scene.watch.close()


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, edge_link_module.__name__):
        yield caplog


class TestStart:
    async def test_the_configuration_goes_first(self, scene: Scene) -> None:
        first = config(domain="first.example.com")
        await scene.started(first)
        scene.link.drain()
        assert [await scene.order() for _ in range(2)] == [first, SetDraining(draining=True)]

    async def test_it_knows_the_process_while_there_is_one(self, scene: Scene) -> None:
        await scene.started()
        assert scene.link.pid == 4711
        await scene.ends()
        assert scene.link.pid is None

    async def test_a_certificate_that_cannot_be_used_is_an_error_of_the_configuration(
        self, scene: Scene
    ) -> None:
        scene.edge.send(EdgeFailed(text="cert.pem cannot be read"))
        with pytest.raises(ConfigError, match=r"cert\.pem cannot be read"):
            await scene.link.start(config())

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
        self, scene: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await scene.started()
        monkeypatch.setattr(scene.link, "_on_back", None)
        scene.edge.send(READY)  # a second one
        scene.edge.send(LeaseTaken(worker=W1, lease=LEASE))
        await scene.ends()
        assert scene.reports == [(W1, LEASE)]
        (record,) = [
            each for each in caplog.records if each.exc_info and each.name == edge_link_module.__name__
        ]
        assert vars(record)["kind"] == "EdgeReady"


class TestEnd:
    async def test_the_next_edge_is_told_the_same(self, scene: Scene) -> None:
        await scene.started()
        fresh = config(allow=())
        scene.link.configure(fresh)
        claimed = scene.link.taken(W1, 10001, leased=True)
        known = scene.link.taken(W2, 10002, leased=False)
        scene.edge.send(WorkerKnown(worker=W2))
        scene.link.drain()
        await asyncio.wait_for(known, 10)
        await scene.ends()
        scene.edge_comes()
        scene.edge.send(READY)
        assert await scene.order() == fresh
        assert await scene.order() == WorkerTaken(worker=W1, sip_port=10001, leased=True)
        assert await scene.order() == SetDraining(draining=True)
        assert scene.back == [READY] and not claimed.done()

    async def test_one_that_does_not_come_back_is_a_reason(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("b2bua.watch._PATIENCE_S", 0.0)
        await scene.started()
        assert scene.watch.reasons() == []
        await scene.ends()
        assert scene.watch.reasons() == ["the edge does not run: it has ended"]

    async def test_an_edge_that_we_leave_is_not_lost(self, scene: Scene) -> None:
        await scene.started()
        await scene.link.close()
        assert scene.link_end.is_closed and scene.back == []

    async def test_orders_after_the_end_are_dropped(self, scene: Scene) -> None:
        await scene.started()
        await scene.ends()
        scene.link.grant(W1, 10001)
        assert await scene.order() == config()
        with pytest.raises(StopAsyncIteration):
            await scene.order()
