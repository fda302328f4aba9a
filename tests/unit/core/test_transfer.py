"""A transfer by REFER: reports, who stays, who leaves, in every order of events."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.core.commands import NotifyTransfer
from b2bua.core.events import LegReferred
from b2bua.core.transfer import (
    TRANSFER_LIMIT_S,
    TRANSITIONS,
    DocumentEnded,
    FetchReferDocument,
    FinishDial,
    GoOn,
    ParkDial,
    ReferDocument,
    RejoinDial,
    RunDocument,
    TargetAnswered,
    TargetFailed,
    TargetRang,
    Transfer,
    TransfereeLeft,
    TransferEvent,
    TransferOrder,
    TransferorLeft,
    TransferState,
)
from tests.effort import examples
from tests.unit.core.scene import B1

pytestmark = pytest.mark.unit

FETCHED = ReferDocument(fetched=True)
FETCHED_KEEP = ReferDocument(fetched=True, keep=True)
NOT_FETCHED = ReferDocument(fetched=False)
BUSY = TargetFailed(sip_code=486)


def referred(*, quiet: bool = False) -> LegReferred:
    return LegReferred(leg=B1, at=0.0, refer_to="<sip:c@x>", referred_by="", replaces="", quiet=quiet)


def notify(code: int) -> NotifyTransfer:
    return NotifyTransfer(leg=B1, sip_code=code)


def after(*events: TransferEvent, quiet: bool = False) -> tuple[Transfer, list[TransferOrder]]:
    """A transfer after these events, and its orders at the last of them."""
    transfer = Transfer(referred(quiet=quiet), 0.0)
    orders = transfer.start()
    for event in events:
        orders = transfer.handle(event)
    return transfer, orders


def test_the_application_is_asked_first() -> None:
    _, orders = after()
    assert orders == [FetchReferDocument(referred=referred())]


@pytest.mark.parametrize(
    ("events", "orders"),
    [
        ([FETCHED], [notify(200), FinishDial(), RunDocument()]),
        ([NOT_FETCHED], [notify(503)]),
        ([TransfereeLeft()], [notify(487)]),
        ([TransferorLeft()], []),
        ([TransferorLeft(), FETCHED], [notify(200), RunDocument()]),
        ([TransferorLeft(), FETCHED_KEEP], [notify(200), RunDocument()]),
        ([TransferorLeft(), NOT_FETCHED], [notify(503), GoOn()]),
        ([TransferorLeft(), TransfereeLeft()], [notify(487), GoOn()]),
        ([FETCHED_KEEP], [ParkDial(), RunDocument()]),
        ([FETCHED_KEEP, TargetRang()], [notify(180)]),
        ([FETCHED_KEEP, TargetRang(), TargetRang()], []),
        ([FETCHED_KEEP, TargetRang(), TargetAnswered()], [notify(200), FinishDial()]),
        ([FETCHED_KEEP, BUSY], [notify(486), RejoinDial()]),
        ([FETCHED_KEEP, DocumentEnded()], [notify(200), FinishDial()]),
        ([FETCHED_KEEP, TransfereeLeft()], [notify(487)]),
        ([FETCHED_KEEP, TransferorLeft()], [notify(200)]),
        ([FETCHED_KEEP, TransferorLeft(), BUSY], []),
    ],
)
def test_what_is_done_at_the_last_of_these(events: list[TransferEvent], orders: list[TransferOrder]) -> None:
    assert after(*events)[1] == orders


def test_who_wants_no_notify_gets_none() -> None:
    assert after(FETCHED_KEEP, TargetRang(), quiet=True)[1] == []
    assert after(FETCHED_KEEP, BUSY, quiet=True)[1] == [RejoinDial()]
    assert after(NOT_FETCHED, quiet=True)[1] == []


def test_a_document_that_never_comes_is_given_up() -> None:
    transfer, _ = after()
    assert transfer.next_deadline() == TRANSFER_LIMIT_S
    assert transfer.tick(TRANSFER_LIMIT_S - 1.0) == []
    assert transfer.tick(TRANSFER_LIMIT_S) == [notify(503)]
    assert transfer.next_deadline() is None
    assert transfer.tick(TRANSFER_LIMIT_S) == []


def test_a_document_that_talks_on_and_on_gives_the_transferee_back() -> None:
    transfer, _ = after(FETCHED_KEEP)
    assert not transfer.fetching
    assert transfer.tick(TRANSFER_LIMIT_S) == [notify(408), RejoinDial()]


def test_what_does_not_belong_to_the_state_is_counted() -> None:
    transfer, orders = after(TargetAnswered())
    assert orders == []
    assert transfer.unexpected == {"fetching TargetAnswered": 1}
    assert transfer.fetching


def test_every_state_but_the_last_can_be_left_by_time() -> None:
    timed = {state for state, event in TRANSITIONS if event.__name__ == "_LimitReached"}
    assert timed == set(TransferState) - {TransferState.OVER}


EVENTS = st.lists(
    st.one_of(
        st.builds(ReferDocument, fetched=st.booleans(), keep=st.booleans()),
        st.builds(TargetFailed, sip_code=st.sampled_from([404, 480, 486])),
        st.sampled_from(
            [TargetRang(), TargetAnswered(), DocumentEnded(), TransferorLeft(), TransfereeLeft()]
        ),
    ),
    max_size=12,
)


@settings(database=None, max_examples=examples(120))
@given(events=EVENTS, quiet=st.booleans())
def test_any_order_of_things_ends_with_one_last_word(events: Sequence[TransferEvent], quiet: bool) -> None:
    transfer = Transfer(referred(quiet=quiet), 0.0)
    given: list[TransferOrder] = transfer.start()
    gone_before_the_end = False
    for event in events:
        if isinstance(event, TransferorLeft) and not transfer.over:
            gone_before_the_end = True
        given += transfer.handle(event)
    given += transfer.tick(TRANSFER_LIMIT_S)
    assert transfer.over
    assert transfer.next_deadline() is None
    told = [order.sip_code for order in given if isinstance(order, NotifyTransfer)]
    final = [code for code in told if code >= 200]
    assert len(final) == (not quiet)
    assert sorted(told, key=lambda code: code >= 200) == told
    kinds = [type(order) for order in given]
    for kind in (ParkDial, RunDocument):
        assert kinds.count(kind) <= 1
    # The transferor is hung up or joined again, not both; and never once it has gone.
    assert kinds.count(FinishDial) + kinds.count(RejoinDial) + kinds.count(GoOn) <= 1
    if gone_before_the_end:
        assert FinishDial not in kinds
        assert RejoinDial not in kinds
    else:
        assert GoOn not in kinds
    assert (RejoinDial in kinds) <= (ParkDial in kinds)
