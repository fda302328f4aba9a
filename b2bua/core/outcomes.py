"""Outcomes of call attempts: the only place that translates SIP status codes into a call's status.

It decides ``DialCallStatus``, the Q.850 cause and who hung up, for every way a leg can end: the peer's final
response, its BYE, our own reasons to hang up, and targets that never got an INVITE. It must not decide what
follows from an outcome.
Sources: RFC 3398 §8.2.6.1 (SIP response to cause), RFC 3326 and RFC 6432 (``Reason``), RFC 3261 §8.1.3.1
(timeouts), §16.7 (what may be passed back).
"""

from enum import StrEnum
from typing import Literal

import msgspec

from b2bua.core.errors import LocalStateError
from b2bua.core.events import EndCause, LegEnded
from b2bua.core.reasons import read_reasons

__all__ = [
    "DialCallStatus",
    "HangupBy",
    "HangupReason",
    "NotInvited",
    "Outcome",
    "failure_sip_code",
    "gone_reason",
    "hung_up_outcome",
    "left_reason",
    "q850_reason",
    "rank",
    "refused_outcome",
    "talked_outcome",
    "unanswered_outcome",
]

DialCallStatus = Literal["completed", "answered", "busy", "no-answer", "failed", "canceled"]
"""The status that the web application receives (TwiML ``DialCallStatus``)."""

HangupBy = Literal["caller", "callee", "node", "api"]
"""Who ended the call: the a_leg's peer, the b_leg's peer, this node by itself, a REST request."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a branch or a whole Dial has ended."""

    status: DialCallStatus
    sip_code: int
    """The final response to the INVITE, or the one it would have had."""
    q850_cause: int
    """1..127; from the peer's Reason header, else from the table."""
    hangup_by: HangupBy


class HangupReason(StrEnum):
    """Why we hang up a b_leg."""

    ELSEWHERE = "elsewhere"
    """Another branch has answered."""
    RING_TIMEOUT = "ring timeout"
    CALLER_GONE = "caller gone"
    """The caller ended its leg before the answer."""
    NODE_GONE = "node gone"
    """Our own side ended the caller's leg (worker dead, hung up by us) before the answer."""
    WORKER_DIED = "worker died"
    """The caller's leg was lost with its worker while targets were ringing."""
    REFUSED = "refused"
    """The callee has answered, was screened, and refused the call."""
    SCREENING_TIMEOUT = "screening timeout"
    """The callee has answered but neither accepted nor refused the call in time."""
    CANCELED_BY_API = "canceled by api"
    CANCELED_BY_NODE = "canceled by node"
    CALLER_LEFT = "caller left"
    """The caller ended a bridged call, by BYE or by ``*``."""
    NODE_LEFT = "node left"
    TIME_LIMIT = "time limit"
    TRANSFERRED = "transferred"
    """The callee has transferred the caller to another party (REFER)."""
    ENDED_BY_API = "ended by api"
    ENDED_BY_NODE = "ended by node"
    FAULT = "fault"
    """An internal error has occurred in the session: whatever was under way has failed."""


class NotInvited(StrEnum):
    """Why a target never got an INVITE."""

    BAD_NUMBER = "bad number"
    BAD_CALLER_ID = "bad caller id"
    NO_ROUTE = "no route"
    NOT_REGISTERED = "not registered"
    NO_SLOT = "no slot"


def _outcome(status: DialCallStatus, sip_code: int, q850_cause: int, hangup_by: HangupBy) -> Outcome:
    return Outcome(status=status, sip_code=sip_code, q850_cause=q850_cause, hangup_by=hangup_by)


