import itertools
import pickle

import msgspec
import pytest

from b2bua.core.commands import (
    AnswerLeg,
    Connection,
    HangupLeg,
    InviteLeg,
    ListenForKeys,
    ProgressLeg,
    RingLeg,
    SendDtmf,
    SetMedia,
)
from b2bua.core.dial import (
    TRANSITIONS,
    BranchCanceled,
    Dial,
    DialCanceled,
    DialEvent,
    DialParked,
    DialRejoined,
    DialReplaced,
    DialState,
    RingTimedOut,
    ScreeningEnded,
    Side,
    TimeLimitReached,
)
from b2bua.core.dial_bridge import DialBridge
from b2bua.core.dial_report import BranchReport, Bridged, DialSettled
from b2bua.core.dial_ringing import DialRinging
from b2bua.core.dial_table import KeysDue, ScreeningTimedOut
from b2bua.core.errors import LocalStateError
from b2bua.core.events import DtmfReceived, LegEvent
from b2bua.core.ids import LegId
from b2bua.core.leg import LIMIT_S, LegState
from b2bua.core.outcomes import NotInvited
from tests.unit.core.scene import (
    B1,
    B2,
    B3,
    BRIDGE,
    ELSEWHERE,
    RING_TIMEOUT_S,
    SILENCE,
    TIME_LIMIT_S,
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
    media_changed,
    plan,
    progress,
    refer_progress,
    referred,
    stages,
    target,
    targets,
    tone,
)

pytestmark = pytest.mark.unit


class TestStart:
    def test_an_unanswered_caller_gets_180_and_all_targets_an_invite(self) -> None:
        scene = Scene(plan(3))
        reports = [
            BranchReport(leg=branch.leg, child=branch.child, stage="initiated", at=0.0)
            for branch in targets(3)
        ]
        expected: list[object] = []
        for leg, report in zip((B1, B2, B3), reports, strict=True):
            expected += [invite(leg), report]
        assert scene.started == [*expected, RingLeg(leg=A)]

    def test_with_a_ringtone_the_caller_gets_183_and_hears_it(self) -> None:
        scene = Scene(plan(1, ringtone="de"))
        assert scene.started[:3] == [ProgressLeg(leg=A), tone("de"), invite(B1)]

    @pytest.mark.parametrize("ringtone", [None, "uk"])
    def test_without_answer_on_bridge_the_caller_gets_200_and_hears_ringback(
        self, ringtone: str | None
    ) -> None:
        scene = Scene(plan(1, answer_on_bridge=False, ringtone=ringtone))
        assert scene.started[:3] == [AnswerLeg(leg=A), tone(ringtone or "us"), invite(B1)]

    @pytest.mark.parametrize("answer_on_bridge", [True, False])
    def test_an_answered_caller_only_hears_ringback(self, answer_on_bridge: bool) -> None:
        scene = Scene(plan(1, answer_on_bridge=answer_on_bridge), caller_answered=True)
        assert scene.started[:2] == [tone(), invite(B1)]

    def test_a_caller_that_had_early_media_before_hears_ringback(self) -> None:
        scene = Scene(plan(1), start=False)
        scene.a_leg.progress(0.0)
        assert scene.dial.start(0.0)[:2] == [tone(), invite(B1)]

    def test_refused_targets_are_completed_and_the_others_invited(self) -> None:
        scene = Scene(plan([target(B1, NotInvited.BAD_NUMBER), target(B2)]))
        assert stages(scene.started) == [(B1, "completed"), (B2, "initiated")]
        assert find(scene.started, RingLeg)

    @pytest.mark.parametrize("sequential", [True, False])
    @pytest.mark.parametrize("answer_on_bridge", [True, False])
    def test_when_all_are_refused_the_caller_is_not_rung_and_answered_only_if_it_need_not_wait(
        self, sequential: bool, answer_on_bridge: bool
    ) -> None:
        refused = [target(B1, NotInvited.NO_ROUTE), target(B2, NotInvited.NOT_REGISTERED)]
        scene = Scene(plan(refused, sequential=sequential, answer_on_bridge=answer_on_bridge))
        answered = [] if answer_on_bridge else [AnswerLeg]
        told = [BranchReport, BranchReport, DialSettled]
        assert [type(item) for item in scene.started] == answered + told
        assert scene.outcome.status == "no-answer"
        assert (scene.result.child, scene.result.sip_call_id) == ("CAb2", None)
        assert scene.dial.done

    def test_a_dial_without_a_target_is_failed(self) -> None:
        scene = Scene(plan([]))
        assert (scene.outcome.status, scene.outcome.sip_code, scene.result.child) == ("failed", 484, None)
        assert scene.dial.done

    @pytest.mark.parametrize(("cause", "by"), [("peer", "caller"), ("worker", "node")])
    def test_no_invite_leaves_when_the_caller_has_gone_already(self, cause: str, by: str) -> None:
        scene = Scene(plan(2), start=False)
        scene.a_leg.handle(ended(A, 487, cause), 0.0)
        scene.keep(scene.dial.start(0.0))
        assert [type(item) for item in scene.output] == [DialSettled]
        assert (scene.outcome.status, scene.outcome.hangup_by) == ("no-answer", by)

    def test_a_dial_starts_once(self) -> None:
        with pytest.raises(LocalStateError, match="once"):
            Scene(plan()).dial.start(1.0)

    def test_the_caller_may_ring_as_long_as_its_targets(self) -> None:
        scene = Scene(plan(2, ring_timeout_s=605.0, sequential=True))
        first = scene.a_leg.next_deadline()
        assert first is not None and first > 605.0
        scene.tick(605.0)
        second = scene.a_leg.next_deadline()
        assert second is not None and second > 1210.0


