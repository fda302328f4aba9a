"""The targets of a running Dial: what each is to the application, whatever leg it is tried by. Sans I/O."""

from dataclasses import dataclass

from b2bua.calls.call_report import CallReport, StatusCallback
from b2bua.calls.child import Child
from b2bua.calls.context import SessionContext
from b2bua.calls.orders import Output
from b2bua.calls.redirection import Redirections
from b2bua.calls.verb_run import Callee, Resolve
from b2bua.core.commands import InviteLeg
from b2bua.core.dial_report import BranchReport
from b2bua.core.events import LegEnded
from b2bua.core.ids import CallSid, LegId
from b2bua.core.leg import Leg

__all__ = ["DialTargets"]


@dataclass(frozen=True, slots=True)
class _Target:
    """One target: a child call, whatever ways it is tried by."""

    child: Child
    report: CallReport
    screen_url: str
    ways: Redirections


class DialTargets:
    """See the module's docstring.

    Args:
        context: the session's.
    """

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._targets: dict[LegId, _Target] = {}
        """By all legs of each."""

    def expect(
        self, leg: LegId, child: Child, invites: tuple[InviteLeg, ...], resolve: Resolve
    ) -> list[Output]:
        """Add a target; returns what is to be noted about its addresses.

        Args:
            leg: of its first INVITE.
            child: what it is to the application.
            invites: the ways to it.
            resolve: of the document that names it.
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
        report = CallReport(child.call_sid, child, self._context, callback)
        ways = Redirections(invites, self._context)
        target = _Target(child, report, screen_url, ways)
        self._targets |= dict.fromkeys((leg, *ways.legs), target)
        return notes

    def redirect(self, ended: LegEnded) -> tuple[InviteLeg, ...]:
        """The INVITEs that a leg's end leads to."""
        target = self._targets[ended.leg]
        invites = target.ways.follow(ended)
        self._targets |= dict.fromkeys(target.ways.legs, target)
        return invites

    def tell(self, branch: BranchReport) -> list[Output]:
        """What a branch's progress means to the application and to the record of calls."""
        report = self._targets[branch.leg].report
        told = report.stage(branch.stage, None, outcome=branch.outcome, duration_s=branch.duration_s)
        return [*report.look_at_branch(branch), *told]

    def forget(self, leg: LegId) -> None:
        """The leg is somebody else's from now on."""
        self._targets.pop(leg, None)

    def __contains__(self, leg: LegId) -> bool:
        return leg in self._targets

    def legs_of(self, call_sid: CallSid) -> list[LegId]:
        """All legs of a child call, whether or not they were tried."""
        return [leg for leg, target in self._targets.items() if target.child.call_sid == call_sid]

    def callee(self, leg: LegId, found: Leg | None) -> Callee | None:
        """A branch as a call of its own; None where it has no leg."""
        target = self._targets.get(leg)
        if target is None or found is None:
            return None
        return Callee(leg=found, child=target.child, report=target.report, screen_url=target.screen_url)

    def report_of(self, call_sid: CallSid) -> CallReport | None:
        """What is told of a child call."""
        reports = (target.report for target in self._targets.values())
        return next((report for report in reports if report.call_sid == call_sid), None)

    def sip_call_id(self, leg: LegId) -> str | None:
        """The Call-ID that a branch was dialled with."""
        target = self._targets.get(leg)
        return None if target is None else target.child.sip_call_id
