"""The state that the phases of a Dial share (see ``dial``): legs, winner, wanted media graph, result."""

from b2bua.core.commands import Connection, ListenForKeys, SetMedia
from b2bua.core.dial_plan import DialPlan
from b2bua.core.dial_report import DialOutput, DialResult, DialSettled
from b2bua.core.dial_table import DialState, KeysDue, RingTimedOut, ScreeningTimedOut
from b2bua.core.events import Headers, LegEvent
from b2bua.core.fork import Branch, Fork
from b2bua.core.ids import LegId
from b2bua.core.leg import Leg
from b2bua.core.outcomes import Outcome

__all__ = ["COMPLETED_ELSEWHERE", "DialCourse"]

COMPLETED_ELSEWHERE: Headers = (("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),)
"""For the losing branches of a fork, so that their phones show no missed call (RFC 3326 §2)."""


class DialCourse:
    """The shared state of a Dial, which settles exactly once.

    Args:
        plan: targets and rules.
        a_leg: the caller's leg.
    """

    def __init__(self, plan: DialPlan, a_leg: Leg) -> None:
        self.plan = plan
        self.a_leg = a_leg
        self.state = DialState.NEW
        self.result: DialResult | None = None
        """Set when the Dial is settled."""
        self.fork = Fork(plan)
        self.winner: Branch | None = None
        self.time_limit_at: float | None = None
        self.parked = False
        """The bridged parties are separated while a transfer is in progress."""
        self._media: tuple[Connection, ...] = ()

    def settle(
        self, now: float, outcome: Outcome, branch: Branch | None, *, released: bool = False
    ) -> list[DialOutput]:
        """Settle the Dial for the document with this outcome of this branch."""
        assert self.result is None
        self.result = DialResult(
            outcome=outcome,
            leg=_leg_of(branch) if branch else None,
            child=branch.plan.child if branch else None,
            kind=branch.plan.kind if branch else None,
            sip_call_id=branch.plan.invite.sip_call_id if branch and branch.plan.invite else None,
            bridged=self.winner is not None,
            duration_s=branch.talked_s(now) if branch else 0.0,
            ring_duration_ms=round(branch.rang_s(now) * 1000) if branch else 0,
            headers=branch.headers if branch else (),
            released=released,
        )
        self.time_limit_at = None
        self.close()
        deaf = self.listen(False) if self.winner and not self.parked else ()
        return [*self.want_media(()), *deaf, DialSettled(result=self.result, at=now)]

    def branch(self, event: LegEvent | RingTimedOut | KeysDue | ScreeningTimedOut) -> Branch:
        """Return the branch whose leg an event is about."""
        branch = self.fork.find(event.leg)
        assert branch
        return branch

    def want_media(self, connections: tuple[Connection, ...]) -> list[DialOutput]:
        """Order a media graph unless it is the current one."""
        if connections == self._media:
            return []
        self._media = connections
        return [SetMedia(connections=connections)]

    def listen(self, wanted: bool) -> list[DialOutput]:
        """Start or stop the detection of an in-band ``*`` from the caller, if ``hangup_on_star`` is set."""
        if not (self.plan.hangup_on_star and self.a_leg.live):
            return []
        return [ListenForKeys(leg=self.a_leg.id, wanted=wanted)]

    def close(self) -> None:
        """Enter ``done`` if no leg is open any more, else ``closing``."""
        self.state = DialState.CLOSING if self.fork.open else DialState.DONE


def _leg_of(branch: Branch) -> LegId:
    """Return the id of the leg of the branch's last INVITE."""
    return branch.leg.id if branch.leg else branch.plan.leg
