"""How many calls a node takes, from whom it takes none, and when the last one is over."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from b2bua.core.errors import CapacityError
from b2bua.core.ids import CallSid
from b2bua.node import live_calls
from b2bua.node.configuration import Configuration
from b2bua.node.live_calls import LiveCalls
from b2bua.settings import Settings

pytestmark = pytest.mark.unit

DRAINING, TROUBLE, BUSY = "draining", "the database does not accept writes", "all workers are busy"


class Call:
    """A session."""

    def __init__(self, sid: CallSid, on_over: Callable[[Any], None]) -> None:
        self.sid = sid
        self._on_over = on_over
        self.started = False
        self.noted: tuple[Any, ...] = ()

    def start(self) -> None:
        self.started = True

    def note(self, findings: tuple[Any, ...]) -> None:
        self.noted = findings

    def has_dialog(self, call_id: str) -> bool:
        return call_id == f"dialog of {self.sid}"

    def cancel(self, by: str) -> None:
        self._on_over(self)


class Maker:
    """Makes sessions that do nothing."""

    def __init__(self, services: Any, webhooks: Any, logs: Any, on_over: Callable[[Any], None]) -> None:
        self._on_over = on_over
        self._made = 0

    def begin(self, *_: Any) -> Call:
        self._made += 1
        return Call(CallSid(f"CA{self._made}"), self._on_over)


class Pool:
    """Has a worker for everybody, once there is one."""

    max_workers = 9

    def __init__(self) -> None:
        self.has_workers = asyncio.Event()
        self.has_workers.set()

    async def take(self, begin: Callable[[Any], Any]) -> Any:
        await self.has_workers.wait()
        return begin(None)


class Scene:
    """The calls of a node.

    Args:
        workers: that the node can have.
        max_calls: of the settings.
        pairs: of ports that the relay has.
    """

    def __init__(self, workers: int = 9, max_calls: int = 9, pairs: int = 18) -> None:
        self.pool = Pool()
        self.pool.max_workers = workers
        self.store = SimpleNamespace(is_in_trouble=False)
        settings = Settings.model_validate({"security": {"max_calls": max_calls}})
        node: Any = SimpleNamespace(
            configuration=Configuration(settings),
            pool=self.pool,
            relay=SimpleNamespace(pairs=pairs),
            store=self.store,
            facts=lambda: None,
        )
        unused: Any = None
        self.calls = LiveCalls(node, unused, unused)

    async def call(self, *findings: Any) -> CallSid:
        unused: Any = None
        return await self.calls.call(unused, unused, None, findings)


@pytest.fixture(autouse=True)
def maker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_calls, "SessionMaker", Maker)


@pytest.mark.parametrize(
    ("workers", "max_calls", "pairs"), [(3, 9, 18), (9, 3, 18), (9, 9, 7)], ids=["workers", "limit", "ports"]
)
async def test_the_scarcest_means_limit_the_calls(workers: int, max_calls: int, pairs: int) -> None:
    scene = Scene(workers, max_calls, pairs)
    assert scene.calls.capacity == 3
    for _ in range(3):
        assert scene.calls.what_forbids() == []
        await scene.call()
    assert scene.calls.what_forbids() == [BUSY]
    with pytest.raises(CapacityError):
        await scene.call()
    assert len(scene.calls) == 3


async def test_each_reason_is_told_and_forbids_calls() -> None:
    scene = Scene()
    scene.store.is_in_trouble = True
    assert scene.calls.what_forbids() == [TROUBLE]
    with pytest.raises(CapacityError):
        await scene.call()
    scene.calls.drain()
    assert scene.calls.what_forbids() == [DRAINING, TROUBLE]
    scene.store.is_in_trouble = False
    with pytest.raises(CapacityError):
        await scene.call()


async def test_a_call_that_waits_for_a_worker_takes_a_place() -> None:
    scene = Scene(max_calls=1)
    scene.pool.has_workers.clear()
    waiting = asyncio.ensure_future(scene.call())
    await asyncio.sleep(0)
    with pytest.raises(CapacityError):
        await scene.call()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    scene.pool.has_workers.set()
    assert await scene.call() == "CA1"


async def test_a_call_is_started_and_keeps_its_findings() -> None:
    scene = Scene()
    sid = await scene.call("a finding")
    call: Any = scene.calls.sessions[sid]
    assert (call.started, call.noted) == (True, ("a finding",))
    assert scene.calls.knows_dialog(f"dialog of {sid}")
    assert not scene.calls.knows_dialog("another")


async def test_an_order_for_a_call_that_is_over_is_refused() -> None:
    order: Any = None
    assert not Scene().calls.bring("CA1", order)


async def test_the_last_call_to_end_is_waited_for() -> None:
    scene = Scene()
    await scene.calls.all_over()
    sids = [await scene.call(), await scene.call()]
    over = asyncio.ensure_future(scene.calls.all_over())
    scene.calls.sessions[sids[0]].cancel("api")
    await asyncio.sleep(0)
    assert not over.done()
    await scene.call()
    scene.calls.cancel()
    await over
    assert len(scene.calls) == 0
