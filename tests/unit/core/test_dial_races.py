"""Races: each pair of {CANCEL, BYE, 200, timeout, REST} at each moment of a Dial."""

import pytest

from b2bua.core.commands import HangupLeg, InviteLeg
from b2bua.core.dial import DialCanceled, DialState
from b2bua.core.dial_report import Bridged, DialSettled
from tests.unit.core.scene import (
    B1,
    B2,
    B3,
    BRIDGE,
    ELSEWHERE,
    RING_TIMEOUT_S,
    TIME_LIMIT_S,
    A,
    Scene,
    answered,
    ended,
    find,
    hangups,
    plan,
    progress,
    stages,
)

pytestmark = pytest.mark.unit
API = DialCanceled(by="api")
RINGING = pytest.mark.parametrize("rung", [False, True], ids=["before_18x", "after_18x"])


def ringing(rung: bool, count: int = 1) -> Scene:
    scene = Scene(plan(count))
    if rung:
        scene.send(*(progress(leg) for leg in (B1, B2, B3)[:count]))
    return scene


def never_bridged(scene: Scene, status: str, by: str) -> None:
    assert not find(scene.output, Bridged)
    assert BRIDGE not in scene.output
    assert "answered" not in {stage for _, stage in stages(scene.output)}
    assert (scene.outcome.status, scene.outcome.hangup_by, scene.result.bridged) == (status, by, False)
    assert scene.dial.done


@RINGING
class TestWhileRinging:
    def test_cancel_hangs_up_all_without_claiming_another_answer(self, rung: bool) -> None:
        scene = ringing(rung, 3)
        output = scene.send(ended(A, 487))
        assert find(output, HangupLeg) == [HangupLeg(leg=leg) for leg in (B1, B2, B3)]
        scene.send(*(ended(leg, 487, "local") for leg in (B1, B2, B3)))
        never_bridged(scene, "no-answer", "caller")
        assert scene.completed() == dict.fromkeys((B1, B2, B3), "no-answer")

    def test_cancel_crossing_200_reports_no_answer(self, rung: bool) -> None:
        scene = ringing(rung)
        scene.send(ended(A, 487))
        assert scene.send(answered(B1)) == []
        scene.send(ended(B1, 200, "local"))
        never_bridged(scene, "no-answer", "caller")
        assert scene.completed() == {B1: "no-answer"}

    def test_cancel_crossing_a_failure_reports_no_answer(self, rung: bool) -> None:
        scene = ringing(rung)
        scene.send(ended(A, 487), ended(B1, 486))
        never_bridged(scene, "no-answer", "caller")
        assert scene.completed() == {B1: "no-answer"}

    def test_200_then_cancel_is_a_completed_call(self, rung: bool) -> None:
        # The 200 we send crosses the CANCEL: the caller's leg ends by it or by BYE, and the bridge stood.
        scene = ringing(rung)
        scene.send(answered(B1))
        assert hangups(scene.send(ended(A, 487))) == [B1]
        assert (scene.outcome.status, scene.outcome.hangup_by) == ("completed", "caller")

    def test_timeout_crossing_200_reports_no_answer(self, rung: bool) -> None:
        scene = ringing(rung)
        assert hangups(scene.tick(RING_TIMEOUT_S)) == [B1]
        assert scene.send(answered(B1)) == []
        scene.send(ended(B1, 200, "local"))
        never_bridged(scene, "no-answer", "node")

    def test_200_before_the_timeout_is_due_cancels_the_timeout(self, rung: bool) -> None:
        scene = ringing(rung)
        scene.send(answered(B1), at=RING_TIMEOUT_S)
        assert scene.tick(RING_TIMEOUT_S) == []
        assert scene.dial.state is DialState.BRIDGED

    def test_timeout_and_cancel_settle_once(self, rung: bool) -> None:
        scene = ringing(rung)
        scene.tick(RING_TIMEOUT_S)
        assert scene.send(ended(A, 487)) == []
        scene.send(ended(B1, 487, "local"))
        never_bridged(scene, "no-answer", "node")

    def test_cancel_and_timeout_settle_once(self, rung: bool) -> None:
        scene = ringing(rung)
        scene.send(ended(A, 487), at=RING_TIMEOUT_S)
        assert scene.tick(RING_TIMEOUT_S) == []
        scene.send(ended(B1, 487, "local"))
        never_bridged(scene, "no-answer", "caller")

    def test_rest_crossing_200_is_canceled(self, rung: bool) -> None:
        scene = ringing(rung)
        scene.send(API)
        assert scene.send(answered(B1)) == []
        scene.send(ended(B1, 200, "local"))
        never_bridged(scene, "canceled", "api")

    def test_200_then_rest_is_a_completed_call(self, rung: bool) -> None:
        scene = ringing(rung)
        scene.send(answered(B1))
        assert hangups(scene.send(API)) == [B1]
        assert (scene.outcome.status, scene.outcome.hangup_by) == ("completed", "api")

    def test_rest_and_cancel_settle_once(self, rung: bool) -> None:
        scene = ringing(rung)
        scene.send(API)
        assert scene.send(ended(A, 487)) == []
        scene.send(ended(B1, 487, "local"))
        never_bridged(scene, "canceled", "api")

    def test_rest_and_timeout_settle_once(self, rung: bool) -> None:
        scene = ringing(rung)
        scene.send(API, at=RING_TIMEOUT_S)
        assert scene.tick(RING_TIMEOUT_S) == []
        assert scene.send(API) == []
        scene.send(ended(B1, 487, "local"))
        never_bridged(scene, "canceled", "api")

    def test_two_200s_at_once_leave_one_bridge(self, rung: bool) -> None:
        scene = ringing(rung, 2)
        output = scene.send(answered(B1), answered(B2))
        assert [bridged.leg for bridged in find(output, Bridged)] == [B1]
        assert find(output, HangupLeg) == [HangupLeg(leg=B2, headers=ELSEWHERE)]
        scene.send(ended(B2, 200, "local"))
        assert scene.completed() == {B2: "canceled"}
        assert ("b2", "answered") not in stages(scene.output)

    def test_the_winner_ends_before_the_losers(self, rung: bool) -> None:
        scene = ringing(rung, 3)
        scene.send(answered(B2), ended(B2))
        assert (scene.outcome.status, scene.outcome.hangup_by, scene.dial.done) == (
            "completed",
            "callee",
            False,
        )
        assert scene.send(answered(B1)) == []
        scene.send(ended(B1, 487, "local"), ended(B3, 487, "local"))
        assert scene.dial.done
        assert len(find(scene.output, DialSettled)) == 1

    def test_a_loser_that_was_busy_meanwhile_is_still_canceled(self, rung: bool) -> None:
        scene = ringing(rung, 2)
        scene.send(answered(B1), ended(B2, 486))
        assert scene.completed() == {B2: "canceled"}

    def test_6xx_of_one_target_leaves_the_others_ringing(self, rung: bool) -> None:
        scene = ringing(rung, 2)
        assert not hangups(scene.send(ended(B1, 603)))
        scene.send(answered(B2))
        assert scene.dial.state is DialState.BRIDGED