class TestRinging:
    def test_ringing_is_reported_once_a_branch(self) -> None:
        scene = Scene(plan(2))
        output = scene.send(progress(B1), progress(B2, 183), progress(B1), progress(B1, 183))
        assert stages(output) == [(B1, "ringing"), (B2, "ringing")]

    def test_a_forwarding_target_does_not_ring(self) -> None:
        assert Scene(plan()).send(progress(B1, 181)) == []

    def test_early_media_of_a_single_target_reaches_the_caller_one_way(self) -> None:
        scene = Scene(plan())
        output = scene.send(progress(B1, 183, media=True))
        assert output.pop() == tone()  # until it comes
        output += scene.send(early_media(B1))
        early = SetMedia(connections=(Connection("b1", "a"),))
        assert [item for item in output if not isinstance(item, BranchReport)] == [ProgressLeg(leg=A), early]
        assert scene.send(progress(B1, 183, media=True)) == []

    def test_180_after_early_media_brings_our_tone_back(self) -> None:
        scene = Scene(plan())
        scene.send(progress(B1, 183, media=True), early_media(B1))
        assert scene.send(progress(B1, 180, media=True)) == [tone()]
        assert scene.send(progress(B1, 183, media=True)) == [SetMedia(connections=(Connection("b1", "a"),))]

    def test_an_answered_caller_hears_early_media_instead_of_the_tone(self) -> None:
        scene = Scene(plan(), caller_answered=True)
        output = scene.send(progress(B1, 183, media=True))
        assert not find(output, SetMedia)
        output += scene.send(early_media(B1))
        assert find(output, SetMedia) == [SetMedia(connections=(Connection("b1", "a"),))]
        assert not find(output, ProgressLeg)

    def test_our_tone_comes_back_while_no_early_media_come(self) -> None:
        scene = Scene(plan(), caller_answered=True)
        early = SetMedia(connections=(Connection("b1", "a"),))
        scene.send(progress(B1, 183, media=True))
        assert scene.send(early_media(B1, coming=False)) == []
        assert scene.send(early_media(B1)) == [early]
        assert scene.send(early_media(B1, coming=False)) == [tone()]
        assert scene.send(early_media(B1)) == [early]
        assert scene.send(answered(B1))[0] == BRIDGE

    def test_media_that_go_on_after_a_180_are_not_heard(self) -> None:
        scene = Scene(plan(), caller_answered=True)
        scene.send(progress(B1, 183, media=True), progress(B1, 180))
        assert scene.send(early_media(B1)) == []
        assert scene.send(progress(B1, 183, media=True)) == [SetMedia(connections=(Connection("b1", "a"),))]

    def test_a_target_that_redirects_from_early_media_rings_with_our_tone(self) -> None:
        scene = Scene(plan(), caller_answered=True)
        scene.send(progress(B1, 183, media=True), early_media(B1))
        scene.dial.retarget(B1, (invite(B2),))
        assert scene.send(ended(B1, 302)) == [invite(B2), tone()]

    @pytest.mark.parametrize(("count", "ringtone"), [(2, None), (1, "de"), (2, "de")])
    def test_early_media_is_kept_from_the_caller_when_several_ring_or_a_ringtone_is_set(
        self, count: int, ringtone: str | None
    ) -> None:
        scene = Scene(plan(count, ringtone=ringtone))
        output = scene.send(progress(B1, 183, media=True), early_media(B1))
        assert stages(output) == [(B1, "ringing")]
        assert len(output) == 1

    def test_a_single_target_left_of_several_still_has_no_early_media(self) -> None:
        scene = Scene(plan([target(B1, NotInvited.BAD_NUMBER), target(B2)]))
        assert not find(scene.send(progress(B2, 183, media=True)), ProgressLeg)

    def test_dtmf_before_the_bridge_goes_nowhere(self) -> None:
        scene = Scene(plan(1, hangup_on_star=True), caller_answered=True)
        scene.send(progress(B1, 183, media=True))
        assert scene.send(dtmf(A, "*"), dtmf(B1, "1")) == []

    def test_ringing_goes_on_while_one_branch_is_left(self) -> None:
        scene = Scene(plan(3), caller_answered=True)
        output = scene.send(ended(B1, 603), ended(B2, 404))
        assert stages(output) == [(B1, "completed"), (B2, "completed")]
        assert len(output) == 2
        assert scene.dial.state is DialState.RINGING


