"""Session descriptions in messages for workers: mended, and offers that nobody could take refused.

The library is given a description and nothing else: of a multipart body (RFC 5621) the rest is for others.
It would refuse a bad offer with 500, and some with an end of the call: what is refused here gets its 488 and
changes nothing (RFC 3261 §14.2, RFC 3311 §5.2). A bad answer in a 2xx cannot be refused, and the library
would send its BYE before the ACK: it is not shown one, and ends in order what has no answer (§13.2.2.4).
After a 2xx without one to a re-INVITE, what there was goes on.
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


def mend_offer(request: Request, codecs: Collection[str]) -> Refusal | None:
    """Make what a request describes readable; why it is refused where nobody could take it, else None.

    Args:
        codecs: names of those that the workers have.
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
    if description is None or has_usable_audio(description, codecs):
        return None
    return Refusal(_NOT_ACCEPTABLE, "No Common Codec")


def mend_answer(response: Response, codecs: Collection[str]) -> None:
    """Make what a response describes readable; leave out of a 2xx to an INVITE what nobody could take.

    Args:
        codecs: names of those that the workers have.
    """
    if response.cseq_method != "INVITE" or response.status // 100 != 2:
        _mend_if_possible(response)
        return
    try:
        description = _mend(response)
        usable = description is None or answers_audio(description, codecs)
    except PeerError:
        usable = False
    if not usable:
        response.remove_body()


def _mend_if_possible(message: Message) -> None:
    """What cannot be mended stays as it is."""
    with suppress(PeerError):
        _mend(message)


def ring_unreliably(invite: Request) -> None:
    """Let a caller that makes no offer have its 180 unreliably, if it can.

    A reliable one would have to bring our offer (RFC 3262 §5), and the library's has none.
    """
    for header in invite.headers:
        if header.name == "supported" and not invite.body:
            options = [option for option in split_values(header.text) if option.lower() != "100rel"]
            header.change(", ".join(options).encode())


def _mend(message: Message) -> Description | None:
    """Mend a message's description, if it has one.

    Raises:
        PeerError: it cannot be mended.
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
    """The description in a body, be it a part of it."""
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
