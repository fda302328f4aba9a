"""Identifies the dialog that a library event is about.

The library identifies a call by its slot, and delivers a dialog's events to the call that now has the slot
the dialog used. A slot is free, and used again, as soon as its call is over; the dialog's transactions live
on (5 s once a CANCEL or BYE was answered, up to 32 s otherwise: RFC 3261 §17), and requests can still arrive
within it. So an event delivered to a leg is accepted only if it names the leg's dialog.

Thread: the SIP thread.
"""

import contextlib
import ctypes
from dataclasses import dataclass

import pjsua2 as pj

from b2bua.core.errors import PeerError
from b2bua.core.events import Headers
from b2bua.sip.carry import read_message
from b2bua.sip.inside import shown
from b2bua.sip.message import Message
from b2bua.sip.values import parse_replaces

__all__ = ["Dialog", "decline_late", "received", "received_headers"]

_NO_SUCH_DIALOG = 481
"""RFC 3261 §12.2.2."""

_KEPT = 128
"""Characters of a Call-ID that ``pjsua_call_info`` keeps."""


@dataclass(frozen=True, slots=True)
class Dialog:
    """Distinguishes a leg's dialog from all others that its worker has or had."""

    call_id: str
    caller_tag: str = ""
    """From tag of the incoming INVITE. Empty where we call: we made that Call-ID and use it once."""

    @classmethod
    def of_invite(cls, invite: Message) -> "Dialog":
        """Return the dialog that an incoming INVITE creates."""
        return cls(invite.call_id, invite.from_tag)

    def made(self, event: pj.SipEvent) -> bool:
        """Whether a transaction event belongs to this dialog."""
        if event.type != pj.PJSIP_EVENT_TSX_STATE:
            return False
        message = received(event)
        if message is None:
            sent: str = event.body.tsxState.tsx.lastTx.wholeMsg
            message = sent.encode("utf-8", "surrogateescape")
        with contextlib.suppress(PeerError):
            parsed = read_message(message)
            return self._is(parsed.call_id, parsed.from_tag, parsed.to_tag)
        return False

    def is_replaced_by(self, invite: Message) -> bool:
        """Whether an INVITE's Replaces header names this dialog (RFC 3891 §3)."""
        with contextlib.suppress(PeerError):
            named = parse_replaces(invite.get("replaces") or "")
            return self._is(named.call_id, named.from_tag, named.to_tag)
        return False

    def is_called(self, call_id: str) -> bool:
        """Whether the call in a slot (its ``CallInfo.callIdString``) is this dialog's."""
        return call_id == self.call_id[:_KEPT]

    def _is(self, call_id: str, *tags: str) -> bool:
        return call_id == self.call_id and (not self.caller_tag or self.caller_tag in tags)


def decline_late(event: pj.SipEvent) -> None:
    """Answer a request in a dialog that is over, before the library acts on it.

    The library would take the slot's present call for the dialog's: an INFO's key would count for that call,
    and a REFER ends the process (an assertion in ``pjsip_dlg_respond``). Once answered, it does nothing more.
    """
    state = event.body.tsxState
    library = ctypes.CDLL(pj._pjsua2.__file__)
    library.pjsip_tsx_get_dlg.restype = ctypes.c_void_p
    dialog = ctypes.c_void_p(library.pjsip_tsx_get_dlg(ctypes.c_void_p(int(state.tsx.pjTransaction))))
    request = ctypes.c_void_p(int(state.src.rdata.pjRxData))
    library.pjsip_dlg_respond(dialog, request, _NO_SUCH_DIALOG, None, None, None)


def received(event: pj.SipEvent) -> bytes | None:
    """Return the received message that caused this event.

    For other kinds of event the library leaves the field unset; reading it then is not allowed.
    """
    if event.type != pj.PJSIP_EVENT_TSX_STATE or event.body.tsxState.type != pj.PJSIP_EVENT_RX_MSG:
        return None
    text: str = event.body.tsxState.src.rdata.wholeMsg
    return text.encode("utf-8", "surrogateescape")


def received_headers(event: pj.SipEvent) -> Headers:
    """Return the headers of the received message; empty if the event has none."""
    message = received(event)
    return shown(read_message(message)) if message else ()
