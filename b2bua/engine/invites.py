"""The INVITEs that a worker receives: by whom they may be sent, and how the controller is told of one.

Thread: the SIP thread.
"""

import logging
import time
from typing import Protocol

import pjsua2 as pj

from b2bua.core.events import LegIncoming
from b2bua.core.ids import LegId, SipCallId
from b2bua.engine.callbacks import callback
from b2bua.sip.carry import read_message
from b2bua.sip.inside import is_from_edge, is_link, shown
from b2bua.sip.message import Request

__all__ = ["Account", "InviteSink", "incoming_leg", "read_invite", "refuse", "status_of_refusal"]

log = logging.getLogger(__name__)


class InviteSink(Protocol):
    """Takes incoming INVITEs."""

    def incoming(self, pj_id: int, message: bytes) -> None:
        """An INVITE has arrived (called inside the library's callback)."""


class Account(pj.Account):  # type: ignore[misc]
    """Receives incoming INVITEs."""

    def __init__(self, sink: InviteSink) -> None:
        super().__init__()
        self.sink = sink

    @callback
    def onIncomingCall(self, prm: pj.OnIncomingCallParam) -> None:  # noqa: D102
        self.sink.incoming(prm.callId, prm.rdata.wholeMsg.encode("utf-8", "surrogateescape"))


def read_invite(message: bytes) -> Request:
    """Read an INVITE that the library has parsed."""
    request = read_message(message)
    assert isinstance(request, Request)
    return request


def status_of_refusal(invite: Request, secret: str, *, takes_links: bool) -> int | None:
    """Return the status to refuse an INVITE with; None: it is accepted.

    Args:
        invite: the INVITE.
        secret: known to this node's edge and workers only.
        takes_links: whether a session is in progress that other workers may connect with.
    """
    if not is_from_edge(invite, secret):
        log.warning("refused an INVITE that did not come from the edge")
        return 403
    if is_link(invite) and not takes_links:
        return 481  # the link was given up meanwhile
    return None


def refuse(account: pj.Account, pj_id: int, status: int) -> None:
    """Refuse an INVITE without a session. The wrapper is deleted while it still has its slot."""
    prm = pj.CallOpParam()
    prm.statusCode = status
    pj.Call(account, pj_id).hangup(prm)


def incoming_leg(leg: LegId, invite: Request) -> LegIncoming:
    """Return what the controller is told of an accepted INVITE."""
    headers = shown(invite)
    values = {name.lower(): value for name, value in headers}
    return LegIncoming(
        leg=leg,
        at=time.monotonic(),
        sip_call_id=SipCallId(values["call-id"]),
        request_uri=invite.uri,
        from_header=values["from"],
        to_header=values["to"],
        headers=headers,
    )
