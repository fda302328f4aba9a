"""Who calls whom: what the INVITE says of the parties, as webhooks and outbound legs need it.

A trunk is trusted: what it asserts of the caller counts more than the From header, and goes on to other
trunks. From anybody else such headers mean nothing.
Source: RFC 3261 §8.1.1, RFC 3325 (asserted identity), draft-ietf-sip-privacy-04 (Remote-Party-ID), RFC 3323
(privacy); who has forwarded the call, see ``forwarding``.
"""

from dataclasses import dataclass

from b2bua.calls.context import SessionContext
from b2bua.calls.forwarding import forwarded_by, readable, readable_uri
from b2bua.calls.parameters import CallFacts, CallStatus, Direction, SipFacts, party
from b2bua.core.admission import AdmittedCall
from b2bua.core.errors import PeerError
from b2bua.core.events import Headers, LegIncoming
from b2bua.core.ids import CallSid, SipCallId
from b2bua.sip.uri import Uri, parse_uri
from b2bua.sip.values import NameAddr, parse_name_addr, split_values

__all__ = ["Caller", "request_user"]

_ANONYMOUS = "anonymous"


def request_user(request_uri: str) -> str:
    """The user part of a Request-URI, escaped as it came; empty for one that is not SIP or tel."""
    try:
        return parse_uri(request_uri).user
    except PeerError:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The caller of an inbound call, and what it called."""

    number: str
    """In E.164 where it is one, else the SIP URI: webhooks' ``From``."""
    user: str
    """User part of the caller's URI."""
    name: str
    """Display name, or empty."""
    anonymous: bool
    """It does not want to be known."""
    asserted: str
    """User part of what trunks may be told of it, also when it is anonymous; empty: nothing."""
    called: str
    """Webhooks' ``To``."""
    called_user: str
    """User part of the Request-URI."""
    called_host: str
    forwarded_from: str | None
    sip_call_id: SipCallId
    source_ip: str
    headers: Headers
    direction: Direction = "inbound"

    @classmethod
    def of(cls, call: AdmittedCall, context: SessionContext) -> "Caller":
        """Read the INVITE. What cannot be read is taken as it stands, never an error: the call goes on."""
        country, incoming = context.settings.dial.country, call.invite
        origin = readable(incoming.from_header)
        target = readable_uri(incoming.request_uri)
        values = {name.lower(): value for name, value in reversed(incoming.headers)}
        diverted = forwarded_by(incoming.headers)
        anonymous = origin.uri.user.lower() == _ANONYMOUS or "id" in values.get("privacy", "")
        asserted = origin.uri.user
        identity = _identity(incoming) if call.origin.trunk else None
        if identity is not None:
            asserted = identity.uri.user
            anonymous = anonymous or identity.param("privacy") in ("full", "uri")
            # Who is to know the name of one who hides it is the trunk's side's affair, not the application's.
            origin = origin if anonymous else identity
        return cls(
            number=party(origin.uri.user, _host(origin.uri), country),
            user=origin.uri.user,
            name=origin.display,
            anonymous=anonymous,
            asserted="" if asserted.lower() == _ANONYMOUS else asserted,
            called=party(target.user, _host(target), country),
            called_user=target.user,
            called_host=target.host,
            forwarded_from=party(diverted.user, _host(diverted), country) if diverted else None,
            sip_call_id=incoming.sip_call_id,
            source_ip=call.origin.host,
            headers=incoming.headers,
        )

    @classmethod
    def of_ours(cls, from_: str, to: str, uri: Uri, sip_call_id: SipCallId) -> "Caller":
        """The parties of a call that we make: ``from_`` and ``to`` as the request names them."""
        return cls(
            number=from_,
            user=from_,
            name="",
            anonymous=False,
            asserted=from_,
            called=to,
            called_user=uri.user,
            called_host=uri.host,
            forwarded_from=None,
            sip_call_id=sip_call_id,
            source_ip="",
            headers=(),
            direction="outbound-api",
        )

    def facts(self, call_sid: CallSid, status: CallStatus, context: SessionContext) -> CallFacts:
        """What webhooks are told of the call."""
        return CallFacts(
            call_sid=call_sid,
            account_sid=context.account_sid,
            from_=self.number,
            to=self.called,
            direction=self.direction,
            status=status,
            forwarded_from=self.forwarded_from,
            caller_name=self.name or None,
            sip=SipFacts(
                domain=self.called_host,
                username=self.called_user,
                call_id=self.sip_call_id,
                source_ip=self.source_ip,
                headers=tuple(
                    (name, value) for name, value in self.headers if not name.lower().startswith("x-b2bua-")
                ),
            ),
        )


def _identity(incoming: LegIncoming) -> NameAddr | None:
    """What a trunk asserts of the caller; None where it says nothing that can be read."""
    for wanted in ("p-asserted-identity", "remote-party-id"):
        for value in (v for n, text in incoming.headers if n.lower() == wanted for v in split_values(text)):
            try:
                identity = parse_name_addr(value)
            except PeerError:
                continue
            if identity.uri.user and identity.param("party") in (None, "calling"):
                return identity
    return None


def _host(uri: Uri) -> str:
    return uri.host if uri.port is None else f"{uri.host}:{uri.port}"