class TestFailure:
    @pytest.mark.parametrize(
        ("codes", "status", "child"),
        [
            ((486, 404, 480), "busy", "CAb1"),
            ((404, 480, 600), "busy", "CAb3"),
            ((404, 480, 503), "no-answer", "CAb2"),
            ((404, 503, 604), "failed", "CAb1"),
            ((480, 408, 487), "no-answer", "CAb1"),
        ],
    )
    def test_the_most_informative_of_all_failures_counts(
        self, codes: tuple[int, ...], status: str, child: str
    ) -> None:
        scene = Scene(plan(3))
        for leg, code in zip((B1, B2, B3), codes, strict=True):
            scene.send(ended(leg, code))
        assert (scene.outcome.status, scene.result.child) == (status, child)
        assert scene.dial.done

    def test_the_result_of_a_single_failure_has_its_code_headers_and_call_id(self) -> None:
        scene = Scene(plan())
        scene.send(progress(B1, at=2.0), at=2.0)
        scene.send(ended(B1, 404, headers=(("X-Why", "gone"),), at=5.5), at=5.6)
        result = scene.result
        assert (result.outcome.status, result.outcome.sip_code, result.outcome.q850_cause) == (
            "failed",
            404,
            1,
        )
        assert (result.leg, result.child, result.kind, result.sip_call_id) == (B1, "CAb1", "sip", "id-b1")
        assert (result.bridged, result.duration_s, result.ring_duration_ms) == (False, 0.0, 3500)
        assert result.headers == (("X-Why", "gone"),)
        assert result.outcome.hangup_by == "callee"

    def test_a_busy_target_outweighs_the_timeout_of_the_others(self) -> None:
        scene = Scene(plan(2))
        scene.send(ended(B1, 486))
        scene.tick(RING_TIMEOUT_S)
        assert (scene.outcome.status, scene.result.child) == ("busy", "CAb1")

    def test_the_tone_stops_when_all_have_failed(self) -> None:
        scene = Scene(plan(), caller_answered=True)
        output = scene.send(ended(B1, 486))
        assert [type(item) for item in output] == [BranchReport, SetMedia, DialSettled]
        assert find(output, SetMedia) == [SILENCE]


