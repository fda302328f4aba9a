"""Between the 200 and the bridge: keys, screening; and alternatives to broken targets."""

from typing import Any

import pytest
from msgspec import structs

from b2bua.core.commands import AllowRefer, HangupLeg, InviteLeg, ListenForKeys, SendDtmf
from b2bua.core.dial import BranchCanceled, DialParked, DialRejoined, DialReplaced, DialState, ScreeningEnded
from b2bua.core.dial_plan import BranchPlan
from b2bua.core.dial_report import BranchReferred, BranchReport, Bridged, DialSettled, ScreenBranch
from b2bua.core.ids import LegId
from tests.unit.core.scene import (
    B1,
    B2,
    B3,
    BRIDGE,
    ELSEWHERE,
    RING_TIMEOUT_S,
    SILENCE,
    A,
    Scene,
    answered,
    confirmed,
    dtmf,
    early_media,
    ended,
    find,
    hangups,
    invite,
    plan,
    progress,
    referred,
    target,
    tone,
)

pytestmark = pytest.mark.unit

ALT = LegId("b1x")


def screened(*legs: LegId, **options: Any) -> list[BranchPlan]:
    return [structs.replace(target(leg), screened=True, **options) for leg in legs]


def accepts(leg: LegId) -> ScreeningEnded:
    return ScreeningEnded(leg=leg, accepted=True)


def refuses(leg: LegId) -> ScreeningEnded:
    return ScreeningEnded(leg=leg, accepted=False)