# A cancelled INVITE ends with 487 (RFC 3261 §9.2), which may not have arrived yet when we decide.
_HUNG_UP: dict[HangupReason, Outcome] = {
    HangupReason.ELSEWHERE: _outcome("canceled", 487, 26, "node"),  # non-selected user clearing
    HangupReason.RING_TIMEOUT: _outcome("no-answer", 487, 19, "node"),
    HangupReason.CALLER_GONE: _outcome("no-answer", 487, 16, "caller"),
    HangupReason.NODE_GONE: _outcome("no-answer", 487, 41, "node"),
    HangupReason.WORKER_DIED: _outcome("failed", 503, 41, "node"),
    HangupReason.REFUSED: _outcome("no-answer", 480, 21, "callee"),  # call rejected
    HangupReason.SCREENING_TIMEOUT: _outcome("no-answer", 480, 19, "node"),
    HangupReason.CANCELED_BY_API: _outcome("canceled", 487, 16, "api"),
    HangupReason.CANCELED_BY_NODE: _outcome("canceled", 487, 16, "node"),
    HangupReason.CALLER_LEFT: _outcome("completed", 200, 16, "caller"),
    HangupReason.NODE_LEFT: _outcome("completed", 200, 41, "node"),
    HangupReason.TIME_LIMIT: _outcome("completed", 200, 16, "node"),
    HangupReason.TRANSFERRED: _outcome("completed", 200, 16, "callee"),
    HangupReason.ENDED_BY_API: _outcome("completed", 200, 16, "api"),
    HangupReason.ENDED_BY_NODE: _outcome("completed", 200, 16, "node"),
    HangupReason.FAULT: _outcome("failed", 500, 41, "node"),  # temporary failure
}

_REFUSED: dict[NotInvited, Outcome] = {
    NotInvited.BAD_NUMBER: _outcome("failed", 484, 28, "node"),
    NotInvited.BAD_CALLER_ID: _outcome("failed", 403, 21, "node"),
    NotInvited.NO_ROUTE: _outcome("failed", 404, 3, "node"),
    NotInvited.NOT_REGISTERED: _outcome("no-answer", 480, 20, "node"),  # subscriber absent
    NotInvited.NO_SLOT: _outcome("failed", 503, 34, "node"),
}

_STATUS_OF_CODE: dict[int, DialCallStatus] = {
    486: "busy",
    600: "busy",
    603: "busy",
    408: "no-answer",
    480: "no-answer",
    487: "no-answer",
}
"""Final responses that are not ``failed``."""

# RFC 3398 §8.2.6.1 leaves 487 open and derives 488 and 606 from the Warning header; 607 and 608 are newer.
_Q850_OF_CODE: dict[int, int] = {
    400: 41, 401: 21, 402: 21, 403: 21, 404: 1, 405: 63, 406: 79, 407: 21, 408: 102, 410: 22, 413: 127,
    414: 127, 415: 79, 416: 127, 420: 127, 421: 127, 423: 127, 480: 18, 481: 41, 482: 25, 483: 25, 484: 28,
    485: 1, 486: 17, 487: 31, 488: 88, 500: 41, 501: 79, 502: 38, 503: 41, 504: 102, 505: 127, 513: 127,
    600: 17, 603: 21, 604: 1, 606: 88, 607: 21, 608: 21,
}  # fmt: skip
_Q850_OF_CLASS: dict[int, int] = {3: 127, 4: 41, 5: 41, 6: 31}
_Q850_UNKNOWN = 31

_STATUS_OF_CAUSE: dict[EndCause, DialCallStatus] = {
    "unreachable": "failed",
    "capacity": "failed",
    "worker": "failed",
}
"""Causes that end an unanswered leg with a code of ours, which says nothing about the callee. For others the
code decides: a transaction timeout is treated as a received 408 (RFC 3261 §8.1.3.1)."""

_Q850_OF_CAUSE: dict[EndCause, int] = {"unreachable": 3, "capacity": 34, "worker": 41}

_Q850_OF_BRIDGE_END: dict[EndCause, int] = {"peer": 16, "local": 16, "timeout": 102}

_LEFT_BY_PEER: frozenset[EndCause] = frozenset({"peer", "timeout"})
"""A peer that no longer responds counts as gone, whatever the reason."""

_PASSED_BACK: frozenset[int] = frozenset({403, 404, 410, 480, 484, 485, 488, 500, 501, 502, 503, 504})
"""Failures with the same meaning for the caller as for us."""

