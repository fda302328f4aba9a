"""In any order of events: one result, one end per branch, no order to an ended leg, no timer left."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from b2bua.core.commands import Connection, HangupLeg, InviteLeg, SetMedia
from b2bua.core.dial import (
    BranchCanceled,
    Dial,
    DialCanceled,
    DialOrder,
    DialParked,
    DialRejoined,
    DialReplaced,
    DialState,
    ScreeningEnded,
)
from b2bua.core.dial_plan import BranchPlan, DialPlan
from b2bua.core.dial_report import (
    BranchReferred,
    BranchReport,
    Bridged,
    DialOutput,
    DialSettled,
    ScreenBranch,
)
from b2bua.core.events import LegEnded, LegEvent
from b2bua.core.ids import LegId
from b2bua.core.leg import Leg, Role
from b2bua.core.outcomes import NotInvited
from tests.effort import examples
from tests.unit.core.scene import (
    A,
    answered,
    confirmed,
    dtmf,
    early_media,
    ended,
    media_changed,
    plan,
    progress,
    referred,
    target,
)

pytestmark = [pytest.mark.unit, pytest.mark.no_cover]

LEGS = [LegId(f"b{number}") for number in range(1, 5)]
legs = st.sampled_from([A, *LEGS])
FACTS = st.one_of(
    st.builds(progress, legs, st.sampled_from([180, 181, 183]), media=st.booleans()),
    st.builds(early_media, legs, coming=st.booleans()),
    st.builds(answered, legs),
    st.builds(answered, st.sampled_from(LEGS)),
    st.builds(confirmed, legs),
    st.builds(media_changed, legs, held=st.booleans()),
    st.builds(dtmf, legs, st.sampled_from("*5")),
    st.builds(referred, legs),
    st.builds(
        ended,
        legs,
        st.sampled_from([200, 302, 404, 408, 480, 486, 487, 503, 603]),
        st.sampled_from(["peer", "local", "unreachable", "timeout", "capacity", "worker"]),
    ),
)
STEPS = st.lists(
    st.one_of(
        FACTS,
        FACTS,
        st.builds(DialCanceled, by=st.sampled_from(["api", "node"])),
        st.builds(ScreeningEnded, leg=st.sampled_from(LEGS), accepted=st.booleans()),
        st.builds(BranchCanceled, leg=st.sampled_from(LEGS)),
        st.sampled_from([DialParked(), DialRejoined(), DialReplaced()]),
        st.sampled_from(["tick", "due", "hang up the caller"]),
    ),
    max_size=25,
)


def plan_with(branches: list[BranchPlan], *, screened: set[LegId], keys: str, **rules: Any) -> DialPlan:
    """Some of the targets are screened first; all of them are sent keys."""
    return plan(
        [
            structs.replace(
                branch, screened=branch.leg in screened, send_digits=keys if branch.invite else ""
            )
            for branch in branches
        ],
        **rules,
    )


PLANS = st.builds(
    plan_with,
    st.lists(
        st.sampled_from([None, None, None, NotInvited.BAD_NUMBER, NotInvited.NOT_REGISTERED]), max_size=4
    ).map(lambda refusals: [target(leg, refusal) for leg, refusal in zip(LEGS, refusals, strict=False)]),
    screened=st.sets(st.sampled_from(LEGS)),
    keys=st.sampled_from(["", "1w2"]),
    first_to_accept=st.booleans(),
    answer_on_bridge=st.booleans(),
    hangup_on_star=st.booleans(),
    sequential=st.booleans(),
    ringtone=st.sampled_from([None, "de"]),
)


class Witness:
    """Checks the inputs and outputs of a Dial."""

    def __init__(self, dial: Dial) -> None:
        self.dial = dial
        self.gone: set[str] = set()
        """Legs that have ended or were hung up: no order for these."""
        self.invited: set[str] = set()
        self.settled = 0
        self.bridges = 0
        self.completed: Counter[str] = Counter()
        self.answered: set[str] = set()
        self.heard: tuple[Connection, ...] = ()

    def fact(self, event: LegEvent | DialOrder) -> None:
        if isinstance(event, LegEnded):
            self.gone.add(event.leg)

    def saw(self, output: Sequence[DialOutput]) -> None:
        for item in output:
            match item:
                case BranchReport():
                    self._report(item)
                case ScreenBranch():
                    assert item.leg in self.answered
                    assert item.leg not in self.gone
                    assert not self.bridges
                case Bridged():
                    self.bridges += 1
                    assert item.leg in self.answered
                    assert not self.settled
                case BranchReferred():
                    assert item.referred.leg in self.answered - self.gone
                case DialSettled():
                    self.settled += 1
                case SetMedia():
                    ends = {end for pair in item.connections for end in (pair.source, pair.sink)}
                    assert not ends & self.gone
                    self.heard = item.connections
                case InviteLeg():
                    assert not self.settled
                    self.invited.add(item.leg)
                    self.gone.discard(item.leg)  # what was said of it before its INVITE was noise
                case _:
                    assert item.leg not in self.gone  # type: ignore[union-attr]
                    assert item.leg == A or item.leg in self.invited  # type: ignore[union-attr]
                    if isinstance(item, HangupLeg):
                        self.gone.add(item.leg)

    def hears(self) -> None:
        """While it rings, a caller with media hears exactly one source, never one that sends nothing."""
        if self.dial.state is not DialState.RINGING or not self.dial.a_leg.has_media:
            return
        (heard,) = self.heard
        assert heard.sink == A
        source = self.dial.leg(LegId(heard.source))
        if source is None:
            assert heard.source == self.dial.plan.tone
        else:
            assert source.unanswered and source.early_media and source.early_media_comes

    def _report(self, report: BranchReport) -> None:
        assert not self.completed[report.leg]
        if report.stage == "completed":
            self.completed[report.leg] += 1
            assert report.outcome is not None
        elif report.stage == "answered":
            assert report.leg not in self.gone
            self.answered.add(report.leg)


def play(dial_plan: DialPlan, steps: Sequence[LegEvent | DialOrder | str], caller_answered: bool) -> Witness:
    a_leg = Leg(A, Role.UAS, 0.0)
    if caller_answered:
        a_leg.answer(0.0)
    dial = Dial(dial_plan, a_leg)
    witness = Witness(dial)
    now = 0.0
    witness.saw(dial.start(now))
    for step in steps:
        now += 1.0
        if step == "due":
            now = max(now, dial.next_deadline() or now)
        if step in ("due", "tick"):
            witness.saw(dial.tick(now))
        elif step == "hang up the caller":
            a_leg.hangup(now)
            witness.gone.add(A)
        elif isinstance(step, DialOrder):
            witness.saw(dial.handle(step, now))
        elif not isinstance(step, str):
            witness.fact(step)
            if step.leg != A or a_leg.handle(step, now):
                witness.saw(dial.handle(step, now))
        assert witness.settled == (dial.result is not None)
        witness.hears()
        assert dial.done == (dial.next_deadline() is None and witness.settled == 1)
    # Time alone ends every Dial, even if no worker ever says another word.
    for _ in range(20):
        due = dial.next_deadline()
        if due is None:
            break
        now = max(now, due)
        witness.saw(dial.tick(now))
    return witness


@settings(database=None, max_examples=examples(150))
@given(dial_plan=PLANS, steps=STEPS, caller_answered=st.booleans())
def test_any_sequence_settles_once_and_leaves_nothing_behind(
    dial_plan: DialPlan, steps: list[LegEvent | DialOrder | str], caller_answered: bool
) -> None:
    witness = play(dial_plan, steps, caller_answered)
    dial = witness.dial
    assert witness.settled == 1
    assert witness.bridges <= 1
    assert dial.done
    assert dial.next_deadline() is None
    assert dial.result is not None
    assert dial.result.bridged == (witness.bridges == 1)
    assert (dial.result.outcome.status == "completed") == dial.result.bridged
    tried = {branch.leg for branch in dial_plan.branches if branch.leg in witness.invited or branch.refused}
    assert set(witness.completed) <= tried
    assert witness.invited <= set(witness.completed)
    assert all(count == 1 for count in witness.completed.values())
    assert dial.result.leg is None or dial.result.leg in witness.completed