class TestRingTimeout:
    def test_all_that_ring_are_hung_up_without_a_reason_and_it_is_no_answer(self) -> None:
        scene = Scene(plan(2))
        scene.send(progress(B1))
        assert scene.dial.next_deadline() == RING_TIMEOUT_S
        assert scene.tick(RING_TIMEOUT_S - 0.001) == []
        output = scene.tick(RING_TIMEOUT_S)
        assert find(output, HangupLeg) == [HangupLeg(leg=B1), HangupLeg(leg=B2)]
        assert (scene.outcome.status, scene.outcome.hangup_by) == ("no-answer", "node")
        assert (scene.result.child, scene.result.headers) == ("CAb1", ())
        assert scene.dial.state is DialState.CLOSING

    def test_it_is_settled_but_not_done_until_the_legs_have_ended(self) -> None:
        scene = Scene(plan(2))
        scene.tick(RING_TIMEOUT_S)
        scene.send(ended(B1, 487, "local"))
        assert not scene.dial.done
        scene.send(ended(B2, 487, "local"))
        assert scene.dial.done
        assert scene.completed() == {B1: "no-answer", B2: "no-answer"}
        assert scene.dial.next_deadline() is None

    def test_an_end_that_is_never_reported_is_made_up(self) -> None:
        scene = Scene(plan())
        scene.tick(RING_TIMEOUT_S)
        due = RING_TIMEOUT_S + LIMIT_S[LegState.CLOSING]
        assert scene.dial.next_deadline() == due
        assert stages(scene.tick(due)) == [(B1, "completed")]
        assert scene.dial.done
        scene.send(ended(B1))
        assert scene.completed() == {B1: "no-answer"}

    def test_the_timeout_counts_from_the_invite_not_from_180(self) -> None:
        scene = Scene(plan())
        scene.send(progress(B1), at=30.0)
        assert hangups(scene.tick(RING_TIMEOUT_S)) == [B1]


class TestSequential:
    def test_the_next_target_is_invited_when_one_fails(self) -> None:
        scene = Scene(plan(3, sequential=True))
        assert find(scene.started, InviteLeg) == [invite(B1)]
        assert stages(scene.send(ended(B1, 486))) == [(B1, "completed"), (B2, "initiated")]

    def test_each_target_has_its_own_timeout(self) -> None:
        scene = Scene(plan(2, sequential=True))
        output = scene.tick(RING_TIMEOUT_S)
        assert hangups(output) == [B1]
        assert find(output, InviteLeg) == [invite(B2)]
        scene.send(ended(B1, 487, "local"), at=RING_TIMEOUT_S + 0.1)
        assert hangups(scene.tick(2 * RING_TIMEOUT_S)) == [B2]
        assert scene.outcome.status == "no-answer"

    def test_refused_targets_are_passed_over(self) -> None:
        scene = Scene(plan([target(B1), target(B2, NotInvited.NO_ROUTE), target(B3)], sequential=True))
        output = scene.send(ended(B1, 404))
        assert stages(output) == [(B1, "completed"), (B2, "completed"), (B3, "initiated")]

    def test_a_target_that_was_never_tried_has_no_report(self) -> None:
        scene = Scene(plan(2, sequential=True))
        scene.send(answered(B1), ended(B1))
        assert {leg for leg, _ in stages(scene.output)} == {B1}
        assert scene.dial.done

    def test_the_next_target_is_not_invited_for_a_caller_we_are_hanging_up(self) -> None:
        scene = Scene(plan(2, sequential=True))
        scene.a_leg.hangup(1.0)
        output = scene.send(ended(B1, 404))
        assert not find(output, InviteLeg)
        assert (scene.outcome.status, scene.outcome.hangup_by) == ("no-answer", "node")
        assert scene.result.child == "CAb1"

    def test_our_tone_comes_back_for_the_next_target(self) -> None:
        scene = Scene(plan(2, sequential=True), caller_answered=True)
        assert not find(scene.send(progress(B1, 183, media=True), ended(B1, 404)), SetMedia)

    def test_the_late_end_of_a_timed_out_target_does_not_disturb_the_next(self) -> None:
        scene = Scene(plan(2, sequential=True))
        scene.tick(RING_TIMEOUT_S)
        assert stages(scene.send(ended(B1, 487, "local"))) == [(B1, "completed")]
        scene.send(answered(B2))
        assert (scene.dial.state, scene.completed()) == (DialState.BRIDGED, {B1: "no-answer"})

    def test_a_timed_out_target_that_answers_late_is_not_bridged(self) -> None:
        scene = Scene(plan(2, sequential=True))
        scene.tick(RING_TIMEOUT_S)
        assert scene.send(progress(B1, 183), answered(B1)) == []
        scene.send(ended(B1, 200, "local"))
        assert (scene.dial.state, scene.completed()) == (DialState.RINGING, {B1: "no-answer"})