_PASSED_BACK_AS: dict[int, int] = {401: 403, 402: 403, 407: 403, 604: 404, 606: 488, 607: 403, 608: 403}
"""Replacements for failures that may not be passed back: a challenge lacks its header, and a 6xx would end
the caller's own fork (RFC 3261 §16.7)."""

_RANK: dict[DialCallStatus, int] = {
    "completed": 5, "answered": 5, "busy": 4, "no-answer": 3, "failed": 2, "canceled": 1,
}  # fmt: skip


def hung_up_outcome(reason: HangupReason) -> Outcome:
    """Return the outcome of a branch that we end for ``reason``."""
    return _HUNG_UP[reason]


def refused_outcome(refusal: NotInvited) -> Outcome:
    """Return the outcome of a target that never got an INVITE."""
    return _REFUSED[refusal]


def unanswered_outcome(ended: LegEnded) -> Outcome:
    """Return the outcome of a branch that ended by itself before its 200."""
    code = ended.sip_code
    status = _STATUS_OF_CAUSE.get(ended.cause) or _STATUS_OF_CODE.get(code, "failed")
    by_table = _Q850_OF_CAUSE.get(ended.cause) or _Q850_OF_CODE.get(code) or _Q850_OF_CLASS.get(code // 100)
    return Outcome(
        status=status,
        sip_code=code,
        q850_cause=q850_reason(ended) or by_table or _Q850_UNKNOWN,
        hangup_by=_who_left(ended.cause, "callee"),
    )


def talked_outcome(ended: LegEnded) -> Outcome:
    """Return the outcome of a branch that was answered and that we did not end."""
    return Outcome(
        status="completed",
        sip_code=200,
        q850_cause=q850_reason(ended) or _Q850_OF_BRIDGE_END.get(ended.cause, 41),
        hangup_by=_who_left(ended.cause, "callee"),
    )


def gone_reason(ended: LegEnded | None) -> HangupReason:
    """Return why the caller no longer waits for an answer.

    ``ended`` is the end of the a_leg; None when we have hung it up.
    """
    by_caller = ended is not None and _who_left(ended.cause, "caller") == "caller"
    return HangupReason.CALLER_GONE if by_caller else HangupReason.NODE_GONE


def left_reason(ended: LegEnded) -> HangupReason:
    """Return why the caller is no longer in the bridge; ``ended`` is the end of the a_leg."""
    by_caller = _who_left(ended.cause, "caller") == "caller"
    return HangupReason.CALLER_LEFT if by_caller else HangupReason.NODE_LEFT


def q850_reason(ended: LegEnded) -> int:
    """Return the peer's own Q.850 cause (RFC 3326: ``Reason: Q.850;cause=16``), 0 if it gave none."""
    values = [value for name, value in ended.headers if name.lower() == "reason"]
    causes = (
        each.cause for each in read_reasons([*values, ended.reason]) if each.protocol.upper() == "Q.850"
    )
    return next((cause for cause in causes if 1 <= cause <= 127), 0)


def rank(outcome: Outcome) -> int:
    """Return how informative an outcome is, higher is more: busy over no-answer over failed."""
    return _RANK[outcome.status]


def failure_sip_code(outcome: Outcome) -> int:
    """Return the final response for an unanswered caller when no verb follows the Dial.

    Raises:
        LocalStateError: according to the outcome the Dial was answered.
    """
    match outcome.status:
        case "busy":
            return 486
        case "no-answer":
            return 480
        case "canceled":
            return 487
        case "failed" if outcome.sip_code in _PASSED_BACK:
            return outcome.sip_code
        case "failed":
            # The rest (3xx, 420, 482…) is about our INVITE, not the caller's.
            return _PASSED_BACK_AS.get(outcome.sip_code, 502)
        case _:
            raise LocalStateError(f"a Dial with status {outcome.status} has no failure to pass to the caller")


def _who_left(cause: EndCause, peer: HangupBy) -> HangupBy:
    """Return who ended a leg, ``peer`` being the name of the leg's peer."""
    return peer if cause in _LEFT_BY_PEER else "node"
