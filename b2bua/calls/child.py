"""A child call of a Dial as the application knows it: its parties, and its noun with its callbacks.

Source: TwiML ``<Number>``, ``<Sip>``, ``<Client>``: "status callbacks" and "url" (read November 2026).
"""

from dataclasses import dataclass, replace

from b2bua.calls.caller import Caller
from b2bua.calls.context import SessionContext
from b2bua.calls.parameters import CallFacts, CallStatus, SipFacts
from b2bua.core.dial_plan import TargetKind
from b2bua.core.errors import PeerError
from b2bua.core.ids import CallSid, SipCallId
from b2bua.sip.uri import Uri, parse_uri
from b2bua.twiml import verbs

__all__ = ["Child"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """The child call of one planned target of a Dial."""

    call_sid: CallSid
    parent_sid: CallSid
    noun: verbs.Number | verbs.Sip | verbs.Client
    kind: TargetKind
    from_: str
    """The webhooks' ``From``: a number in E.164, a SIP user, or ``client:NAME``."""
    to: str
    """The webhooks' ``To``."""
    anonymous: bool = False
    """Whether the caller requests privacy."""
    asserted: str = ""
    """User part of the caller's identity asserted to trunks; empty: none."""
    uri: str = ""
    """The Request-URI of its INVITE; empty if none is sent."""
    sip_call_id: SipCallId | None = None

    def facts(self, call_sid: CallSid, status: CallStatus, context: SessionContext) -> CallFacts:
        """Return the facts about the call that webhooks report."""
        return CallFacts(
            call_sid=call_sid,
            account_sid=context.account_sid,
            from_=self.from_,
            to=self.to,
            direction="outbound-dial",
            status=status,
            parent_call_sid=self.parent_sid,
            sip=self._sip(),
        )

    def as_caller(self) -> Caller:
        """Return the caller identity of calls that this callee's own document dials."""
        try:
            uri = parse_uri(self.uri)
        except PeerError:
            uri = Uri(scheme="sip", user="", host="invalid")
        caller = Caller.of_ours(self.from_, self.to, uri, self.sip_call_id or SipCallId(""))
        return replace(caller, anonymous=self.anonymous, asserted=self.asserted)

    def _sip(self) -> SipFacts | None:
        if self.kind != "sip" or self.sip_call_id is None:
            return None
        try:
            uri = parse_uri(self.uri)
        except PeerError:
            return None
        return SipFacts(domain=uri.host, username=uri.user, call_id=self.sip_call_id)