class TestAnswer:
    def test_the_first_answer_answers_bridges_and_then_hangs_up_the_others(self) -> None:
        scene = Scene(plan(3))
        output = scene.send(answered(B1, at=3.0), at=3.0)
        assert output == [
            AnswerLeg(leg=A),
            BRIDGE,
            HangupLeg(leg=B2, headers=ELSEWHERE),
            HangupLeg(leg=B3, headers=ELSEWHERE),
            BranchReport(leg=B1, child=targets(1)[0].child, stage="answered", at=3.0),
            Bridged(leg=B1, at=3.0),
        ]

    def test_an_answered_caller_is_not_answered_again(self) -> None:
        scene = Scene(plan(), caller_answered=True)
        assert scene.send(answered(B1))[0] == BRIDGE

    def test_losers_are_completed_as_canceled(self) -> None:
        scene = Scene(plan(3))
        scene.send(answered(B2), ended(B1, 487, "local"), ended(B3, 487, "local"))
        assert scene.completed() == {B1: "canceled", B3: "canceled"}
        assert not find(scene.output, DialSettled)
        scene.send(ended(B2))
        assert scene.completed() == {B1: "canceled", B2: "completed", B3: "canceled"}

    def test_an_answer_for_a_caller_we_are_hanging_up_is_not_bridged(self) -> None:
        scene = Scene(plan(2))
        scene.a_leg.hangup(1.0)
        output = scene.send(answered(B1))
        assert hangups(output) == [B1, B2]
        assert not find(output, Bridged)
        assert (scene.outcome.status, scene.outcome.hangup_by) == ("no-answer", "node")


