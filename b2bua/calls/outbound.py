"""An outbound call requested through REST: its target, its caller identity and its route.

Source: the hosted service's Calls resource (create).
"""

from dataclasses import dataclass
from typing import Literal

from b2bua.calls.caller import Caller
from b2bua.calls.context import SessionContext
from b2bua.calls.encryption import media_encryption
from b2bua.calls.targets import plan_dial
from b2bua.core.commands import InviteLeg, Srtp
from b2bua.core.events import Headers
from b2bua.core.ids import CallSid, LegId, SipCallId
from b2bua.sip.uri import Uri, parse_uri
from b2bua.twiml import verbs
from b2bua.twiml.findings import Finding

__all__ = ["OutboundCall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundCall:
    """A requested outbound call, already routed."""

    leg: LegId
    uri: str
    """The Request-URI."""
    from_header: str
    caller: Caller
    """``number`` is the From of the REST request, ``called`` the To."""
    headers: Headers = ()
    username: str = ""
    password: str = ""
    keys: str = ""
    """Keys of the extension in the number called, sent after the answer and before the document."""
    srtp: Srtp | Literal[""] = ""
    """The setting of the trunk used; empty: the general setting applies."""
    timeout_s: float = 60.0
    """How long the call may ring."""
    time_limit_s: float = 14400.0
    """The longest duration of the call, counted from the answer."""

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
                    leg=invite.leg,
                    uri=invite.uri,
                    from_header=invite.from_header,
                    caller=Caller.of_ours(from_, child.to, parse_uri(invite.uri), invite.sip_call_id),
                    headers=tuple((n, v) for n, v in invite.headers if not n.startswith("X-Twilio-")),
                    username=invite.username,
                    password=invite.password,
                    keys=branch.send_digits,
                    srtp=invite.srtp,
                )
                return call, planned.findings
        return None, planned.findings

    def invite(self, call_sid: CallSid, context: SessionContext) -> InviteLeg:
        """Return the INVITE of the call."""
        sids = (("X-Twilio-CallSid", call_sid), ("X-Twilio-AccountSid", context.account_sid))
        return InviteLeg(
            leg=self.leg,
            sip_call_id=self.caller.sip_call_id,
            uri=self.uri,
            from_header=self.from_header,
            headers=(*sids, *self.headers),
            username=self.username,
            password=self.password,
            srtp=media_encryption(self.uri, context.settings.rtp.srtp, self.srtp),
        )
