"""A call that we make because a program asked for it (REST): whom to ring, as whom, and how it came along.

Source: the hosted service's Calls resource (create).
"""

from dataclasses import dataclass
from typing import Literal

from b2bua.core.commands import InviteLeg, Srtp
from b2bua.core.events import Headers
from b2bua.core.ids import CallSid, LegId
from b2bua.flow.caller import Caller
from b2bua.flow.context import SessionContext
from b2bua.flow.encryption import media_encryption

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
