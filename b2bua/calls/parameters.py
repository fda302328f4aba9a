"""The standard parameters of every voice webhook, and how they name a party of a SIP call.

Source: the hosted service's "TwiML for Programmable Voice", request parameters (read November 2026). The
order is always the same, so that two requests can be compared by eye.
"""

import functools
import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote

import phonenumbers

from b2bua.calls.geography import place_of
from b2bua.core.ids import CallSid

__all__ = [
    "API_VERSION",
    "CallFacts",
    "CallStatus",
    "Direction",
    "Parameters",
    "SipFacts",
    "party",
    "sip_uri",
    "standard_parameters",
]

Parameters = tuple[tuple[str, str], ...]
"""Names and values, in the order they are sent."""

CallStatus = Literal[
    "queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"
]
"""``CallStatus`` of a call, as opposed to ``DialCallStatus`` of a Dial."""

Direction = Literal["inbound", "outbound-api", "outbound-dial"]

API_VERSION: Final = "2010-04-01"

# RFC 3966 §5.1.1: visual separators carry no meaning. Users also write blanks.
_SEPARATORS: Final = str.maketrans("", "", "-.() ")
_DIALLED: Final = re.compile(r"\+?[0-9]+")
# E.164 §6: a country code does not begin with 0, and there are 15 digits at most.
_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")

MIN_NATIONAL_DIGITS: Final = 7
"""Some numbering plans allow four-digit numbers, which on a PBX are extensions: these stay SIP URIs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SipFacts:
    """What a webhook reports besides about a call's SIP dialog.

    A trunk's call is a phone call to the application: it has no domain and no user name.
    """

    call_id: str
    domain: str = ""
    """Host of the Request-URI of a SIP call; empty for a phone call."""
    username: str = ""
    """The authenticated user that calls, or the user part of the URI called; empty for a phone call."""
    source_ip: str = ""
    """Source address of the INVITE as seen by the edge, without port; empty for a call that we make."""
    headers: Parameters = ()
    """Headers of the INVITE, all or some of them; only ``X-`` headers and ``User-to-User`` are reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """One call as the application knows it; we call it a leg."""

    call_sid: CallSid
    account_sid: str
    from_: str
    """As returned by ``party``."""
    to: str
    """As returned by ``party``."""
    direction: Direction
    status: CallStatus
    parent_call_sid: CallSid | None = None
    forwarded_from: str | None = None
    """The diverting party, as returned by ``party`` (RFC 5806, RFC 7044)."""
    caller_name: str | None = None
    """The caller's display name, if there is one."""
    sip: SipFacts | None = None


def standard_parameters(call: CallFacts) -> Parameters:
    """Return names and values in the order they are sent.

    Parameters without a value are left out, except the geographic ones: applications index these.
    """
    always = (
        ("CallSid", call.call_sid),
        ("AccountSid", call.account_sid),
        ("From", call.from_),
        ("To", call.to),
        ("Caller", call.from_),
        ("Called", call.to),
        ("CallStatus", call.status),
        ("ApiVersion", API_VERSION),
        ("Direction", call.direction),
    )
    perhaps = (
        ("ForwardedFrom", call.forwarded_from),
        ("CallerName", call.caller_name),
        ("ParentCallSid", call.parent_call_sid),
    )
    existing = tuple((name, value) for name, value in perhaps if value)
    places = _geographic_parameters(call.from_, call.to)
    return always + existing + places + (_sip_parameters(call.sip) if call.sip else ())


@functools.lru_cache(1024)
def _geographic_parameters(from_: str, to: str) -> Parameters:
    """Return the places of both parties, each under its two names; the postcode is never known."""
    named = (("From", from_), ("To", to), ("Caller", from_), ("Called", to))
    return tuple(
        (f"{name}{part}", value)
        for name, party_ in named
        for place in (place_of(party_),)
        for part, value in (
            ("City", place.city),
            ("State", place.state),
            ("Zip", ""),
            ("Country", place.country),
        )
    )


def _sip_parameters(sip: SipFacts) -> Parameters:
    known = (
        ("SipDomain", sip.domain),
        ("SipUsername", sip.username),
        ("SipCallId", sip.call_id),
        ("SipSourceIp", sip.source_ip),
    )
    selected = ((f"SipHeader_{name}", value) for name, value in sip.headers if _is_reported(name.lower()))
    return (*((name, value) for name, value in known if value), *selected)


def _is_reported(name: str) -> bool:
    return name.startswith("x-") or name == "user-to-user"


def party(user: str, host: str, region: str | None = None) -> str:
    """Name a party: its number in E.164 if it has one, else its SIP URI.

    Args:
        user: the user part of a SIP or tel URI, escaped as received; may be empty.
        host: the URI's host, with the port if the URI has one; empty for a tel URI.
        region: ISO 3166 code of the country whose national numbers are recognised; None: none are.
    """
    # RFC 3261 §19.1.6: a telephone-subscriber's own parameters are in the user part.
    dialled = unquote(user.partition(";")[0]).translate(_SEPARATORS)
    if _DIALLED.fullmatch(dialled):
        number = dialled if dialled.startswith("+") else _from_national(dialled, region)
        if _E164.fullmatch(number):
            return number
    return sip_uri(user, host) if host else user


def sip_uri(user: str, host: str) -> str:
    """Return the SIP URI of a party, without parameters; ``host`` may have a port."""
    return f"sip:{user}@{host}" if user else f"sip:{host}"


def _from_national(digits: str, region: str | None) -> str:
    """Return the E.164 number reached by dialling ``digits`` in ``region``, or an empty string."""
    if not region:
        return ""
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return ""
    # A possible number is enough: "valid" follows allocations, which change more often than the library. But
    # 911, an extension and a number without its area code are meaningful only locally.
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE:
        return ""
    if len(phonenumbers.national_significant_number(number)) < MIN_NATIONAL_DIGITS:
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
