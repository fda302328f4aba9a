import pytest

from b2bua.core.errors import LocalStateError
from b2bua.core.ids import LegId
from b2bua.core.outcomes import (
    HangupReason,
    NotInvited,
    Outcome,
    failure_sip_code,
    gone_reason,
    hung_up_outcome,
    left_reason,
    q850_reason,
    rank,
    refused_outcome,
    talked_outcome,
    unanswered_outcome,
)
from tests.unit.core.scene import ended

pytestmark = pytest.mark.unit
B = LegId("b")

BY_CODE = [
    (486, "busy", 17),
    (600, "busy", 17),
    (603, "busy", 21),
    (408, "no-answer", 102),
    (480, "no-answer", 18),
    (487, "no-answer", 31),
    (302, "failed", 127),
    (400, "failed", 41),
    (401, "failed", 21),
    (403, "failed", 21),
    (404, "failed", 1),
    (410, "failed", 22),
    (484, "failed", 28),
    (488, "failed", 88),
    (499, "failed", 41),
    (500, "failed", 41),
    (503, "failed", 41),
    (504, "failed", 102),
    (599, "failed", 41),
    (604, "failed", 1),
    (606, "failed", 88),
    (607, "failed", 21),
    (699, "failed", 31),
    (0, "failed", 31),
]


def told(outcome: Outcome) -> tuple[str, int, int, str]:
    return (outcome.status, outcome.sip_code, outcome.q850_cause, outcome.hangup_by)


@pytest.mark.parametrize(("code", "status", "cause"), BY_CODE)
def test_a_final_response_has_one_status_and_one_cause(code: int, status: str, cause: int) -> None:
    outcome = unanswered_outcome(ended(B, code))
    assert told(outcome) == (status, code, cause, "callee")


@pytest.mark.parametrize(
    ("cause", "code", "status", "q850", "by"),
    [
        ("unreachable", 480, "failed", 3, "node"),
        ("timeout", 408, "no-answer", 102, "callee"),
        ("capacity", 503, "failed", 34, "node"),
        ("worker", 503, "failed", 41, "node"),
        ("local", 487, "no-answer", 31, "node"),
    ],
)
def test_an_end_without_a_response_goes_by_its_cause(
    cause: str, code: int, status: str, q850: int, by: str
) -> None:
    outcome = unanswered_outcome(ended(B, code, cause))
    assert told(outcome) == (status, code, q850, by)


@pytest.mark.parametrize(
    ("cause", "q850", "by"),
    [
        ("peer", 16, "callee"),
        ("timeout", 102, "callee"),
        ("local", 16, "node"),
        ("worker", 41, "node"),
        ("unreachable", 41, "node"),
    ],
)
def test_the_end_of_an_answered_leg_is_completed(cause: str, q850: int, by: str) -> None:
    outcome = talked_outcome(ended(B, 200, cause))
    assert told(outcome) == ("completed", 200, q850, by)


@pytest.mark.parametrize(
    ("headers", "reason", "cause"),
    [
        ((("Reason", 'Q.850;cause=34;text="No circuit"'),), "", 34),
        ((("reason", "q.850 ; cause = 21"),), "", 21),
        ((("Reason", 'SIP;cause=600;text="x"'), ("Reason", "Q.850;cause=17")), "", 17),
        ((("Reason", 'SIP;cause=600, Q.850;cause="19"'),), "", 19),
        ((("Reason", "Q.850;text=x;cause=27"),), "", 27),
        ((), "Q.850;cause=38", 38),
        ((("Reason", "SIP;cause=486"),), "Busy Here", 0),
        ((("Reason", "Q.850;cause=128"),), "", 0),
        ((("Reason", "Q.850;cause=0"),), "", 0),
        ((("X-Note", "Q.850;cause=17"),), "", 0),
        ((("Reason", "Q.850, SIP;cause=17"),), "", 0),
    ],
)
def test_the_peers_own_cause_is_read_from_its_reason(
    headers: tuple[tuple[str, str], ...], reason: str, cause: int
) -> None:
    assert q850_reason(ended(B, 486, headers=headers, reason=reason)) == cause


