"""The targets of a running Dial as child calls, whichever of their legs is being tried. Sans I/O."""

from dataclasses import dataclass

from b2bua.calls.call_report import CallReport, StatusCallback
from b2bua.calls.child import Child
from b2bua.calls.context import SessionContext
from b2bua.calls.detection import detection_of
from b2bua.calls.orders import Output
from b2bua.calls.redirection import Redirections
from b2bua.calls.verb_run import Callee, Resolve
from b2bua.core.commands import InviteLeg
from b2bua.core.dial_report import BranchReport
from b2bua.core.events import LegEnded, MachineJudged
from b2bua.core.ids import CallSid, LegId
from b2bua.core.leg import Leg
from b2bua.twiml import verbs

__all__ = ["DialTargets"]


@dataclass(frozen=True, slots=True)
class _Target:
    """One target: a child call with all the legs by which it may be tried."""

    child: Child
    report: CallReport
    screen_url: str
    ways: Redirections


class DialTargets:
    """The targets of one running Dial, by their legs.

    Args:
        context: the session's context.
    """

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._targets: dict[LegId, _Target] = {}
        """Each target is stored under all of its legs."""

    def expect(
        self, leg: LegId, child: Child, invites: tuple[InviteLeg, ...], resolve: Resolve
    ) -> list[Output]:
        """Add a target, and return the findings about its URLs.

        Args:
            leg: the leg of its first INVITE.
            child: its child call.
            invites: the INVITEs by which it can be reached.
            resolve: resolves URLs of the document that names the target.
        """
        noun = child.noun
        callback, screen_url, notes = StatusCallback(), "", list[Output]()
        if noun.status_callback is not None:
            url, notes = resolve(noun.status_callback)
            callback = StatusCallback(
                url=url or "", method=noun.status_callback_method, events=noun.status_callback_event
            )
        if noun.url is not None:
            url, more = resolve(noun.url)
            screen_url, notes = url or "", notes + more
        told = ""
        if not isinstance(noun, verbs.Client) and noun.amd_status_callback is not None:
            url, more = resolve(noun.amd_status_callback)
            told, notes = url or "", notes + more
        report = CallReport(child.call_sid, child, self._context, callback, detection_of(noun, told))
        ways = Redirections(invites, self._context)
        target = _Target(child, report, screen_url, ways)
        self._targets |= dict.fromkeys((leg, *ways.legs), target)
        return notes

    def redirect(self, ended: LegEnded) -> tuple[InviteLeg, ...]:
        """Return the INVITEs to send because the leg ended with a redirection."""
        target = self._targets[ended.leg]
        invites = target.ways.follow(ended)
        self._targets |= dict.fromkeys(target.ways.legs, target)
        return invites

    def report(self, branch: BranchReport) -> list[Output]:
        """Report a branch's progress to the application and to the call records."""
        report = self._targets[branch.leg].report
        callbacks = report.stage(branch.stage, None, outcome=branch.outcome, duration_s=branch.duration_s)
        return [*report.look_at_branch(branch), *callbacks]

    def watch(self, leg: Leg) -> list[Output]:
        """Return the order to judge who has answered a leg, if its noun asks for it and it is live."""
        detection = self._targets[leg.id].report.detection
        return [] if detection is None or not leg.live else [detection.watch(leg.id)]

    def judged(self, event: MachineJudged) -> list[Output]:
        """Report who has answered one of the targets; of any other leg, nothing."""
        target = self._targets.get(event.leg)
        return [] if target is None else [*target.report.judged(event)]

    def forget(self, leg: LegId) -> None:
        """Forget a leg that another call has taken over."""
        self._targets.pop(leg, None)

    def __contains__(self, leg: LegId) -> bool:
        return leg in self._targets

    def legs_of(self, call_sid: CallSid) -> list[LegId]:
        """Return all legs of a child call, whether or not they were tried."""
        return [leg for leg, target in self._targets.items() if target.child.call_sid == call_sid]

    def callee(self, leg: LegId, found: Leg | None) -> Callee | None:
        """Return a branch as a separate call; None if it has no leg."""
        target = self._targets.get(leg)
        if target is None or found is None:
            return None
        return Callee(leg=found, child=target.child, report=target.report, screen_url=target.screen_url)

    def report_of(self, call_sid: CallSid) -> CallReport | None:
        """Return the report of a child call."""
        reports = (target.report for target in self._targets.values())
        return next((report for report in reports if report.call_sid == call_sid), None)

    def sip_call_id(self, leg: LegId) -> str | None:
        """Return the Call-ID with which a branch was dialled."""
        target = self._targets.get(leg)
        return None if target is None else target.child.sip_call_id
