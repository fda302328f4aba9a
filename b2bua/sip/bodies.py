"""Session descriptions in messages for workers: repaired, or refused where no worker could accept the offer.

The library receives the session description only; other parts of a multipart body (RFC 5621) are dropped. The
library would refuse a bad offer with 500, and would end the call over some. An offer refused here gets 488
and leaves the session unchanged (RFC 3261 §14.2, RFC 3311 §5.2). A bad answer in a 2xx cannot be refused, and
the library would send its BYE before the ACK. It is therefore not shown the bad answer, and ends a call
without an answer in the proper order (§13.2.2.4). After a 2xx to a re-INVITE without an answer, the old
session continues.
"""

import re
from collections.abc import Collection
from contextlib import suppress
from typing import Final

from b2bua.core.errors import PeerError
from b2bua.sip.answers import Refusal
from b2bua.sip.message import Message, Request, Response
from b2bua.sip.sdp import Description, parse_description
from b2bua.sip.sdp_repair import answers_audio, has_usable_audio, repair
from b2bua.sip.values import split_values

__all__ = ["mend_answer", "mend_offer", "ring_unreliably"]

SDP: Final = "application/sdp"
MAX_PARTS: Final = 32

_BOUNDARY: Final = re.compile(r";\s*boundary\s*=\s*(?:\"([^\"]{1,70})\"|([^\s;\"]{1,70}))", re.IGNORECASE)
_PART_TYPE: Final = re.compile(
    rb"^content-type[ \t]*:[ \t]*application/sdp[ \t]*(?:;|$)", re.IGNORECASE | re.MULTILINE
)
_NOT_ACCEPTABLE: Final = 488


def mend_offer(request: Request, codecs: Collection[str], family: str) -> Refusal | None:
    """Repair the session description of a request; return a refusal if no worker could accept it.

    Args:
        codecs: names of the workers' codecs.
        family: type of the addresses that media can be sent to, ``IP4`` or ``IP6``.
    """
    if request.method not in ("INVITE", "UPDATE", "PRACK", "ACK"):
        return None
    if request.method == "ACK":
        _mend_if_possible(request)
        return None
    try:
        description = _mend(request)
    except PeerError:
        return Refusal(_NOT_ACCEPTABLE, "Unreadable Session Description")
    if description is None or has_usable_audio(description, codecs, family):
        return None
    return Refusal(_NOT_ACCEPTABLE, "No Common Codec")


def mend_answer(response: Response, codecs: Collection[str], family: str) -> None:
    """Repair the session description of a response; drop an unusable one from a 2xx to an INVITE.

    Args:
        codecs: names of the workers' codecs.
        family: type of the addresses that media can be sent to, ``IP4`` or ``IP6``.
    """
    if response.cseq_method != "INVITE" or response.status // 100 != 2:
        _mend_if_possible(response)
        return
    try:
        description = _mend(response)
        usable = description is None or answers_audio(description, codecs, family)
    except PeerError:
        usable = False
    if not usable:
        response.remove_body()


def _mend_if_possible(message: Message) -> None:
    """Repair the session description, or leave it as it is if that is impossible."""
    with suppress(PeerError):
        _mend(message)


def ring_unreliably(invite: Request) -> None:
    """Withdraw 100rel from the Supported of an INVITE without an offer, so that its 180 is unreliable.

    A reliable 180 would have to carry our offer (RFC 3262 §5), and the library's carries none.
    """
    for header in invite.headers:
        if header.name == "supported" and not invite.body:
            options = [option for option in split_values(header.text) if option.lower() != "100rel"]
            header.change(", ".join(options).encode())


def _mend(message: Message) -> Description | None:
    """Repair a message's session description, if it has one.

    Raises:
        PeerError: the description cannot be repaired.
    """
    body = _described(message)
    if body is None:
        return None
    description = parse_description(body)
    repair(description)
    mended = description.to_bytes()
    if mended != message.body:
        message.set_body(mended, SDP)
    return description


def _described(message: Message) -> bytes | None:
    """Return the session description that is the body or one part of it."""
    written = message.get("content-type")
    if not message.body or written is None:
        return None
    kind = "".join(written.partition(";")[0].split()).lower()
    if kind == SDP:
        return message.body
    boundary = _BOUNDARY.search(written) if kind.startswith("multipart/") else None
    if boundary is None:
        return None
    delimiter = b"\r\n--" + (boundary[1] or boundary[2]).encode("utf-8", "replace")
    for part in (b"\r\n" + message.body).split(delimiter, MAX_PARTS)[1:]:
        head, blank, content = part.partition(b"\r\n\r\n")
        if blank and _PART_TYPE.search(head):
            return content
    return None
