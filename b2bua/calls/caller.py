"""The parties of a call, as read from the INVITE for webhooks and outbound legs.

A trunk is trusted: the identity it asserts takes precedence over the From header and is passed on to other
trunks. Such headers are ignored from any other peer.
Source: RFC 3261 §8.1.1, RFC 3325 (asserted identity), draft-ietf-sip-privacy-04 (Remote-Party-ID), RFC 3323
(privacy). ``forwarding`` finds the party that forwarded the call.
"""

from dataclasses import dataclass

from b2bua.calls.context import SessionContext
from b2bua.calls.forwarding import forwarded_by, readable, readable_uri
from b2bua.calls.parameters import CallFacts, CallStatus, Direction, SipFacts, party, sip_uri
from b2bua.core.admission import AdmittedCall
from b2bua.core.errors import PeerError
from b2bua.core.events import Headers, LegIncoming
from b2bua.core.ids import CallSid, SipCallId
from b2bua.sip.uri import Uri, parse_uri
from b2bua.sip.values import NameAddr, parse_name_addr, split_values

__all__ = ["Caller", "request_user"]

_ANONYMOUS = "anonymous"


def request_user(request_uri: str) -> str:
    """Return the user part of a Request-URI, escaped as received; empty if it is not a SIP or tel URI."""
    try:
        return parse_uri(request_uri).user
    except PeerError:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The caller and the called party of a call."""

    number: str
    """The webhooks' ``From``: of a phone call the number in E.164 if the caller has one, else a SIP URI."""
    phone_call: bool = True
    """Whether a trunk or an allowed address calls; otherwise the call is a user's, or ours."""
    username: str = ""
    """The authenticated user that calls, or the user part of the URI that we call; empty for a phone call."""
    user: str
    """User part of the caller's URI."""
    name: str
    """Display name, or empty."""
    anonymous: bool
    """Whether the caller requests privacy."""
    asserted: str
    """User part of the identity asserted to trunks, even for an anonymous caller; empty: none."""
    called: str
    """The webhooks' ``To``."""
    called_host: str
    """Host of the Request-URI."""
    forwarded_from: str | None
    sip_call_id: SipCallId
    source_ip: str
    headers: Headers
    direction: Direction = "inbound"

    @classmethod
    def of(cls, call: AdmittedCall, context: SessionContext) -> "Caller":
        """Read the INVITE. Values that cannot be parsed are taken as they stand: the call continues."""
        country, incoming, user = context.settings.dial.country, call.invite, call.origin.user
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
            # An anonymous caller's identity is for trunks only; it is not disclosed to the application.
            origin = origin if anonymous else identity
        return cls(
            number=_reported_from(call, origin.uri, context),
            phone_call=not user,
            username=user,
            user=origin.uri.user,
            name=origin.display,
            anonymous=anonymous,
            asserted="" if asserted.lower() == _ANONYMOUS else asserted,
            called=_called(target, country, by_user=bool(user)),
            called_host=target.host,
            forwarded_from=party(diverted.user, _host(diverted), country) if diverted else None,
            sip_call_id=incoming.sip_call_id,
            source_ip=call.origin.host,
            headers=incoming.headers,
        )

    @classmethod
    def of_ours(cls, from_: str, to: str, uri: Uri, sip_call_id: SipCallId) -> "Caller":
        """Return the parties of a call that we make: ``from_`` and ``to`` as webhooks name them."""
        user = _user_of(from_)
        anonymous = user.lower() == _ANONYMOUS
        return cls(
            number=from_,
            phone_call=False,
            username=uri.user if to.startswith(("sip:", "sips:")) else "",
            user=user,
            name="",
            anonymous=anonymous,
            asserted="" if anonymous else user,
            called=to,
            called_host=uri.host,
            forwarded_from=None,
            sip_call_id=sip_call_id,
            source_ip="",
            headers=(),
            direction="outbound-api",
        )

    def facts(self, call_sid: CallSid, status: CallStatus, context: SessionContext) -> CallFacts:
        """Return the facts about the call that webhooks report."""
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
                call_id=self.sip_call_id,
                domain=self.called_host if self.username else "",
                username=self.username,
                source_ip=self.source_ip,
                headers=tuple(
                    (name, value) for name, value in self.headers if not name.lower().startswith("x-b2bua-")
                ),
            ),
        )


def _identity(incoming: LegIncoming) -> NameAddr | None:
    """Return the caller's identity as asserted by a trunk; None if no such header can be parsed."""
    for wanted in ("p-asserted-identity", "remote-party-id"):
        for value in (v for n, text in incoming.headers if n.lower() == wanted for v in split_values(text)):
            try:
                identity = parse_name_addr(value)
            except PeerError:
                continue
            if identity.uri.user and identity.param("party") in (None, "calling"):
                return identity
    return None


def _reported_from(call: AdmittedCall, uri: Uri, context: SessionContext) -> str:
    if call.origin.user:
        return sip_uri(call.origin.user, context.settings.sip.domain)
    return party(uri.user, _host(uri), context.settings.dial.country)


def _called(target: Uri, country: str, *, by_user: bool) -> str:
    host = _host(target)
    return sip_uri(target.user, host) if by_user else party(target.user, host, country)


def _user_of(party: str) -> str:
    """Return the user part of a party as webhooks name it: number, URI, ``client:NAME`` or a user's name."""
    try:
        return parse_uri(party).user
    except PeerError:
        return party.removeprefix("client:").partition("@")[0]


def _host(uri: Uri) -> str:
    return uri.host if uri.port is None else f"{uri.host}:{uri.port}"
