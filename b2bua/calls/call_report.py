"""What the application is told of one call: its standard parameters, its status callbacks in order, its end.

The call may be the caller's, one that we make, or a child call of a Dial: each has a leg, parties, and
perhaps somebody who wants to know. Decides no more than words: it must never change the call.
Source: TwiML for Programmable Voice, "status callbacks" (read November 2026).
"""

from typing import Literal, Protocol

import msgspec
from msgspec import structs

from b2bua.calls.context import SessionContext
from b2bua.calls.orders import CallChanged, CallOver, ReportStatus
from b2bua.calls.parameters import CallFacts, CallStatus, Parameters, standard_parameters
from b2bua.core.dial_report import BranchReport
from b2bua.core.ids import CallSid, LegId, SipCallId
from b2bua.core.leg import Leg, Role
from b2bua.core.outcomes import Outcome, unanswered_outcome
from b2bua.twiml.verbs import Method

__all__ = ["CallReport", "Parties", "Stage", "StatusCallback", "talked_s"]

Stage = Literal["initiated", "ringing", "answered", "completed"]

_STATUS_OF_REFUSAL: dict[int, CallStatus] = {486: "busy", 600: "busy", 480: "no-answer", 408: "no-answer"}
_STATUS_OF_BRANCH: dict[Stage, CallStatus] = {
    "initiated": "queued",
    "ringing": "ringing",
    "answered": "in-progress",
}
_STATUS_OF_STAGE: dict[Stage, str] = {
    "initiated": "initiated",
    "ringing": "ringing",
    "answered": "in-progress",
}


class Parties(Protocol):
    """Who calls whom (``Caller``, ``Child``)."""

    @property
    def sip_call_id(self) -> SipCallId | None:
        """Of its dialog with us, if there is one."""

    def facts(self, call_sid: CallSid, status: CallStatus, context: SessionContext) -> CallFacts:
        """What webhooks are told of the call."""


