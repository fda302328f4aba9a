"""The standard parameters of every voice webhook, and how a party of a SIP call is named in them.

Source: the hosted service's "TwiML for Programmable Voice", request parameters (read November 2026). The
order is always the same, so that two requests can be compared by eye.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote

import phonenumbers

from b2bua.core.ids import CallSid

__all__ = [
    "API_VERSION",
    "CallFacts",
    "CallStatus",
    "Direction",
    "Parameters",
    "SipFacts",
    "party",
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

# RFC 3966 §5.1.1: visual separators mean nothing. The blank is what people put there besides.
_SEPARATORS: Final = str.maketrans("", "", "-.() ")
_DIALLED: Final = re.compile(r"\+?[0-9]+")
# E.164 §6: a country code does not begin with 0, and there are 15 digits at most.
_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")

MIN_NATIONAL_DIGITS: Final = 7
"""Some countries' plans allow numbers of four digits, which on a PBX are extensions: these stay SIP URIs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SipFacts:
    """What a webhook of a SIP call tells besides."""

    domain: str
    """Host of the Request-URI."""
    username: str
    """User of the Request-URI."""
    call_id: str
    source_ip: str
    """Where the INVITE came from, as the edge saw it; without port. Empty: it is ours."""
    headers: Parameters = ()
    """Of the INVITE, all of them or some; ``X-`` ones and ``User-to-User`` are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """One call (one leg, in our words) as the application knows it."""

    call_sid: CallSid
    account_sid: str
    from_: str
    """As ``party`` gives it."""
    to: str
    """Likewise."""
    direction: Direction
    status: CallStatus
    parent_call_sid: CallSid | None = None
    forwarded_from: str | None = None
    """The diverting party, as ``party`` gives it (RFC 5806, RFC 7044)."""
    caller_name: str | None = None
    """The display name of the From header, where there is one."""
    sip: SipFacts | None = None


def standard_parameters(call: CallFacts) -> Parameters:
    """Return names and values in the order they are sent; what does not exist is left out."""
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
    return always + existing + (_sip_parameters(call.sip) if call.sip else ())


def _sip_parameters(sip: SipFacts) -> Parameters:
    fixed = (
        ("SipDomain", sip.domain),
        ("SipUsername", sip.username),
        ("SipCallId", sip.call_id),
    )
    source = (("SipSourceIp", sip.source_ip),) if sip.source_ip else ()
    told = ((f"SipHeader_{name}", value) for name, value in sip.headers if _is_told(name.lower()))
    return (*fixed, *source, *told)


def _is_told(name: str) -> bool:
    return name.startswith("x-") or name == "user-to-user"


def party(user: str, host: str, region: str | None = None) -> str:
    """Name a party: its number in E.164 where it has one, else its SIP URI.

    Args:
        user: the user part of a SIP or tel URI, escaped as it came; may be empty.
        host: its host, with the port if one is written; empty for a tel URI.
        region: ISO 3166 code of the country whose national numbers are understood; None: no national ones.
    """
    # RFC 3261 §19.1.6: a telephone-subscriber's own parameters are in the user part.
    dialled = unquote(user.partition(";")[0]).translate(_SEPARATORS)
    if _DIALLED.fullmatch(dialled):
        number = dialled if dialled.startswith("+") else _from_national(dialled, region)
        if _E164.fullmatch(number):
            return number
    if not host:
        return user
    return f"sip:{user}@{host}" if user else f"sip:{host}"


def _from_national(digits: str, region: str | None) -> str:
    """Return the E.164 number that ``digits`` reach when dialled in ``region``, or an empty string."""
    if not region:
        return ""
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return ""
    # Possible is enough: "valid" follows allocations, which change more often than libraries. But 911, an
    # extension and a number without its area code mean something in one place only.
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE:
        return ""
    if len(phonenumbers.national_significant_number(number)) < MIN_NATIONAL_DIGITS:
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
