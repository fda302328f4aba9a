"""A call that we make because a program asked for it (REST): whom to ring, as whom, and how it came along.

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
    """What was asked for, routed already."""

    leg: LegId
    uri: str
    """Request-URI."""
    from_header: str
    caller: Caller
    """Its ``number`` is the From of the request, its ``called`` the To."""
    headers: Headers = ()
    username: str = ""
    password: str = ""
    srtp: Srtp | Literal[""] = ""
    """Of the trunk that it goes by; empty: as of all others."""
    timeout_s: float = 60.0
    """How long it may ring."""
    time_limit_s: float = 14400.0
    """From the answer."""

    @classmethod
    def routed(
        cls, dial: verbs.Dial, from_: str, context: SessionContext
    ) -> "tuple[OutboundCall | None, tuple[Finding, ...]]":
        """Find the way to the one target of ``dial``, which is only a form for what was asked for.

        Args:
            dial: with one noun, and perhaps a caller id.
            from_: the identity of the call, to the application.
            context: of the session that is to be.

        Returns:
            The call, None where there is no way to it; and what is to be said about it.
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
                    srtp=invite.srtp,
                )
                return call, planned.findings
        return None, planned.findings

    def invite(self, call_sid: CallSid, context: SessionContext) -> InviteLeg:
        """The INVITE of it."""
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
