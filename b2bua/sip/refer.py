"""REFER within a call: reads its target in any form and carries it past the workers' library.

pjsip looks for ``Refer-To`` under its long name only, takes the whole value for a URI, and calls it. No call
is made that way here (docs/adr/0004): the library gets a target that it can read, and the worker gets the
original value.
Source: RFC 3515 §2.1, §2.4.2; RFC 3891 §3; RFC 3261 §19.1.1, §20.
"""

from typing import Final
from urllib.parse import unquote

from b2bua.core.errors import PeerError
from b2bua.sip.answers import Refusal
from b2bua.sip.message import Message, Request, parse_message
from b2bua.sip.values import NameAddr, parse_name_addr

__all__ = ["carry_refer_to", "ends_subscription", "replaces_of", "screen_refer", "the_refer_to"]

_CARRIED: Final = "X-B2bua-Refer-To"
_READABLE: Final = "<sip:target@127.0.0.1>"


def screen_refer(request: Request) -> Refusal | None:
    """Return why a REFER is refused without its worker; None if it names a target that could be called."""
    values = request.all("refer-to")
    if len(values) != 1:
        return Refusal(400, "Not One Refer-To")  # RFC 3515 §2.4.1
    try:
        target = parse_name_addr(values[0])
    except PeerError as error:
        known = error.sip_status_hint in (414, 416)
        return Refusal(error.sip_status_hint, None if known else "Bad Refer-To")
    if (target.uri.param("method") or "invite") != "invite":
        return Refusal(603, "Decline")  # RFC 3515 §2.4.5: a REFER may be declined
    return None


def carry_refer_to(request: Request) -> None:
    """Move the Refer-To value of a REFER for a worker into a header that the library does not read."""
    said = the_refer_to(request)
    request.remove("refer-to")
    request.append("Refer-To", _READABLE)
    request.append(_CARRIED, said)


def the_refer_to(request: Message) -> str:
    """Return the Refer-To value of a REFER as its sender wrote it; empty if there is none."""
    return request.get(_CARRIED.lower()) or request.get("refer-to") or ""


def replaces_of(target: NameAddr) -> str:
    """Return the Replaces header within a URI, unescaped; empty if there is none.

    A plus sign stays a plus sign: the form encoding of the web does not apply to SIP URIs (RFC 3261 §19.1.4).
    """
    for header in target.uri.headers.split("&"):
        name, _, value = header.partition("=")
        if unquote(name).lower() == "replaces":
            return unquote(value)
    return ""


def ends_subscription(notify: str) -> bool:
    """Whether a NOTIFY of ours is the last of its subscription (RFC 6665 §4.1.3)."""
    state = parse_message(notify.encode("utf-8", "surrogateescape")).get("subscription-state") or ""
    return state.partition(";")[0].strip() == "terminated"
