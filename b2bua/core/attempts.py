"""The INVITEs by which one target is tried, one after the other: by other trunks, or where a 3xx leads.

Used for the branches of a Dial and for calls by REST. It decides when the next INVITE is due; what the
attempts have in common (one child call, one ringing time) belongs to its owner.
Source: RFC 3261 §8.1.3.4 (3xx), §21.5 (5xx).
"""

from b2bua.core.commands import InviteLeg
from b2bua.core.events import EndCause, LegEnded
from b2bua.core.leg import Leg

__all__ = ["Attempts"]

_BROKEN_WAYS: frozenset[EndCause] = frozenset({"unreachable", "timeout"})
"""Causes that end an unanswered leg and say nothing about the target itself."""


class Attempts:
    """The further attempts at one target.

    Args:
        alternatives: the INVITEs to send if the first fails, in this order.
        until: when the ringing time of the target is over, in monotonic seconds.
    """

    def __init__(self, alternatives: tuple[InviteLeg, ...], until: float) -> None:
        self.until = until
        self._alternatives = alternatives

    def put_first(self, invites: tuple[InviteLeg, ...]) -> None:
        """Put the targets of the peer's 3xx before all other alternatives."""
        self._alternatives = (*invites, *self._alternatives)

    def take_next(self, leg: Leg, ended: LegEnded, now: float) -> InviteLeg | None:
        """Return the INVITE to send after the end of ``leg``, which was not answered; None: give up.

        There is another one if the route caused the end, or if the peer has named another target (3xx).
        """
        never_rang = leg.ringing_at is None and leg.early_at is None
        way_is_broken = ended.cause in _BROKEN_WAYS or ended.sip_code // 100 == 5
        elsewhere = ended.cause == "peer" and ended.sip_code // 100 == 3
        if not self._alternatives or now >= self.until:
            return None
        if not (elsewhere or (never_rang and way_is_broken and ended.cause != "capacity")):
            return None
        invite, *rest = self._alternatives
        self._alternatives = tuple(rest)
        return invite
