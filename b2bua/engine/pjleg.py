"""A leg as a pjsua2 call: a ``pj.Call`` whose callbacks become our events, and the SIP actions on it.

Rules that keep the process alive (each was a crash once):

- The registry of the worker holds the only strong reference, from before ``answer``/``makeCall`` until the
  DISCONNECTED callback: a wrapper that outlives its call hangs up whoever gets the slot next.
- A wrapper holds its leg's id and the sink for its events, and nothing that refers back to it: a cycle would
  be collected later, and end that other call.
- Callback parameters die with the callback; only plain values leave it.
- ``hangup`` calls ``onCallState(DISCONNECTED)`` before it returns, so callbacks only append to the sink.
- Callbacks arrive by slot, which another dialog may have had before: each checks that it is about this one.

Thread: the SIP thread.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

import pjsua2 as pj

from b2bua.core.commands import InviteLeg, ReferLeg
from b2bua.core.errors import PeerError
from b2bua.core.events import EndCause, Headers, LegReferred, MediaChanged
from b2bua.core.ids import LegId
from b2bua.engine import leg_table as table
from b2bua.engine.callbacks import LegSink, callback
from b2bua.engine.callee_leg import CalleeLeg
from b2bua.engine.dialog import Dialog, decline_late, received, received_headers
from b2bua.engine.leg_machine import LegMachine
from b2bua.engine.leg_table import DialogState, Role, Source
from b2bua.engine.peer_keys import PeerKeys
from b2bua.sip.carry import read_message
from b2bua.sip.message import Message
from b2bua.sip.refer import ends_subscription, replaces_of, the_refer_to
from b2bua.sip.sips import mark
from b2bua.sip.values import parse_name_addr

__all__ = ["PjLeg", "one_line"]

log = logging.getLogger(__name__)

_SESSION_TERMINATED = 171140
"""PJSIP_ESESSIONTERMINATED: the leg is over already; normal when the messages of both sides cross."""

_NO_TELEPHONE_EVENT = 220078
"""PJMEDIA_RTP_EREMNORFC2833: the peer's SDP had no telephone-event."""

_SOURCES = {
    pj.PJSIP_EVENT_TIMER: Source.TIMER,
    pj.PJSIP_EVENT_TRANSPORT_ERROR: Source.TRANSPORT,
}


def one_line(value: str) -> str:
    """Strip control characters from a header value (header injection through webhooks)."""
    return "".join(c for c in value if c >= " " and c != "\x7f")


