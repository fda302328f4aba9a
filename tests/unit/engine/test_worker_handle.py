"""What a session can send to its worker, and what it no longer can."""

from typing import Any

import pytest

from b2bua.core.commands import EndSession, HangupLeg
from b2bua.core.ids import LegId, WorkerId
from b2bua.engine.protocol import SessionOrders
from b2bua.engine.worker_handle import WorkerHandle

pytestmark = pytest.mark.unit

HANGUP = HangupLeg(leg=LegId("a"))


class Wire:
    """The channel."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.ending: list[str] = []

    def send(self, *messages: Any) -> None:
        self.sent += messages


def handle(wire: Any, session: int) -> WorkerHandle:
    return WorkerHandle(WorkerId("w1"), session, 4, wire, wire.ending.append)


def test_every_order_is_addressed() -> None:
    wire = Wire()
    handle(wire, 3).send(HANGUP, HANGUP)
    assert wire.sent == [SessionOrders(3, (HANGUP, HANGUP))]


def test_nothing_is_said_after_the_end_of_the_session() -> None:
    wire = Wire()
    old = handle(wire, 1)
    old.send(HANGUP, EndSession())
    old.send(HANGUP)
    assert wire.sent == [SessionOrders(1, (HANGUP, EndSession()))]
    assert wire.ending == ["w1"]


def test_nothing_is_said_when_the_worker_is_done_with_it() -> None:
    wire = Wire()
    old = handle(wire, 1)
    old.close()
    old.send(HANGUP, EndSession())
    assert (wire.sent, wire.ending) == ([], [])
