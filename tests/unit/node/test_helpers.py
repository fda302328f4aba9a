"""Further workers for a session: all at once, and sent back where they come too late."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from b2bua.core.commands import EndSession
from b2bua.core.errors import CapacityError
from b2bua.node.helpers import Helpers

pytestmark = pytest.mark.unit


class Handle:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, *orders: Any) -> None:
        self.sent += orders


class Scene:
    """A pool that answers when it is told to, and a session that counts."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[Any], Any], asyncio.Future[Any]]] = []
        self.at_once: list[bool] = []
        self.got: list[Handle] = []
        self.refused = 0
        self.tasks: list[asyncio.Task[None]] = []
        around: Any = self
        self.helpers = Helpers(around, self.spawn, around)

    async def take(self, begin: Callable[[Any], Any], *, at_once: bool = False) -> Any:
        given: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.waiting.append((begin, given))
        self.at_once.append(at_once)
        return await given

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    def helped(self, worker: Any) -> None:
        self.got.append(worker)

    def not_helped(self) -> None:
        self.refused += 1

    def gives(self) -> Handle:
        begin, given = self.waiting.pop(0)
        handle = Handle()
        assert begin(handle) is self
        given.set_result(self)
        return handle

    async def settled(self) -> None:
        await asyncio.gather(*self.tasks)


async def test_all_are_asked_for_before_the_first_has_come() -> None:
    scene = Scene()
    scene.helpers.want(3)
    await asyncio.sleep(0)
    assert scene.at_once == [True, True, True]
    handles = [scene.gives() for _ in range(3)]
    await scene.settled()
    assert scene.got == handles


async def test_the_session_hears_of_each_that_cannot_be_had() -> None:
    scene = Scene()
    scene.helpers.want(2)
    await asyncio.sleep(0)
    for _, given in scene.waiting:
        given.set_exception(CapacityError("all workers are busy"))
    await scene.settled()
    assert scene.refused == 2


async def test_one_that_comes_after_the_end_is_sent_back() -> None:
    scene = Scene()
    scene.helpers.want(2)
    await asyncio.sleep(0)
    scene.helpers.close()
    assert scene.gives().sent == [EndSession()]
    scene.waiting[0][1].set_exception(CapacityError("all workers are busy"))
    await scene.settled()
    assert (scene.got, scene.refused) == ([], 0)
