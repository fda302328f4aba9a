"""A session that is made again from its log goes on as the first one would have done."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.calls.input_log import Due, LoggedStep, encode_step, read_log
from b2bua.calls.orders import Output
from b2bua.core.commands import EndSession, HostCommand
from b2bua.core.ids import HostId
from b2bua.node import session_audio, session_facts, session_work
from b2bua.node.recalled_work import FoundHost, RecalledHost
from b2bua.node.running_session import RunningSession
from b2bua.node.session_log import SessionLog
from tests.unit.calls.logged import HEADER
from tests.unit.node.scene import (
    FACTS,
    SETTINGS,
    A,
    Clock,
    JumpingLoop,
    KeptLog,
    Story,
    World,
    incoming,
    maker,
)
from tests.unit.node.test_call_faults import PAGES, bridged, transferred, verbs

pytestmark = pytest.mark.unit

TIMED = (session_audio, session_facts, session_work)
Steps = list[tuple[Any, list[Output]]]


def in_a_loop(act: Callable[[], Awaitable[None]]) -> None:
    """Run ``act`` in a loop whose time jumps."""
    clocks = [mock.patch.object(each, "time", Clock) for each in (session_audio, session_facts, session_work)]
    with clocks[0], clocks[1], clocks[2], asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(act())  # type: ignore[arg-type]


class Watched:
    """Notes all that sessions are given and order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: dict[SessionLog, Steps] = {}
        settle = SessionLog.settle

        def settled(log: SessionLog, outputs: Any) -> None:
            outputs = list(outputs)
            self.of(log).append((log._given, outputs))
            settle(log, outputs)

        monkeypatch.setattr(SessionLog, "settle", settled)

    def of(self, log: SessionLog) -> Steps:
        return self.steps.setdefault(log, [])


class Told(World):
    """A world that notes what its worker is told."""

    def __init__(self, pages: dict[str, str]) -> None:
        super().__init__(pages)
        self.told: list[HostCommand] = []

    def send(self, *orders: Any) -> None:
        self.told += orders
        super().send(*orders)

    async def stops(self) -> None:
        """Answer nothing that was asked for."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def again(log: KeptLog, upto: int | None = None) -> tuple[RunningSession, Told]:
    """Make a session again from the beginning of its log, in a world of its own."""
    read = read_log(log.data)
    assert read is not None
    header, steps, _ = read
    world = Told(PAGES)
    call, _ = maker(world, lambda call: None).again(header, steps[:upto], SETTINGS, FACTS, None)
    return call, world


@pytest.mark.parametrize("story", [bridged, transferred, verbs])
def test_the_same_inputs_have_the_same_outputs(
    story: Callable[[World], Awaitable[Story]], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch)

    async def compare() -> None:
        world = Told(PAGES)
        first = await story(world)
        await first.moment(60)
        assert world.over == 1
        (log,) = world.logs.files
        assert log.is_closed
        made, around = again(log)
        assert watched.of(made._log) == watched.of(first.call._log)
        assert not made._log.differs
        (host,) = made.hosts.values()
        assert isinstance(host, RecalledHost)
        told = [order for order in world.told if not isinstance(order, EndSession)]
        assert host.missing(0, ()) == told
        assert not around.posted and not around.asked and not around.told
        await first.moment()

    in_a_loop(compare)


@pytest.mark.parametrize("story", [bridged, transferred, verbs])
def test_it_goes_on_from_any_point(
    story: Callable[[World], Awaitable[Story]], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch)

    async def compare() -> None:
        world = Told(PAGES)
        first = await story(world)
        await first.moment(60)
        (log,) = world.logs.files
        read = read_log(log.data)
        assert read is not None
        steps, expected = read[1], watched.of(first.call._log)
        for n in range(len(steps)):
            made, around = again(log, n)
            (host,) = made.hosts.values()
            assert isinstance(host, RecalledHost)
            had = len(host.missing(0, ()))
            made.resume(0, {HostId("w1"): FoundHost(host=around, orders=had, recordings=frozenset())})
            assert around.told == []
            outputs = watched.of(made._log)
            for step in steps[n:]:
                assert step.given is not None
                made._log._clock = lambda at=step.at: at  # type: ignore[assignment, misc]
                made._enter(step.given, step.host)
            assert outputs == expected
            assert made._guard.is_over
            await around.stops()

    in_a_loop(compare)


def test_what_was_lost_with_the_node_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders that the worker has not had reach it, and the caller's end is told."""

    async def lose() -> None:
        world = Told(PAGES)
        first = Story(world, incoming())
        await first.moment()
        await first.answers("b1")
        (log,) = world.logs.files
        made, around = again(log)
        around.legs = dict(world.legs)
        (host,) = made.hosts.values()
        assert isinstance(host, RecalledHost)
        plain = host.missing(0, ())
        assert {type(order).__name__ for order in plain[2:]} >= {"AnswerLeg", "SetMedia", "HangupLeg"}
        found = FoundHost(host=around, orders=2, recordings=frozenset())
        made.resume(len(log.data), {HostId("w1"): found})
        assert around.told == plain[2:]
        around.sink = lambda event: made.deliver(event, around.worker)
        around.leg_ends(A)
        await first.moment(2)
        assert [order.url for order in around.asked] == ["http://app.test/after"]
        assert dict(around.asked[0].params)["DialCallStatus"] == "completed"
        await first.ends(A)
        await first.moment(60)

    in_a_loop(lose)


def test_a_request_that_was_not_answered_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lose() -> None:
        world = Told(PAGES)
        first = Story(world, incoming())
        (log,) = world.logs.files
        made, around = again(log)
        made.resume(len(log.data), {HostId("w1"): FoundHost(host=around, orders=0, recordings=frozenset())})
        await first.moment()
        assert [order.url for order in around.asked] == ["http://app.test/voice"]
        assert [type(order).__name__ for order in around.told][:2] == ["InviteLeg", "InviteLeg"]
        await first.ends(A)
        await first.moment(60)
        await around.stops()

    in_a_loop(lose)


def test_a_worker_that_died_meanwhile_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lose() -> None:
        world = Told(PAGES)
        first = Story(world, incoming())
        await first.moment()
        await first.answers("b1")
        await first.confirms()
        (log,) = world.logs.files
        made, around = again(log)
        made.resume(len(log.data), {})
        await first.moment(60)
        assert [order.url for order in around.asked] == ["http://app.test/after"]
        assert made._guard.is_over
        await first.ends(A)
        await first.moment(60)

    in_a_loop(lose)


@settings(database=None, max_examples=100)
@given(data=st.binary(max_size=300), cut=st.integers(0, 300))
def test_a_log_that_is_cut_is_read_up_to_there(data: bytes, cut: int) -> None:
    step = encode_step(LoggedStep(1.0, Due(), HostId("w1"), (True, ("sip:a",)), 7))
    whole = HEADER + step + step
    read = read_log(whole[: len(HEADER) + cut])
    assert read is not None
    assert len(read[1]) == min(2, cut // len(step))
    with contextlib.suppress(ValueError):
        read_log(data)