def test_the_peers_own_cause_comes_before_the_table() -> None:
    end = ended(B, 503, headers=(("Reason", "Q.850;cause=27"),))
    assert unanswered_outcome(end).q850_cause == 27
    assert talked_outcome(end).q850_cause == 27


@pytest.mark.parametrize("reason", HangupReason)
def test_every_reason_to_hang_up_has_an_outcome(reason: HangupReason) -> None:
    outcome = hung_up_outcome(reason)
    assert (outcome.status == "completed") == (outcome.sip_code == 200)


@pytest.mark.parametrize(
    ("refusal", "code", "status"),
    [
        (NotInvited.BAD_NUMBER, 484, "failed"),
        (NotInvited.BAD_CALLER_ID, 403, "failed"),
        (NotInvited.NO_ROUTE, 404, "failed"),
        (NotInvited.NOT_REGISTERED, 480, "no-answer"),
        (NotInvited.NO_SLOT, 503, "failed"),
    ],
)
def test_a_refused_target_has_the_code_it_would_have_got(refusal: NotInvited, code: int, status: str) -> None:
    outcome = refused_outcome(refusal)
    assert (outcome.sip_code, outcome.status) == (code, status)


def test_busy_tells_more_than_no_answer_and_that_more_than_failed() -> None:
    ranks = [rank(unanswered_outcome(ended(B, code))) for code in (486, 480, 404)]
    assert ranks == sorted(ranks, reverse=True)
    assert len(set(ranks)) == 3
    assert rank(hung_up_outcome(HangupReason.ELSEWHERE)) < min(ranks)


@pytest.mark.parametrize(
    ("code", "sent"),
    [
        (486, 486), (600, 486), (603, 486), (408, 480), (480, 480), (487, 480), (404, 404), (403, 403),
        (484, 484), (488, 488), (500, 500), (503, 503), (401, 403), (407, 403), (604, 404), (606, 488),
        (607, 403), (302, 502), (420, 502), (482, 502), (699, 502),
    ],
)  # fmt: skip
def test_an_unanswered_caller_is_told_what_means_the_same_to_it(code: int, sent: int) -> None:
    assert failure_sip_code(unanswered_outcome(ended(B, code))) == sent


def test_an_unanswered_caller_of_a_canceled_dial_gets_487() -> None:
    assert failure_sip_code(hung_up_outcome(HangupReason.CANCELED_BY_API)) == 487


def test_an_unreachable_target_is_passed_back_as_480() -> None:
    assert failure_sip_code(unanswered_outcome(ended(B, 480, "unreachable"))) == 480


def test_an_answered_dial_has_no_failure_to_pass_back() -> None:
    with pytest.raises(LocalStateError, match="completed"):
        failure_sip_code(talked_outcome(ended(B)))


@pytest.mark.parametrize(
    ("cause", "gone", "left"),
    [
        ("peer", HangupReason.CALLER_GONE, HangupReason.CALLER_LEFT),
        ("timeout", HangupReason.CALLER_GONE, HangupReason.CALLER_LEFT),
        ("local", HangupReason.NODE_GONE, HangupReason.NODE_LEFT),
        ("worker", HangupReason.NODE_GONE, HangupReason.NODE_LEFT),
    ],
)
def test_a_caller_that_falls_silent_has_left_but_not_one_whose_worker_died(
    cause: str, gone: HangupReason, left: HangupReason
) -> None:
    assert gone_reason(ended(B, cause=cause)) is gone
    assert left_reason(ended(B, cause=cause)) is left


def test_a_caller_leg_we_hung_up_is_not_the_callers_doing() -> None:
    assert gone_reason(None) is HangupReason.NODE_GONE