class PjLeg(pj.Call):  # type: ignore[misc]
    """The wrapper of one leg's call in the library.

    Args:
        account: the account that the library places the call on.
        leg: the leg's id.
        sink: takes its events.
        dialog: the leg's dialog.
        pj_id: the library's incoming call; None: we call.
        replaced: the leg's wrapper that this one replaces.
    """

    def __init__(
        self,
        account: pj.Account,
        leg: LegId,
        sink: LegSink,
        dialog: Dialog,
        *,
        pj_id: int | None = None,
        replaced: "PjLeg | None" = None,
    ) -> None:
        if pj_id is None:
            super().__init__(account)
        else:
            super().__init__(account, pj_id)
        self.leg = leg
        self.sink = sink
        self._dialog = dialog
        if replaced is None and pj_id is None:
            self.machine: LegMachine = CalleeLeg(leg)
        else:
            self.machine = LegMachine(leg, Role.UAS if replaced is None else Role.REPLACEMENT)
        self.must_encrypt = False
        """Unencrypted media end the leg, whenever they are negotiated."""
        self.may_refer = False
        """See ``commands.AllowRefer``."""
        self._keys = PeerKeys()
        self._request: bytes | None = None
        """The request in this dialog that the library processes next, and then reports by slot."""
        self._replacing_invite: Message | None = None
        """The INVITE that is about to replace this call."""
        if replaced is not None:
            self.may_refer = replaced.may_refer
            replaced.take(table.Replaced())

    def take(self, fact: table.Input) -> None:
        """Feed an input to the leg's machine and carry out its outputs."""
        for output in self.machine.handle(fact, time.monotonic()):
            match output:
                case table.HangUp():
                    self._hang_up(output)
                case table.DialogGone():
                    self.sink.dialog_gone(self)
                case MediaChanged():
                    self.sink.media_changed(self.leg)
                    self.sink.post(output)
                case _:
                    self.sink.post(output)

    # -- SIP actions --------------------------------------------------------------------------------

    def invite(self, order: InviteLeg) -> None:
        """Send the INVITE; raises ``pj.Error`` when the library refuses."""
        prm = pj.CallOpParam(True)
        prm.opt.customCallId = order.sip_call_id
        prm.txOption.localUri = one_line(order.from_header)
        _add_headers(prm, order.headers)
        self.may_refer = order.may_refer
        self.makeCall(one_line(mark(order.uri)), prm)

    def respond(self, status: int, headers: Headers = ()) -> None:
        """Send a provisional or final response to the INVITE (180 without SDP, 183 and 200 with)."""
        prm = pj.CallOpParam()
        prm.statusCode = status
        _add_headers(prm, headers)
        _unless_terminated(lambda: self.answer(prm))

    def end(self, status: int, headers: Headers) -> None:
        """Send a final response, CANCEL or BYE, whichever applies, once and as soon as it may be sent.

        The leg may end before that: see ``leg_table``.
        """
        self.take(table.HangupOrdered(status=status, headers=headers))

    def end_if_due(self) -> None:
        """Send a hangup that had to wait for the ACK, for a response or for the end of a callback."""
        if self.machine.hangup_is_due:
            self.take(table.Attended())

    def lose(self, cause: EndCause, status: int) -> None:
        """End the leg: the library has no call for it (any more), and does not report its end."""
        self.take(table.Lost(cause=cause, status=status))

    def _hang_up(self, order: table.HangUp) -> None:
        if order.reason is table.Reason.IN_CLEAR:
            log.warning("media are not encrypted", extra={"leg_id": self.leg})
        prm = pj.CallOpParam()
        if order.status is not None:
            prm.statusCode = order.status
        _add_headers(prm, order.headers)
        _unless_terminated(lambda: self.hangup(prm))

    def send_keys(self, digits: str) -> None:
        """Send keys by RFC 4733, or by INFO if the peer has not offered telephone-event."""
        prm = pj.CallSendDtmfParam()
        prm.digits = digits
        prm.method = pj.PJSUA_DTMF_METHOD_RFC2833
        try:
            self.sendDtmf(prm)
        except pj.Error as error:
            if error.status != _NO_TELEPHONE_EVENT:
                raise
            prm.method = pj.PJSUA_DTMF_METHOD_SIP_INFO
            _unless_terminated(lambda: self.sendDtmf(prm))

    def refer(self, order: ReferLeg) -> None:
        """Send a REFER."""
        prm = pj.CallOpParam(True)
        _add_headers(prm, order.headers)
        try:
            self.xfer(one_line(order.refer_to), prm)
        except pj.Error as error:
            log.info("REFER could not be sent", extra={"leg_id": self.leg, "status": error.status})
            self.take(table.ReferAnswered(status=500))

    @property
    def sends_tones(self) -> bool:
        """Whether, as far as is known, the peer sends its keys only as tones in the audio."""
        return self._keys.are_tones and not self.machine.is_over

    def tone_heard(self, digit: str) -> None:
        """A key was detected in the audio."""
        if self._keys.tone_counts(digit, time.monotonic()):
            self.take(table.KeyCame(digit=digit, method="inband"))

    # -- whether an event is this leg's -------------------------------------------------------------

    @property
    def has_slot(self) -> bool:
        """Whether the slot is still this leg's; if not, an action on the leg would hit another call."""
        return self._own_info() is not None

    def _own_info(self) -> pj.CallInfo | None:
        """Return the library's information about the slot's call, if that call is this leg."""
        try:
            info = self.getInfo()
        except pj.Error:  # the slot is free
            return None
        return info if self._dialog.is_called(info.callIdString) else None

    def _take_request(self, method: str) -> bytes | None:
        """Return the request that a callback is about; None if it arrived in another dialog."""
        request, self._request = self._request, None
        return request if request is not None and request.startswith(method.encode() + b" ") else None

    # -- callbacks ----------------------------------------------------------------------------------

    @callback
    def onCallState(self, prm: pj.OnCallStateParam) -> None:  # noqa: D102
        info = self._own_info()
        if info is None:
            return
        calls = self.machine.role is Role.UAC
        match info.state:
            case pj.PJSIP_INV_STATE_EARLY if calls and info.lastStatusCode > 100:
                message = received(prm.e)
                has_sdp = message is not None and b"\r\n\r\nv=0" in message
                self.take(table.Progressed(status=info.lastStatusCode, has_sdp=has_sdp))
            case pj.PJSIP_INV_STATE_CONNECTING:
                self.take(table.Answered(headers=received_headers(prm.e) if calls else ()))
            case pj.PJSIP_INV_STATE_CONFIRMED:
                self.take(table.Confirmed(has_audio=_has_audio(info)))
            case pj.PJSIP_INV_STATE_DISCONNECTED:
                self.take(_disconnected(prm, info))

    @callback
    def onCallMediaState(self, prm: pj.OnCallMediaStateParam) -> None:  # noqa: D102
        info = self._own_info()  # keep a reference: its parts die with it
        if self.machine.is_over or info is None:
            return
        media = info.media
        active = held = in_clear = False
        for i in range(media.size()):
            stream = media[i]
            if stream.type == pj.PJMEDIA_TYPE_AUDIO:
                held = held or stream.status == pj.PJSUA_CALL_MEDIA_REMOTE_HOLD
                active = active or stream.status == pj.PJSUA_CALL_MEDIA_ACTIVE
                agreed = self._stream(stream.index)
                if agreed is not None:  # else the stream is on hold and the previous agreement applies
                    self._keys.has_telephone_event = int(agreed.audTxEventPt) >= 0
                    encrypted = bool(agreed.proto & pj.PJMEDIA_TP_PROFILE_SRTP)
                    in_clear = in_clear or (self.must_encrypt and not encrypted)
        self.take(table.MediaBuilt(active=active, held=held, in_clear=in_clear))

    def _stream(self, index: int) -> pj.StreamInfo | None:
        try:
            return self.getStreamInfo(index)
        except pj.Error:  # there is no such stream
            return None

    @callback
    def onDtmfDigit(self, prm: pj.OnDtmfDigitParam) -> None:  # noqa: D102
        info = prm.method == pj.PJSUA_DTMF_METHOD_SIP_INFO
        if info and self._take_request("INFO") is None:
            return
        if self._keys.signal_counts(prm.digit, prm.method, time.monotonic()):
            self.take(table.KeyCame(digit=prm.digit, method="info" if info else "rfc4733"))

    @callback
    def onCallTransferRequest(self, prm: pj.OnCallTransferRequestParam) -> None:  # noqa: D102
        # Without this override the library accepts and calls whatever target the peer names (toll fraud).
        prm.statusCode = 603
        message = self._take_request("REFER")
        if message is None or self.machine.is_over:
            return
        try:
            request = read_message(message)
            if not self.sink.is_from_edge(request):
                return
            referred = _referred(
                self.leg, request, accepted=self.may_refer and self.machine.state.is_answered
            )
        except PeerError as error:
            prm.statusCode = error.sip_status_hint
            return
        if not referred.accepted:
            self.sink.post(referred)
            return
        taken = self.sink.take_refer(referred)
        if isinstance(taken, int):
            prm.statusCode = taken
        else:
            prm.newCall, prm.statusCode = taken, 202

    @callback
    def onCallTransferStatus(self, prm: pj.OnCallTransferStatusParam) -> None:  # noqa: D102
        if self._take_request("NOTIFY") is not None:
            self.take(table.Notified(status=prm.statusCode, final=prm.finalNotify))

    @callback
    def onCallTsxState(self, prm: pj.OnCallTsxStateParam) -> None:  # noqa: D102
        state = prm.e.body.tsxState
        sent = state.tsx.role == pj.PJSIP_ROLE_UAC
        match state.tsx.method, state.tsx.state:
            case "INVITE", pj.PJSIP_TSX_STATE_PROCEEDING if sent and self.machine.awaits_response:
                if self._dialog.made(prm.e):
                    self.take(table.Trying())
            case "INVITE", pj.PJSIP_TSX_STATE_CALLING if (
                sent and self.machine.state is DialogState.PROCEEDING
            ):
                if self._dialog.made(prm.e):
                    self.take(table.InviteSent())
            case "CANCEL", pj.PJSIP_TSX_STATE_CALLING if sent and self._dialog.made(prm.e):
                self.take(table.CancelSent())
            case "BYE", pj.PJSIP_TSX_STATE_CALLING if sent and self.machine.state is DialogState.ANSWERED:
                if self._dialog.made(prm.e):
                    self.take(table.ByeSent())
            case "CANCEL", pj.PJSIP_TSX_STATE_TRYING if not sent and self._dialog.made(prm.e):
                self.take(table.CancelCame(message=received(prm.e)))
            case "REFER", pj.PJSIP_TSX_STATE_COMPLETED if sent and self._dialog.made(prm.e):
                self.take(table.ReferAnswered(status=state.tsx.statusCode))
            case "NOTIFY", pj.PJSIP_TSX_STATE_COMPLETED if sent and self._dialog.made(prm.e):
                if ends_subscription(state.tsx.lastTx.wholeMsg):
                    self.sink.last_notify_answered(self.leg)
            case "REFER" | "NOTIFY" | "INFO" | "MESSAGE" as method, pj.PJSIP_TSX_STATE_TRYING if not sent:
                # The callback for its content, which follows, does not get the message.
                self._request = received(prm.e) if self._dialog.made(prm.e) else None
                if self._request is None and method != "NOTIFY":  # the subscription takes care of NOTIFYs
                    decline_late(prm.e)

    @callback
    def onCallReplaceRequest(self, prm: pj.OnCallReplaceRequestParam) -> None:  # noqa: D102
        prm.statusCode = 481
        invite = read_message(prm.rdata.wholeMsg.encode("utf-8", "surrogateescape"))
        if not self.sink.is_from_edge(invite):  # the edge decides who may ask
            prm.statusCode = 403
        elif self._dialog.is_replaced_by(invite):
            prm.statusCode = self.machine.replaces_status
            self._replacing_invite = invite
            if prm.statusCode < 300:
                self.sink.replacing(self.leg)

    @callback
    def onCallReplaced(self, prm: pj.OnCallReplacedParam) -> None:  # noqa: D102
        assert self._replacing_invite is not None
        prm.newCall = self.sink.replaced(self, prm.newCallId, self._replacing_invite)