class TestBridged:
    def bridged(self, count: int = 1, **options: object) -> Scene:
        scene = Scene(plan(count, **options))
        scene.send(progress(B1, at=1.0), at=1.0)
        scene.send(answered(B1, at=3.0, headers=(("X-A", "1"),)), at=3.0)
        scene.send(confirmed(A, at=3.1), at=3.1)
        return scene

    def test_the_callee_ends_and_the_caller_goes_on(self) -> None:
        scene = self.bridged()
        output = scene.send(ended(B1, at=13.5, headers=(("X-B", "2"),)), at=13.6)
        assert [type(item) for item in output] == [BranchReport, SetMedia, DialSettled]
        result = scene.result
        assert (result.outcome.status, result.outcome.hangup_by, result.outcome.sip_code) == (
            "completed", "callee", 200,
        )  # fmt: skip
        assert (result.bridged, result.duration_s, result.ring_duration_ms) == (True, 10.5, 2000)
        assert result.headers == (("X-A", "1"), ("X-B", "2"))
        assert scene.dial.done
        assert scene.a_leg.live
        assert find(output, BranchReport)[0].duration_s == 10.5

    def test_the_caller_ends_and_the_callee_is_hung_up(self) -> None:
        scene = self.bridged()
        output = scene.send(ended(A, at=8.0), at=8.0)
        assert [type(item) for item in output] == [HangupLeg, SetMedia, DialSettled]
        assert find(output, HangupLeg) == [HangupLeg(leg=B1)]
        assert (scene.outcome.status, scene.outcome.hangup_by) == ("completed", "caller")
        assert scene.result.duration_s == 5.0
        scene.send(ended(B1, cause="local", at=8.4), at=8.4)
        (last,) = [report for report in find(scene.output, BranchReport) if report.stage == "completed"]
        assert last.duration_s == 5.0
        assert scene.dial.done

    def test_a_dead_worker_of_the_caller_is_not_the_callers_doing(self) -> None:
        scene = self.bridged()
        scene.send(ended(A, 503, "worker"))
        assert (scene.outcome.status, scene.outcome.hangup_by, scene.outcome.q850_cause) == (
            "completed",
            "node",
            41,
        )

    def test_star_of_the_caller_ends_the_callee_and_is_not_relayed(self) -> None:
        scene = self.bridged(hangup_on_star=True)
        output = scene.send(dtmf(A, "*"), at=9.0)
        assert hangups(output) == [B1]
        assert not find(output, SendDtmf)
        assert (scene.outcome.status, scene.outcome.hangup_by) == ("completed", "caller")
        assert scene.a_leg.live

    @pytest.mark.parametrize(("star", "digit"), [(False, "*"), (True, "5"), (False, "5")])
    def test_other_keys_of_the_caller_reach_the_callee(self, star: bool, digit: str) -> None:
        scene = self.bridged(hangup_on_star=star)
        assert scene.send(dtmf(A, digit)) == [SendDtmf(leg=B1, digits=digit)]

    @pytest.mark.parametrize("digit", ["*", "5"])
    def test_every_key_of_the_callee_reaches_the_caller(self, digit: str) -> None:
        assert self.bridged(hangup_on_star=True).send(dtmf(B1, digit)) == [SendDtmf(leg=A, digits=digit)]

    def test_tones_are_looked_for_while_a_star_may_come(self) -> None:
        scene = self.bridged(hangup_on_star=True)
        assert find(scene.output, ListenForKeys) == [ListenForKeys(leg=A, wanted=True)]
        assert find(scene.send(ended(B1)), ListenForKeys) == [ListenForKeys(leg=A, wanted=False)]
        assert not find(self.bridged().output, ListenForKeys)

    def test_nobody_looks_for_tones_of_a_caller_who_is_gone(self) -> None:
        scene = self.bridged(hangup_on_star=True)
        assert not find(scene.send(ended(A)), ListenForKeys)

    def test_a_key_that_the_callee_has_heard_is_not_relayed(self) -> None:
        scene = self.bridged(hangup_on_star=True)
        tone = DtmfReceived(leg=A, at=4.0, digit="5", method="inband")
        assert scene.send(tone) == []
        assert hangups(scene.send(msgspec.structs.replace(tone, digit="*"))) == [B1]

    def test_keys_of_a_loser_go_nowhere(self) -> None:
        scene = Scene(plan(2))
        scene.send(answered(B1))
        assert scene.send(dtmf(B2, "1")) == []

    def test_the_time_limit_counts_from_the_bridge_and_ends_the_callee_only(self) -> None:
        scene = self.bridged()
        due = 3.0 + TIME_LIMIT_S
        assert scene.dial.next_deadline() == due
        assert scene.tick(due - 0.001) == []
        assert hangups(scene.tick(due)) == [B1]
        assert (scene.outcome.status, scene.outcome.hangup_by) == ("completed", "node")
        assert scene.result.duration_s == TIME_LIMIT_S
        assert scene.a_leg.live

    def test_hold_does_not_stretch_the_time_limit(self) -> None:
        scene = self.bridged()
        assert scene.send(media_changed(B1, held=True), media_changed(A, held=True), at=100.0) == []
        assert scene.dial.next_deadline() == 3.0 + TIME_LIMIT_S

    def test_no_leg_outlives_its_own_limit_whatever_the_plan_says(self) -> None:
        scene = self.bridged(time_limit_s=1e9)
        due = 3.0 + LIMIT_S[LegState.CONFIRMED]
        assert scene.dial.next_deadline() == due
        assert hangups(scene.tick(due)) == [B1]

    @pytest.mark.parametrize("by", ["api", "node"])
    def test_a_cancel_of_a_bridge_completes_it(self, by: str) -> None:
        scene = self.bridged()
        assert hangups(scene.send(DialCanceled(by=by))) == [B1]  # type: ignore[arg-type]
        assert (scene.outcome.status, scene.outcome.hangup_by) == ("completed", by)

    def test_the_callees_own_cause_is_reported(self) -> None:
        scene = self.bridged()
        scene.send(ended(B1, headers=(("Reason", "Q.850;cause=31"),)))
        assert scene.outcome.q850_cause == 31


class TestCanceled:
    @pytest.mark.parametrize("by", ["api", "node"])
    def test_before_the_answer_it_is_canceled(self, by: str) -> None:
        scene = Scene(plan(2), caller_answered=True)
        output = scene.send(DialCanceled(by=by))  # type: ignore[arg-type]
        assert find(output, HangupLeg) == [HangupLeg(leg=B1), HangupLeg(leg=B2)]
        assert output[-2] == SILENCE
        assert (scene.outcome.status, scene.outcome.hangup_by) == ("canceled", by)
        scene.send(ended(B1, 487, "local"), ended(B2, 487, "local"))
        assert scene.completed() == {B1: "canceled", B2: "canceled"}