class TestScreening:
    def test_who_picks_up_is_asked_and_the_caller_still_waits(self) -> None:
        scene = Scene(plan(screened(B1)))
        output = scene.send(answered(B1))
        assert find(output, ScreenBranch) == [ScreenBranch(leg=B1, child=scene.dial.plan.branches[0].child)]
        assert [report.stage for report in find(output, BranchReport)] == ["answered"]
        assert scene.a_leg.unanswered
        assert scene.dial.state is DialState.RINGING

    def test_acceptance_bridges(self) -> None:
        scene = Scene(plan(screened(B1)))
        scene.send(answered(B1))
        output = scene.send(accepts(B1), at=4.0)
        assert BRIDGE in output
        assert find(output, Bridged) == [Bridged(leg=B1, at=4.0)]
        assert find(output, BranchReport) == []

    def test_refusal_is_no_answer(self) -> None:
        scene = Scene(plan(screened(B1)))
        scene.send(answered(B1))
        assert hangups(scene.send(refuses(B1))) == [B1]
        assert (scene.outcome.status, scene.outcome.hangup_by) == ("no-answer", "callee")

    def test_hanging_up_is_refusing(self) -> None:
        scene = Scene(plan(screened(B1)))
        scene.send(answered(B1), ended(B1))
        assert (scene.outcome.status, scene.outcome.hangup_by) == ("no-answer", "callee")

    def test_the_first_to_pick_up_wins_and_may_still_refuse(self) -> None:
        scene = Scene(plan(screened(B1, B2)))
        output = scene.send(answered(B1))
        assert find(output, HangupLeg) == [HangupLeg(leg=B2, headers=ELSEWHERE)]
        scene.send(refuses(B1))
        assert scene.outcome.status == "no-answer"

    def test_a_refusal_of_a_sequential_dial_leads_to_the_next(self) -> None:
        scene = Scene(plan(screened(B1, B2), sequential=True))
        scene.send(answered(B1))
        output = scene.send(refuses(B1))
        assert hangups(output) == [B1]
        assert [order.leg for order in find(output, InviteLeg)] == [B2]

    def test_first_to_accept_asks_all_who_pick_up(self) -> None:
        scene = Scene(plan(screened(B1, B2, B3), first_to_accept=True))
        assert hangups(scene.send(answered(B1))) == []
        assert hangups(scene.send(answered(B2))) == []
        assert hangups(scene.send(refuses(B1))) == [B1]
        output = scene.send(accepts(B2))
        assert find(output, HangupLeg) == [HangupLeg(leg=B3, headers=ELSEWHERE)]
        assert find(output, Bridged)[0].leg == B2

    def test_first_to_accept_bridges_with_who_is_not_asked(self) -> None:
        scene = Scene(plan([*screened(B1), target(B2)], first_to_accept=True))
        scene.send(answered(B1))
        output = scene.send(answered(B2))
        assert hangups(output) == [B1]
        assert find(output, Bridged)[0].leg == B2

    def test_the_ring_timer_stops_and_the_limit_of_the_question_counts(self) -> None:
        scene = Scene(plan(screened(B1), screening_limit_s=60.0))
        scene.send(answered(B1), at=RING_TIMEOUT_S - 1)
        assert scene.tick(RING_TIMEOUT_S + 1) == []
        assert scene.dial.next_deadline() == RING_TIMEOUT_S + 59
        assert hangups(scene.tick(RING_TIMEOUT_S + 59)) == [B1]
        assert (scene.outcome.status, scene.outcome.hangup_by) == ("no-answer", "node")

    def test_the_caller_who_goes_ends_it(self) -> None:
        scene = Scene(plan(screened(B1)))
        scene.send(answered(B1))
        assert hangups(scene.send(ended(A, 487))) == [B1]
        assert scene.outcome.hangup_by == "caller"

    def test_acceptance_after_we_hung_the_caller_up_is_in_vain(self) -> None:
        scene = Scene(plan(screened(B1)))
        scene.send(answered(B1))
        scene.a_leg.hangup(1.0)
        assert hangups(scene.send(accepts(B1))) == [B1]

    @pytest.mark.parametrize("leg", [B1, B2, LegId("x")])
    def test_an_answer_to_no_question_is_nothing(self, leg: LegId) -> None:
        scene = Scene(plan([*screened(B1), target(B2)]))
        assert scene.send(accepts(leg)) == []

    def test_early_media_ends_with_the_pick_up(self) -> None:
        scene = Scene(plan(screened(B1), answer_on_bridge=False), caller_answered=True)
        scene.send(progress(B1, 183, media=True), early_media(B1))
        assert tone() in scene.send(answered(B1))

    def test_keys_of_a_callee_who_is_asked_are_not_passed_on(self) -> None:
        scene = Scene(plan(screened(B1)), caller_answered=True)
        scene.send(answered(B1))
        assert scene.send(dtmf(B1, "1")) == []


class TestKeys:
    def test_keys_are_sent_before_the_bridge(self) -> None:
        scene = Scene(plan([structs.replace(target(B1), send_digits="1w2")]))
        assert find(scene.send(answered(B1), at=1.0), SendDtmf) == [SendDtmf(leg=B1, digits="1")]
        assert scene.dial.next_deadline() == 1.75
        assert scene.tick(1.75) == [SendDtmf(leg=B1, digits="2")]
        assert find(scene.tick(2.0), Bridged)

    def test_a_caller_who_was_hung_up_meanwhile_is_bridged_with_nobody(self) -> None:
        scene = Scene(plan([structs.replace(target(B1), send_digits="12")]))
        scene.send(answered(B1))
        scene.a_leg.hangup(0.0)
        output = scene.tick(1.0)
        assert not find(output, Bridged)
        assert hangups(output) == [B1]

    def test_keys_come_before_the_question(self) -> None:
        scene = Scene(plan(screened(B1, send_digits="1")))
        assert find(scene.send(answered(B1), at=1.0), ScreenBranch) == []
        output = scene.tick(1.25)
        assert find(output, ScreenBranch)
        assert find(output, Bridged) == []
        assert find(scene.send(accepts(B1)), Bridged)


