"""REFER within a call: whom it names, in whatever form, and how that gets past the workers' library.

pjsip looks for ``Refer-To`` under its long name only, takes the whole value for a URI, and calls it. Nobody
is called that way here (docs/adr/0004), so the library is given a target that it can read, and the worker
what was said.
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
    """Why a REFER is refused without a worker; None when it names somebody who could be called."""
    values = request.all("refer-to")
    if len(values) != 1:
        return Refusal(400, "Not One Refer-To")  # RFC 3515 §2.4.1
    try:
        target = parse_name_addr(values[0])
    except PeerError as error:
        known = error.sip_status_hint in (414, 416)
        return Refusal(error.sip_status_hint, None if known else "Bad Refer-To")
    if (target.uri.param("method") or "invite") != "invite":
        return Refusal(603, "Decline")  # RFC 3515 §2.4.5: nobody has to do what is asked
    return None


def carry_refer_to(request: Request) -> None:
    """Put what a REFER names where the library does not look, in a request for a worker."""
    said = the_refer_to(request)
    request.remove("refer-to")
    request.append("Refer-To", _READABLE)
    request.append(_CARRIED, said)


def the_refer_to(request: Message) -> str:
    """The Refer-To value of a REFER as its sender wrote it; empty: there is none."""
    return request.get(_CARRIED.lower()) or request.get("refer-to") or ""


def replaces_of(target: NameAddr) -> str:
    """The Replaces header within a URI, unescaped; empty where there is none.

    A plus is one: what web forms make of it is not for URIs (RFC 3261 §19.1.4).
    """
    for header in target.uri.headers.split("&"):
        name, _, value = header.partition("=")
        if unquote(name).lower() == "replaces":
            return unquote(value)
    return ""


def ends_subscription(notify: str) -> bool:
    """Whether a NOTIFY of ours is the last one (RFC 6665 §4.1.3)."""
    state = parse_message(notify.encode("utf-8", "surrogateescape")).get("subscription-state") or ""
    return state.partition(";")[0].strip() == "terminated"