class StatusCallback(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants to know."""

    url: str = ""
    """Absolute; empty: nobody."""
    method: Method = "POST"
    events: tuple[str, ...] = ("completed",)


class CallReport:
    """See the module's docstring.

    Args:
        call_sid: the call's.
        parties: who calls whom.
        context: the session's.
        callback: who wants to know.
    """

    def __init__(
        self, call_sid: CallSid, parties: Parties, context: SessionContext, callback: StatusCallback
    ) -> None:
        self.call_sid = call_sid
        self.refusal = 480
        """What an unanswered caller is told when we end its call."""
        self.rejected = False
        """By ``<Reject>``, which makes ``no-answer`` of a 404."""
        self.canceled = False
        """By REST."""
        self._fixed: CallStatus | None = None
        """Set when an error of ours has ended it, however far it had come."""
        self._parties = parties
        self._context = context
        self._callback = callback
        self._told: list[Stage] = []
        self._seen: tuple[CallStatus, bool] | None = None
        """Its status when that was last looked at, and whether it had ended."""

    def told(self, stage: Stage) -> bool:
        """Whether the call has come so far already."""
        return stage in self._told

    def stage(
        self, stage: Stage, leg: Leg | None, *, outcome: Outcome | None = None, duration_s: float = 0.0
    ) -> list[ReportStatus]:
        """The call has come so far; told if that is wanted. Every stage counts in the sequence.

        Args:
            stage: once each.
            leg: the call's; None when it never had one.
            outcome: of a child call, with ``completed``.
            duration_s: from the answer to the end, with ``completed``.
        """
        number = len(self._told)
        self._told.append(stage)
        callback = self._callback
        if not callback.url or stage not in callback.events:
            return []
        status = _STATUS_OF_STAGE.get(stage) or (outcome.status if outcome else self.status(leg))
        duration = (("CallDuration", str(round(duration_s))),) if stage == "completed" else ()
        params = (
            *_with_status(self.standard(leg), status),
            *duration,
            ("CallbackSource", "call-progress-events"),
            ("SequenceNumber", str(number)),
        )
        return [
            ReportStatus(
                call_sid=self.call_sid,
                url=callback.url,
                method=callback.method,
                params=params,
                last=stage == "completed",
            )
        ]

    def tell(self, url: str, method: Method) -> None:
        """Whom to tell from now on, of the same stages."""
        self._callback = structs.replace(self._callback, url=url, method=method)

    def fail(self) -> None:
        """An error of ours ends the call; one whose end was seen before keeps its status."""
        if self._seen is None or not self._seen[1]:
            self.end_as("failed")

    def end_as(self, status: CallStatus) -> None:
        """This is the call's status, whatever becomes of its leg."""
        self._fixed = status

    def last_word(self, duration_s: float) -> list[ReportStatus]:
        """``completed`` of a call that has failed, told by others, since it could not itself."""
        self._told = [stage for stage in self._told if stage != "completed"]
        return self.stage("completed", None, duration_s=duration_s)

    def look(self, leg: Leg) -> list[CallChanged]:
        """What is to be kept of a call that has its own flow, if it has changed."""
        changed = self._changed(leg.id, self.status(leg), leg.ended is not None)
        return [structs.replace(each, duration_s=talked_s(leg)) if each.ended else each for each in changed]

    def look_at_branch(self, branch: BranchReport) -> list[CallChanged]:
        """Likewise of a child call, by what its Dial reports."""
        ended = branch.outcome is not None
        status = _STATUS_OF_BRANCH.get(branch.stage, "completed")
        if branch.outcome is not None and branch.outcome.status != "answered":
            status = branch.outcome.status
        changed = self._changed(branch.leg, status, ended)
        return [
            structs.replace(each, duration_s=branch.duration_s, outcome=branch.outcome) for each in changed
        ]

    def _changed(self, leg: LegId, status: CallStatus, ended: bool) -> list[CallChanged]:
        if self._seen == (status, ended):
            return []
        self._seen = (status, ended)
        facts = self._parties.facts(self.call_sid, status, self._context)
        return [
            CallChanged(
                call_sid=self.call_sid,
                parent_sid=facts.parent_call_sid,
                from_=facts.from_,
                to=facts.to,
                direction=facts.direction,
                status=status,
                forwarded_from=facts.forwarded_from,
                caller_name=facts.caller_name,
                leg=leg,
                sip_call_id=self._parties.sip_call_id or "",
                ended=ended,
            )
        ]

    def over(self, leg: Leg) -> CallOver:
        """The last word about the call."""
        moments = {
            "ringing": leg.ringing_at,
            "early": leg.early_at,
            "answered": leg.answered_at,
            "confirmed": leg.confirmed_at,
            "ended": leg.ended_at,
        }
        return CallOver(
            call_sid=self.call_sid,
            status=self.status(leg),
            duration_s=talked_s(leg),
            timeline={n: round(at - leg.invited_at, 4) for n, at in moments.items() if at is not None},
        )

    def standard(self, leg: Leg | None) -> Parameters:
        """The standard parameters, as things stand now."""
        return standard_parameters(self._parties.facts(self.call_sid, self.status(leg), self._context))

    def status(self, leg: Leg | None) -> CallStatus:
        """CallStatus as things stand now."""
        if self._fixed is not None:
            return self._fixed
        if leg is None:
            return "queued"
        if leg.answered_at is not None:
            return "completed" if leg.ended is not None or not leg.live else "in-progress"
        if leg.hangup_command is not None and self.canceled:
            return "canceled"
        if leg.role is Role.UAC:
            return _status_of_ours(leg)
        if leg.hangup_command is not None:
            if self.rejected and self.refusal == 404:
                return "no-answer"
            return _STATUS_OF_REFUSAL.get(self.refusal, "failed")
        return "ringing" if leg.ended is None else "canceled"


def talked_s(leg: Leg) -> float:
    """Seconds from the answer to the end; 0 without either."""
    if leg.answered_at is None or leg.ended_at is None:
        return 0.0
    return leg.ended_at - leg.answered_at


def _status_of_ours(leg: Leg) -> CallStatus:
    """CallStatus of a call we make that has not been answered."""
    if leg.hangup_command is not None:
        rang_out = leg.hangup_command.sip_code == 480
        return "no-answer" if rang_out else "canceled"
    if leg.ended is None:
        return "queued" if leg.ringing_at is None else "ringing"
    status = unanswered_outcome(leg.ended).status
    return "failed" if status == "answered" else status


def _with_status(params: Parameters, status: str) -> Parameters:
    return tuple((name, status if name == "CallStatus" else value) for name, value in params)
