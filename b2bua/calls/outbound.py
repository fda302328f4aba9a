"""An outbound call requested through REST: its target, its caller identity and its route.

Source: the hosted service's Calls resource (create).
"""

from dataclasses import dataclass

from msgspec import structs

from b2bua.calls.caller import Caller
from b2bua.calls.context import SessionContext
from b2bua.calls.detection import Detection
from b2bua.calls.redirection import Redirections
from b2bua.calls.targets import plan_dial
from b2bua.core.attempts import Attempts
from b2bua.core.commands import InviteLeg
from b2bua.core.events import LegEnded
from b2bua.core.ids import CallSid, LegId, SipCallId
from b2bua.core.leg import Leg
from b2bua.sip.uri import Uri, parse_uri
from b2bua.twiml import verbs
from b2bua.twiml.findings import Finding

__all__ = ["OutboundAttempts", "OutboundCall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundCall:
    """A requested outbound call, already routed."""

    invites: tuple[InviteLeg, ...]
    """The INVITEs by which the callee is tried, in this order; without the headers that name the call."""
    caller: Caller
    """``number`` is the From of the REST request, ``called`` the To."""
    keys: str = ""
    """Keys of the extension in the number called, sent after the answer and before the document."""
    timeout_s: float = 60.0
    """How long the call may ring."""
    time_limit_s: float = 14400.0
    """The longest duration of the call, counted from the answer."""
    detection: Detection | None = None
    """How it is found out who answers; None: it is not."""

    @property
    def leg(self) -> LegId:
        """The leg of the first INVITE."""
        return self.invites[0].leg

    @classmethod
    def routed(
        cls, dial: verbs.Dial, from_: str, context: SessionContext
    ) -> "tuple[OutboundCall | None, tuple[Finding, ...]]":
        """Find the route to the one target of ``dial``, which merely carries the request's parameters.

        Args:
            dial: a Dial with one noun, and optionally a caller id.
            from_: the From of the call as reported to the application.
            context: the context of the session to be started.

        Returns:
            The call, or None if there is no route; and the findings about it.
        """
        caller = Caller.of_ours(from_, "", Uri(scheme="sip", user="", host="invalid"), SipCallId(""))
        planned = plan_dial(dial, CallSid(""), caller, context)
        for branch, child in zip(planned.plan.branches, planned.children, strict=True):
            invite = branch.invite
            if invite is not None:
                call = cls(
                    invites=tuple(_unnamed(each) for each in (invite, *branch.alternatives)),
                    caller=Caller.of_ours(from_, child.to, parse_uri(invite.uri), invite.sip_call_id),
                    keys=branch.send_digits,
                )
                return call, planned.findings
        return None, planned.findings


class OutboundAttempts:
    """The attempts to reach the callee of one call, as a ``<Dial>`` would make them.

    Args:
        call: the call requested.
        call_sid: its identifier.
        context: the session's context.
        now: when the first INVITE is sent, in monotonic seconds.
    """

    def __init__(self, call: OutboundCall, call_sid: CallSid, context: SessionContext, now: float) -> None:
        sids = (("X-Twilio-CallSid", call_sid), ("X-Twilio-AccountSid", context.account_sid))
        invites = tuple(structs.replace(each, headers=(*sids, *each.headers)) for each in call.invites)
        self.first = invites[0]
        """The first INVITE."""
        self._attempts = Attempts(invites[1:], now + call.timeout_s)
        self._redirections = Redirections(invites, context)

    def after(self, leg: Leg, ended: LegEnded, now: float) -> list[InviteLeg]:
        """Return the INVITE that follows the end of an unanswered ``leg``; the leg then stands for it."""
        if ended.cause == "worker":
            return []  # no host is left
        self._attempts.put_first(self._redirections.follow(ended))
        invite = self._attempts.take_next(leg, ended, now)
        if invite is None:
            return []
        leg.begin_again(invite.leg, now, self._attempts.until - now)
        return [invite]


def _unnamed(invite: InviteLeg) -> InviteLeg:
    """Return an INVITE without the headers that name a call."""
    headers = tuple((name, value) for name, value in invite.headers if not name.startswith("X-Twilio-"))
    return structs.replace(invite, headers=headers)
