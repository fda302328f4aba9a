"""The edge's side of its link to the controller: the start, the orders that it obeys, and the end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import msgspec
import pytest

from b2bua.core.errors import ConfigError
from b2bua.core.ids import WorkerId
from b2bua.ipc.channel import Channel
from b2bua.sip import edge as edge_module
from b2bua.sip.edge import Edge
from b2bua.sip.edge_control import (
    Binding,
    BindingsChanged,
    EdgeFailed,
    EdgeReady,
    FromEdge,
    GrantLease,
    ListenSpec,
    SetDraining,
    TlsSpec,
    ToEdge,
    UserSpec,
    WorkerGone,
    WorkerKnown,
    WorkerTaken,
)
from b2bua.sip.listening import Sockets
from b2bua.sip.proxy import Proxy
from tests.unit.ipc.pipe import pipe
from tests.unit.sip.edge_scene import config

pytestmark = pytest.mark.unit

W1, W2 = WorkerId("w1"), WorkerId("w2")
LISTENING = (ListenSpec("udp", "192.0.2.1", 5062),)
USER = UserSpec(name="alice", md5="0" * 32, sha256="0" * 64)
BINDINGS = BindingsChanged(
    user="alice",
    bindings=(
        Binding(
            user="alice",
            contact="sip:alice@192.0.2.5:5060",
            call_id="reg-1",
            cseq=1,
            expires_at=float("inf"),
            source="udp:192.0.2.5:5060",
        ),
    ),
)


class NoSockets(Sockets):
    """Nothing is bound, and nothing arrives."""

    inner_port = 4321

    def listening(self, listen: tuple[ListenSpec, ...]) -> tuple[ListenSpec, ...]:
        return LISTENING


class Controller:
    """An edge that runs, and the controller's end of its channel."""

    def __init__(self) -> None:
        self._connect(Edge(NoSockets()))

    def _connect(self, edge: Edge) -> None:
        edge_end, self.end = pipe()
        decoder = msgspec.msgpack.Decoder(ToEdge)
        channel = cast(Channel[ToEdge], Channel(edge_end.reader, edge_end.writer, decoder))
        self.edge = edge
        self.edge_end = edge_end
        self.running = asyncio.ensure_future(edge.serve(channel))
        reports = msgspec.msgpack.Decoder(FromEdge)
        self._reports = Channel(self.end.reader, self.end.writer, reports).__aiter__()

    async def report(self) -> Any:
        """Return the next message of the edge."""
        async with asyncio.timeout(10):
            return await anext(self._reports)

    async def status(self) -> int:
        """Close the controller's end; return what the edge says of it."""
        self.end.close()
        async with asyncio.timeout(10):
            return await self.running

    async def again(self) -> "Controller":
        """Return the next controller of the same edge."""
        other = Controller.__new__(Controller)
        other._connect(self.edge)
        return other


@pytest.fixture
async def controller(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Controller]:
    monkeypatch.setattr(edge_module.gc, "freeze", lambda: None)
    controller = Controller()
    yield controller
    await controller.status()
    await controller.edge.close()


async def started(controller: Controller, **changes: Any) -> Controller:
    controller.end.send(config(nameservers=("192.0.2.53",), **changes))
    assert await controller.report() == EdgeReady(listening=LISTENING, inner_port=4321)
    return controller


class TestStart:
    async def test_it_reports_the_ports_that_it_got(self, controller: Controller) -> None:
        await started(controller)
        assert await controller.status() == 0

    async def test_without_a_configuration_it_ends(self, controller: Controller) -> None:
        assert await controller.status() == 1

    async def test_a_first_message_that_is_none_ends_it(self, controller: Controller) -> None:
        controller.end.send(GrantLease(worker=W1, sip_port=10001), config())
        async with asyncio.timeout(10):
            assert await controller.running == 1

    async def test_a_certificate_that_cannot_be_used_is_reported(
        self, controller: Controller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: Any) -> None:
            raise ConfigError("cert.pem cannot be read")

        monkeypatch.setattr(edge_module, "Contexts", refuse)
        controller.end.send(config(tls=TlsSpec(certificate="cert.pem", key="key.pem")))
        assert await controller.report() == EdgeFailed(text="cert.pem cannot be read")
        async with asyncio.timeout(10):
            assert await controller.running == 1
        assert controller.edge_end.is_closed


class TestOrders:
    async def test_a_taken_worker_is_acknowledged_in_order(self, controller: Controller) -> None:
        await started(controller)
        controller.end.send(
            GrantLease(worker=W2, sip_port=10002),
            WorkerTaken(worker=W1, sip_port=10001),
            WorkerTaken(worker=W2, sip_port=10002, leased=True),
        )
        assert [await controller.report() for _ in range(2)] == [
            WorkerKnown(worker=W1),
            WorkerKnown(worker=W2),
        ]

    async def test_one_that_fails_costs_no_other(
        self, controller: Controller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        obey = Proxy.obey

        def fail_at_a_loss(self: Proxy, order: ToEdge, now: float) -> Any:
            if isinstance(order, WorkerGone):
                raise ValueError("a bug")
            return obey(self, order, now)

        monkeypatch.setattr(Proxy, "obey", fail_at_a_loss)
        await started(controller)
        controller.end.send(WorkerGone(worker=W2), WorkerTaken(worker=W1, sip_port=10001))
        assert await controller.report() == WorkerKnown(worker=W1)
        faults = [each for each in caplog.records if each.name == edge_module.__name__]
        assert [each.exc_info is not None for each in faults] == [True]
        assert await controller.status() == 0

    async def test_the_bindings_of_a_removed_user_are_gone(self, controller: Controller) -> None:
        await started(controller, users=(USER,))
        # Draining makes the edge report at once what it would report at its next tick.
        controller.end.send(BINDINGS, config(users=()), SetDraining(draining=True))
        assert await controller.report() == BindingsChanged(user="alice", bindings=())

    async def test_restored_bindings_of_a_user_stay(self, controller: Controller) -> None:
        await started(controller, users=(USER,))
        controller.end.send(
            BINDINGS,
            config(users=(USER,)),
            SetDraining(draining=True),
            WorkerTaken(worker=W1, sip_port=10001),
        )
        assert await controller.report() == WorkerKnown(worker=W1)


class TestNextController:
    async def test_it_is_told_what_the_edge_knows(self, controller: Controller) -> None:
        await started(controller, users=(USER,))
        controller.end.send(GrantLease(worker=W1, sip_port=10001), BINDINGS)
        controller.end.send(WorkerTaken(worker=W2, sip_port=10002))
        assert await controller.report() == WorkerKnown(worker=W2)
        assert await controller.status() == 0
        other = await controller.again()
        other.end.send(config(users=(USER,)))
        assert await other.report() == EdgeReady(listening=LISTENING, inner_port=4321, workers=(W1, W2))
        assert await other.report() == BINDINGS
        assert await other.status() == 0

    async def test_it_takes_the_place_of_one_that_is_still_there(self, controller: Controller) -> None:
        await started(controller)
        other = await controller.again()
        other.end.send(config())
        assert isinstance(await other.report(), EdgeReady)
        assert controller.edge_end.is_closed
        other.end.send(WorkerTaken(worker=W1, sip_port=10001))
        assert await other.report() == WorkerKnown(worker=W1)
        assert await other.status() == 0