class TestWays:
    def ways(self, *, ring: bool = False) -> Scene:
        scene = Scene(plan([structs.replace(target(B1), alternatives=(invite(ALT),))]))
        if ring:
            scene.send(progress(B1))
        return scene

    @pytest.mark.parametrize(("code", "cause"), [(503, "peer"), (502, "unreachable"), (408, "timeout")])
    def test_a_broken_way_leads_to_the_next_for_the_same_child(self, code: int, cause: str) -> None:
        scene = self.ways()
        assert scene.send(ended(B1, code, cause), at=5.0) == [invite(ALT)]
        output = scene.send(answered(ALT, 6.0), at=6.0)
        assert scene.dial.open_legs == (ALT,)
        assert find(output, Bridged)[0].leg == ALT
        scene.send(ended(ALT, at=9.0), at=9.0)
        assert (scene.result.leg, scene.result.duration_s) == (ALT, 3.0)
        assert scene.completed() == {B1: "completed"}

    @pytest.mark.parametrize(
        ("code", "cause"), [(486, "peer"), (603, "peer"), (404, "peer"), (503, "capacity")]
    )
    def test_an_answer_of_the_target_itself_does_not(self, code: int, cause: str) -> None:
        scene = self.ways()
        assert find(scene.send(ended(B1, code, cause)), InviteLeg) == []
        assert scene.dial.done

    def test_a_target_that_rang_has_been_reached(self) -> None:
        assert find(self.ways(ring=True).send(ended(B1, 503)), InviteLeg) == []

    def test_the_ring_timeout_counts_from_the_first_invite(self) -> None:
        scene = self.ways()
        scene.send(ended(B1, 503), at=10.0)
        assert scene.dial.next_deadline() == RING_TIMEOUT_S
        assert hangups(scene.tick(RING_TIMEOUT_S)) == [ALT]

    def test_no_way_is_tried_when_the_time_is_over(self) -> None:
        scene = self.ways()
        assert find(scene.send(ended(B1, 503), at=RING_TIMEOUT_S), InviteLeg) == []

    def test_a_redirection_is_followed_even_after_ringing(self) -> None:
        scene = Scene(plan(1))
        scene.send(progress(B1))
        scene.dial.retarget(B1, (invite(ALT),))
        assert scene.send(ended(B1, 302)) == [invite(ALT)]

    def test_a_redirection_that_leads_nowhere_is_a_failure(self) -> None:
        scene = Scene(plan(1))
        scene.send(ended(B1, 302))
        assert scene.outcome.status == "failed"

    def test_what_is_hung_up_is_not_retargeted(self) -> None:
        scene = Scene(plan(1))
        scene.tick(RING_TIMEOUT_S)
        scene.dial.retarget(B1, (invite(ALT),))
        scene.dial.retarget(LegId("x"), ())
        assert find(scene.send(ended(B1, 302)), InviteLeg) == []


class TestRelease:
    def test_the_winner_goes_its_own_way(self) -> None:
        scene = Scene(plan(2))
        scene.send(answered(B1), at=1.0)
        leg, output = scene.dial.release(B1, 4.0)
        assert leg is not None
        assert (leg.id, leg.live) == (B1, True)
        assert SILENCE in output
        (settled,) = find(output, DialSettled)
        assert (settled.result.outcome.status, settled.result.released) == ("completed", True)
        assert scene.dial.state is DialState.CLOSING
        scene.send(ended(B2, 487, "local"))
        assert scene.dial.done

    def test_a_lonely_winner_leaves_nothing_behind(self) -> None:
        scene = Scene(plan(1))
        scene.send(answered(B1))
        scene.dial.release(B1, 4.0)
        assert scene.dial.done
        assert scene.dial.leg(B1) is None

    def test_one_who_is_asked_leaves_the_others(self) -> None:
        scene = Scene(plan([*screened(B1), target(B2)], first_to_accept=True))
        scene.send(answered(B1))
        leg, output = scene.dial.release(B1, 1.0)
        assert leg is not None
        assert output == []
        assert scene.dial.leg(B2) is not None

    def test_the_last_who_is_asked_leaves_a_failed_dial(self) -> None:
        scene = Scene(plan(screened(B1)))
        scene.send(answered(B1))
        _, output = scene.dial.release(B1, 1.0)
        assert find(output, DialSettled)[0].result.outcome.status == "canceled"

    def test_a_loser_of_a_bridge_cannot_be_had(self) -> None:
        scene = Scene(plan(2))
        scene.send(answered(B1))
        assert scene.dial.release(B2, 1.0) == (None, [])
        assert scene.dial.release(LegId("x"), 1.0) == (None, [])


