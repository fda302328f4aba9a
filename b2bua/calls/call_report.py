"""What is reported to the application about one call: standard parameters, ordered status callbacks, end.

The call may be the caller's, one that we make, or a child call of a Dial: each has a leg, parties, and
possibly a status callback. A report only describes the call and must never change it.
Source: TwiML for Programmable Voice, "status callbacks" (read November 2026).
"""

from typing import Literal, Protocol

import msgspec
from msgspec import structs

from b2bua.calls.context import SessionContext
from b2bua.calls.detection import Detection, verdict_parameters
from b2bua.calls.orders import CallChanged, CallOver, ReportStatus
from b2bua.calls.parameters import CallFacts, CallStatus, Parameters, standard_parameters
from b2bua.core.dial_report import BranchReport
from b2bua.core.events import AnsweredBy, MachineJudged
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
    """The two parties of a call (implemented by ``Caller`` and ``Child``)."""

    @property
    def sip_call_id(self) -> SipCallId | None:
        """The Call-ID of the call's dialog with us, if there is one."""

    def facts(self, call_sid: CallSid, status: CallStatus, context: SessionContext) -> CallFacts:
        """Return the facts about the call that webhooks report."""


class StatusCallback(msgspec.Struct, frozen=True, kw_only=True):
    """Where status callbacks are sent, and for which events."""

    url: str = ""
    """Absolute; empty: no callbacks are sent."""
    method: Method = "POST"
    events: tuple[str, ...] = ("completed",)


class CallReport:
    """Reports the status of one call to the application.

    Args:
        call_sid: the call's identifier.
        parties: the call's two parties.
        context: the session's context.
        callback: where status callbacks are sent.
        detection: how it is found out who answers; None: it is not.
    """

    def __init__(
        self,
        call_sid: CallSid,
        parties: Parties,
        context: SessionContext,
        callback: StatusCallback,
        detection: Detection | None = None,
    ) -> None:
        self.call_sid = call_sid
        self.detection = detection
        self._answered_by: AnsweredBy | None = None
        self.refusal = 480
        """The final response to an unanswered caller when we end its call."""
        self.rejected = False
        """Whether ``<Reject>`` ended the call; then a 404 is reported as ``no-answer``."""
        self.canceled = False
        """Whether the call was canceled through REST."""
        self._fixed: CallStatus | None = None
        """Set when an internal error has ended the call; it overrides the status that the leg shows."""
        self._parties = parties
        self._context = context
        self._callback = callback
        self._reached: list[Stage] = []
        self._seen: tuple[CallStatus, bool] | None = None
        """The status as last seen, and whether the call had ended by then."""

    def has_reached(self, stage: Stage) -> bool:
        """Return whether the call has already reached ``stage``."""
        return stage in self._reached

    def stage(
        self, stage: Stage, leg: Leg | None, *, outcome: Outcome | None = None, duration_s: float = 0.0
    ) -> list[ReportStatus]:
        """Note that the call has reached a stage, and report it if the callback asks for that stage.

        Every stage counts in the sequence numbers, whether or not it is reported.

        Args:
            stage: each stage is passed once.
            leg: the call's leg; None if it never had one.
            outcome: for a child call, with ``completed``.
            duration_s: seconds from the answer to the end, with ``completed``.
        """
        number = len(self._reached)
        self._reached.append(stage)
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

    def judged(self, event: MachineJudged) -> list[CallChanged | ReportStatus]:
        """Note who has answered the call, and tell the application if it asked to be told apart."""
        self._answered_by = event.answered_by
        outputs: list[CallChanged | ReportStatus] = []
        if self._seen is not None:
            (status, ended), self._seen = self._seen, None
            outputs += self._changed(event.leg, status, ended)
        if self.detection is None or not self.detection.callback:
            return outputs
        about = (("CallSid", self.call_sid), ("AccountSid", self._context.account_sid))
        report = ReportStatus(
            call_sid=self.call_sid,
            url=self.detection.callback,
            method=self.detection.callback_method,
            params=(*about, *verdict_parameters(event)),
        )
        return [*outputs, report]

    def send_callbacks_to(self, url: str, method: Method) -> None:
        """Send callbacks to a different URL from now on, for the same stages."""
        self._callback = structs.replace(self._callback, url=url, method=method)

    def fail(self) -> None:
        """Mark the call as failed by an internal error, unless it is already seen to have ended."""
        if self._seen is None or not self._seen[1]:
            self.end_as("failed")

    def end_as(self, status: CallStatus) -> None:
        """Fix the call's status, whatever happens to its leg."""
        self._fixed = status

    def last_word(self, duration_s: float) -> list[ReportStatus]:
        """Report ``completed`` on behalf of a call that has failed and could not report it itself."""
        self._reached = [stage for stage in self._reached if stage != "completed"]
        return self.stage("completed", None, duration_s=duration_s)

    def look(self, leg: Leg) -> list[CallChanged]:
        """Return the record of a call that runs its own documents, if it has changed."""
        changed = self._changed(leg.id, self.status(leg), leg.ended is not None)
        return [structs.replace(each, duration_s=talked_s(leg)) if each.ended else each for each in changed]

    def look_at_branch(self, branch: BranchReport) -> list[CallChanged]:
        """Return the record of a child call, if its Dial's report has changed it."""
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
                answered_by=self._answered_by,
            )
        ]

    def over(self, leg: Leg) -> CallOver:
        """Return the final report of the call."""
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
        """Return the standard parameters with their present values."""
        return standard_parameters(self._parties.facts(self.call_sid, self.status(leg), self._context))

    def status(self, leg: Leg | None) -> CallStatus:
        """Return the present CallStatus."""
        if self._fixed is not None:
            return self._fixed
        if leg is None:
            return "queued"
        if leg.answered_at is not None:
            return "completed" if leg.ended is not None or not leg.live else "in-progress"
        if leg.hangup_command is not None and self.canceled:
            return "canceled"
        if leg.role is Role.UAC:
            status = _status_of_ours(leg)
            # Another phone may have rung before, whose refusal has led to this one.
            return "ringing" if status == "queued" and self.has_reached("ringing") else status
        if leg.hangup_command is not None:
            if self.rejected and self.refusal == 404:
                return "no-answer"
            return _STATUS_OF_REFUSAL.get(self.refusal, "failed")
        return "ringing" if leg.ended is None else "canceled"


def talked_s(leg: Leg) -> float:
    """Return the seconds from the answer to the end; 0 if either is missing."""
    if leg.answered_at is None or leg.ended_at is None:
        return 0.0
    return leg.ended_at - leg.answered_at


def _status_of_ours(leg: Leg) -> CallStatus:
    """Return the CallStatus of a call that we make and that has not been answered."""
    if leg.hangup_command is not None:
        rang_out = leg.hangup_command.sip_code == 480
        return "no-answer" if rang_out else "canceled"
    if leg.ended is None:
        return "queued" if leg.ringing_at is None else "ringing"
    status = unanswered_outcome(leg.ended).status
    return "failed" if status == "answered" else status


def _with_status(params: Parameters, status: str) -> Parameters:
    return tuple((name, status if name == "CallStatus" else value) for name, value in params)