class TestEarlyMedia:
    def test_the_caller_abandons_during_early_media(self) -> None:
        scene = Scene(plan())
        scene.send(progress(B1, 183, media=True))
        assert hangups(scene.send(ended(A, 487))) == [B1]
        scene.send(ended(B1, 487, "local"))
        never_bridged(scene, "no-answer", "caller")


class TestAtTheBridge:
    def bridged(self) -> Scene:
        scene = Scene(plan(2))
        scene.send(answered(B1))
        return scene

    def test_both_send_bye(self) -> None:
        scene = self.bridged()
        scene.send(ended(A), ended(B1))
        assert hangups(scene.output).count(B1) == 1
        assert scene.outcome.hangup_by == "caller"

    def test_both_send_bye_the_callee_first(self) -> None:
        scene = self.bridged()
        scene.send(ended(B1), ended(A))
        assert B1 not in hangups(scene.output)
        assert scene.outcome.hangup_by == "callee"

    def test_the_callees_bye_crosses_the_time_limit(self) -> None:
        scene = self.bridged()
        scene.tick(TIME_LIMIT_S)
        scene.send(ended(B1))
        assert (scene.outcome.hangup_by, scene.completed()[B1]) == ("node", "completed")

    def test_rest_crosses_the_callees_bye(self) -> None:
        scene = self.bridged()
        scene.send(API, ended(B1), ended(A))
        assert scene.outcome.hangup_by == "api"

    def test_the_caller_never_acknowledges_our_200(self) -> None:
        scene = self.bridged()
        assert hangups(scene.send(ended(A, 408, "timeout"))) == [B1]
        assert (scene.outcome.status, scene.outcome.hangup_by) == ("completed", "caller")

    def test_the_worker_dies_and_every_leg_ends_at_once(self) -> None:
        scene = self.bridged()
        scene.send(ended(B1, 503, "worker"), ended(B2, 503, "worker"), ended(A, 503, "worker"))
        assert scene.dial.done
        assert (scene.outcome.hangup_by, scene.outcome.q850_cause) == ("node", 41)


def test_the_caller_cancels_before_the_dial_starts_and_nothing_is_launched() -> None:
    scene = Scene(plan(3), start=False)
    scene.a_leg.handle(ended(A, 487), 0.0)
    assert not find(scene.keep(scene.dial.start(0.1)), InviteLeg)
    never_bridged(scene, "no-answer", "caller")