def _unheard(self: PjLeg, prm: Any) -> None:
    """Do nothing, as the library's own default does."""


# pjsua2 calls each of these through Python whether or not it is overridden, and its default goes back into
# C++ to do nothing: over all of a call's events that costs half a millisecond.
for _name in (
    "onCallMediaTransportState",
    "onCallMediaEvent",
    "onCallSdpCreated",
    "onCreateMediaTransport",
    "onDtmfEvent",
    "onStreamPreCreate",
    "onStreamCreated",
    "onStreamDestroyed",
):
    setattr(PjLeg, _name, _unheard)


def _unless_terminated(act: Callable[[], None]) -> None:
    try:
        act()
    except pj.Error as error:
        if error.status != _SESSION_TERMINATED:
            raise


def _has_audio(info: pj.CallInfo) -> bool:
    """Whether audio was negotiated, possibly on hold."""
    none = (pj.PJSUA_CALL_MEDIA_NONE, pj.PJSUA_CALL_MEDIA_ERROR)
    media = info.media
    return any(each.type == pj.PJMEDIA_TYPE_AUDIO and each.status not in none for each in media)


def _disconnected(prm: pj.OnCallStateParam, info: pj.CallInfo) -> table.Disconnected:
    source = Source.MESSAGE
    if prm.e.type == pj.PJSIP_EVENT_TSX_STATE:
        source = _SOURCES.get(prm.e.body.tsxState.type, source)
    return table.Disconnected(
        source=source, status=int(info.lastStatusCode), reason=info.lastReason, message=received(prm.e)
    )


def _add_headers(prm: pj.CallOpParam, headers: Headers) -> None:
    for name, value in headers:
        header = pj.SipHeader()
        header.hName = one_line(name)
        header.hValue = one_line(value)
        prm.txOption.headers.push_back(header)


def _referred(leg: LegId, request: Message, *, accepted: bool) -> LegReferred:
    refer_to = the_refer_to(request)
    return LegReferred(
        leg=leg,
        at=time.monotonic(),
        refer_to=refer_to,
        referred_by=request.get("referred-by") or "",
        replaces=replaces_of(parse_name_addr(refer_to)),
        quiet=(request.get("refer-sub") or "").partition(";")[0].strip().lower() == "false",
        accepted=accepted,
    )