def facts(leg: LegId) -> tuple[LegEvent, ...]:
    return (
        progress(leg),
        early_media(leg),
        answered(leg),
        confirmed(leg),
        media_changed(leg),
        dtmf(leg),
        referred(leg),
        refer_progress(leg),
        ended(leg),
    )


OWNERS = (
    DialCanceled(by="api"),
    ScreeningEnded(leg=B1, accepted=True),
    BranchCanceled(leg=B2),
    DialParked(),
    DialRejoined(),
    DialReplaced(),
    RingTimedOut(leg=B1),
    KeysDue(leg=B1),
    ScreeningTimedOut(leg=B1),
    TimeLimitReached(),
)
EVENTS: dict[Side, tuple[DialEvent, ...]] = {Side.A_LEG: facts(A), Side.B_LEG: facts(B1), Side.OWNER: OWNERS}
ILLEGAL = [
    (state, side, event)
    for state, side in itertools.product(DialState, Side)
    for event in EVENTS[side]
    if (state, side, type(event)) not in TRANSITIONS
]
IGNORED = [key for key, handler in TRANSITIONS.items() if not handler]


def dial_in(state: DialState) -> Dial:
    """A Dial of two branches brought to ``state``."""
    scene = Scene(plan(2), caller_answered=True, start=state is not DialState.NEW)
    if state is not DialState.NEW:
        scene.send(progress(B1))
    if state is DialState.BRIDGED:
        scene.send(answered(B1))
    elif state in (DialState.CLOSING, DialState.DONE):
        scene.send(DialCanceled(by="api"))
    if state is DialState.DONE:
        scene.send(ended(B1), ended(B2))
    assert scene.dial.state is state
    return scene.dial


def names(key: tuple[DialState, Side, type[DialEvent] | DialEvent]) -> str:
    kind = key[2] if isinstance(key[2], type) else type(key[2])
    return f"{key[0]}-{key[1]}-{kind.__name__}"


@pytest.mark.parametrize("key", ILLEGAL, ids=names)
def test_an_illegal_event_is_counted_and_changes_nothing(key: tuple[DialState, Side, DialEvent]) -> None:
    state, side, event = key
    dial = dial_in(state)
    if isinstance(event, RingTimedOut | KeysDue | ScreeningTimedOut | TimeLimitReached):
        assert dial._dispatch(side, event, 1.0) == []
    else:
        assert dial.handle(event, 1.0) == []
    assert dial.state is state
    assert dial.unexpected == {f"{state} {side} {type(event).__name__}": 1}


@pytest.mark.parametrize("key", IGNORED, ids=names)
def test_an_ignored_event_is_in_order_and_changes_nothing(
    key: tuple[DialState, Side, type[DialEvent]],
) -> None:
    state, side, kind = key
    loser = B2 if state is DialState.BRIDGED else B1
    events = {Side.A_LEG: facts(A), Side.B_LEG: facts(loser), Side.OWNER: OWNERS}[side]
    (event,) = [event for event in events if isinstance(event, kind)]
    assert not isinstance(event, RingTimedOut | KeysDue | ScreeningTimedOut | TimeLimitReached)
    dial = dial_in(state)
    assert dial.handle(event, 1.0) == []
    assert (dial.state, dict(dial.unexpected)) == (state, {})


def test_every_handler_of_the_table_exists() -> None:
    for (state, _, _), handler in TRANSITIONS.items():
        phase = DialRinging if state is DialState.RINGING else DialBridge
        assert not handler or hasattr(phase, handler)
    assert {state for state, _, _ in TRANSITIONS} == set(DialState) - {DialState.NEW, DialState.DONE}


def test_an_event_of_an_unknown_leg_is_counted() -> None:
    scene = Scene(plan(2, sequential=True))
    assert scene.send(answered(LegId("x")), answered(B2)) == []
    assert scene.dial.unexpected == {"ringing b_leg LegAnswered": 2}


def test_a_dial_can_be_stored_and_goes_on_where_it_was() -> None:
    scene = Scene(plan(2))
    scene.send(progress(B1))
    dial: Dial = pickle.loads(pickle.dumps(scene.dial))
    output = dial.handle(answered(B1), 1.0)
    assert find(output, AnswerLeg) == [AnswerLeg(leg=A)]
    assert hangups(output) == [B2]
