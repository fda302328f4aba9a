"""The table of a call: every input in every state has an existing handler, or is counted."""

import itertools
import typing

import pytest

from b2bua.calls.call_run import CallRun
from b2bua.calls.call_table import PASS_ON, TRANSITIONS, CallState, Source
from b2bua.calls.orders import CallCanceled, CallInput, Redirected
from b2bua.core.events import DtmfReceived, LegConfirmed, LegEvent, LegIncoming
from b2bua.core.ids import LegId
from tests.unit.calls.scene import A, Scene

pytestmark = pytest.mark.unit


def test_every_handler_is_one() -> None:
    handlers = set(TRANSITIONS.values()) - {"", PASS_ON}
    assert all(callable(getattr(CallRun, handler)) for handler in handlers)


@pytest.mark.parametrize("state", [CallState.RUNNING, CallState.ENDING])
def test_nothing_that_a_call_may_be_given_is_forgotten(state: CallState) -> None:
    kinds = set(typing.get_args(CallInput)) - {LegIncoming}  # which makes the session
    legs = typing.get_args(LegEvent)
    for kind in kinds:
        sources = (Source.LEG, Source.BRANCH) if kind in legs else (Source.WORLD, Source.ABOVE)
        assert any((state, source, kind) in TRANSITIONS for source in sources), kind


def test_what_is_over_takes_nothing() -> None:
    assert not any(handler for (state, _, _), handler in TRANSITIONS.items() if state is CallState.OVER)
    scene = Scene().ends("a", 487)
    before = len(scene.orders)
    for event in (
        CallCanceled(by="api"),
        Redirected(url="http://app.test/x"),
        LegConfirmed(leg=A, at=0.0),
        DtmfReceived(leg=LegId("b1"), at=0.0, digit="1", method="info"),
    ):
        scene.bring(event)
    assert len(scene.orders) == before
    assert sum(scene.session._parent.unexpected.values()) == 2


def test_a_source_is_told_by_the_leg() -> None:
    pressed = DtmfReceived(leg=A, at=0.0, digit="1", method="info")
    assert Source.of(pressed, A) is Source.LEG
    assert Source.of(pressed, LegId("b1")) is Source.BRANCH
    assert Source.of(Redirected(), A) is Source.ABOVE


def test_the_states_are_reached_in_order() -> None:
    order = [CallState.CALLING, CallState.RUNNING, CallState.ENDING, CallState.OVER]
    assert list(itertools.chain(CallState)) == order