class TestOneTargetCanceled:
    def test_the_others_ring_on(self) -> None:
        scene = Scene(plan(2))
        assert hangups(scene.send(BranchCanceled(leg=B1))) == [B1]
        assert scene.send(BranchCanceled(leg=B1)) == []
        assert not scene.dial.done

    def test_the_last_ends_the_dial(self) -> None:
        scene = Scene(plan(1))
        scene.send(BranchCanceled(leg=B1))
        assert (scene.outcome.status, scene.outcome.hangup_by) == ("canceled", "api")

    def test_the_winner_ends_the_bridge(self) -> None:
        scene = Scene(plan(2))
        scene.send(answered(B1))
        assert scene.send(BranchCanceled(leg=B2)) == []
        assert hangups(scene.send(BranchCanceled(leg=B1))) == [B1]
        assert scene.outcome.status == "completed"


class TestParked:
    def parked(self) -> Scene:
        scene = Scene(plan(1, hangup_on_star=True))
        scene.send(answered(B1), confirmed(A))
        assert scene.send(DialParked()) == [SILENCE, ListenForKeys(leg=A, wanted=False)]
        return scene

    def test_the_two_no_longer_hear_each_other_until_they_are_rejoined(self) -> None:
        scene = self.parked()
        assert scene.send(DialRejoined()) == [BRIDGE, ListenForKeys(leg=A, wanted=True)]
        assert scene.send(dtmf(A, "5")) == [SendDtmf(leg=B1, digits="5")]

    def test_a_caller_who_was_hung_up_hears_nobody(self) -> None:
        scene = self.parked()
        scene.a_leg.hangup(1.0)
        assert scene.send(DialRejoined()) == []

    def test_keys_are_nobodys(self) -> None:
        scene = self.parked()
        assert scene.send(dtmf(A, "*"), dtmf(B1, "1")) == []

    def test_the_parked_callee_may_leave(self) -> None:
        scene = self.parked()
        assert find(scene.send(ended(B1)), DialSettled)


class TestTransfer:
    def bridged(self) -> Scene:
        scene = Scene(plan(2, allow_refer=True))
        scene.send(answered(B1), confirmed(A))
        return scene

    def test_only_who_is_bridged_may_ask_for_one(self) -> None:
        scene = Scene(plan(2, allow_refer=True))
        assert find(scene.send(answered(B1)), AllowRefer) == [AllowRefer(leg=B1, allowed=True)]
        assert not find(Scene(plan(1)).send(answered(B1)), AllowRefer)

    def test_what_it_asks_for_is_told(self) -> None:
        scene = self.bridged()
        assert scene.send(referred(B1)) == [BranchReferred(referred=referred(B1))]
        assert scene.send(referred(B2), referred(A)) == []

    def test_who_is_parked_has_asked_already(self) -> None:
        scene = self.bridged()
        scene.send(DialParked())
        assert scene.send(referred(B1)) == []

    def test_a_callee_who_has_handed_over_the_caller_is_hung_up(self) -> None:
        scene = self.bridged()
        assert hangups(scene.send(DialReplaced())) == [B1]
        scene.send(ended(B1, cause="local"), ended(B2, 487))
        assert (scene.outcome.status, scene.outcome.hangup_by) == ("completed", "callee")
