"""A call that nobody can follow goes on while two talk, and ends for both."""

from datetime import UTC, datetime
from typing import Any

import pytest

from b2bua.core.commands import EndSession, HangupLeg
from b2bua.core.events import DtmfReceived, LegEnded
from b2bua.core.ids import LegId, WorkerId
from b2bua.node.caretaker import CaredCall, Caretaker, group_by_session
from b2bua.store.records import CallRow, LegRow

pytestmark = pytest.mark.unit

AT = datetime(2026, 11, 27, tzinfo=UTC)
W1, W2 = WorkerId("w1"), WorkerId("w2")


def row(sid: str, parent: str | None = None, status: str = "in-progress") -> CallRow:
    return CallRow(
        sid=sid,
        parent_sid=parent,
        from_="a",
        to="b",
        direction="inbound",
        status=status,
        created_at=AT,
        updated_at=AT,
        account_sid="AC1",
    )


def leg(sid: str, worker: str) -> LegRow:
    return LegRow(call_sid=sid, leg=sid, role="caller", sip_call_id=sid, worker=worker, created_at=AT)


class Workers:
    """Workers with one leg each."""

    def __init__(self, **legs: str) -> None:
        self.legs = legs
        self.told: list[tuple[str, Any]] = []

    def care(self, worker: WorkerId, session: Caretaker) -> Any:
        if worker not in self.legs:
            return None

        class Handle:
            def send(handle, *orders: Any) -> None:
                self.told += [(worker, order) for order in orders]

        return Handle(), (LegId(self.legs[worker]),)


def ended(name: str) -> LegEnded:
    return LegEnded(leg=LegId(name), at=1.0, cause="peer", sip_code=200, reason="", headers=())


@pytest.fixture
def over() -> list[CaredCall]:
    return []


def test_calls_are_grouped_by_session_with_their_workers() -> None:
    rows = [row("CA1"), row("CA2", "CA1"), row("CA3")]
    groups = group_by_session(rows, {"CA1": [leg("CA1", "w1")], "CA2": [leg("CA2", "w2")], "CA3": []})
    assert [(tuple(r.sid for r in each.rows), each.workers) for each in groups] == [
        (("CA1", "CA2"), (W1, W2)),
        (("CA3",), ()),
    ]


async def test_when_one_hangs_up_the_other_is_hung_up_once(over: list[CaredCall]) -> None:
    call = CaredCall(rows=(row("CA1"), row("CA2", "CA1")), workers=(W1, W2))
    workers = Workers(w1="a", w2="b")
    taken = Caretaker(call, over.append)
    taken.start(workers)
    taken.deliver(DtmfReceived(leg=LegId("a"), at=1.0, digit="1", method="rfc4733"), W1)
    assert not workers.told and not over
    taken.deliver(ended("b"), W2)
    taken.deliver(ended("a"), W1)
    taken.worker_lost(W1)
    assert workers.told == [("w1", HangupLeg(leg=LegId("a"))), ("w1", EndSession()), ("w2", EndSession())]
    assert over == [call]


async def test_a_lost_worker_ends_it(over: list[CaredCall]) -> None:
    call = CaredCall(rows=(row("CA1"), row("CA2", "CA1")), workers=(W1, W2))
    workers = Workers(w1="a", w2="b")
    taken = Caretaker(call, over.append)
    taken.start(workers)
    taken.worker_lost(W2)
    assert workers.told == [("w1", HangupLeg(leg=LegId("a"))), ("w1", EndSession())]
    assert over == [call]


@pytest.mark.parametrize(
    ("rows", "legs"),
    [
        ((row("CA1"),), {"w1": "a"}),
        ((row("CA1"), row("CA2", "CA1", "ringing")), {"w1": "a", "w2": "b"}),
        ((row("CA1"), row("CA2", "CA1")), {"w2": "b"}),
    ],
    ids=["alone", "ringing", "one has hung up meanwhile"],
)
async def test_a_call_in_which_nobody_talks_ends_at_once(
    rows: tuple[CallRow, ...], legs: dict[str, str], over: list[CaredCall]
) -> None:
    call = CaredCall(rows=rows, workers=(W1, W2))
    workers = Workers(**legs)
    Caretaker(call, over.append).start(workers)
    assert over == [call]
    assert [order for _, order in workers.told].count(EndSession()) == len(legs)
