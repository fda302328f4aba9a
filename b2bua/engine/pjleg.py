"""One leg as pjsua2 has it: a ``pj.Call`` whose callbacks become our events, and the SIP acts we ask of it.

Rules that keep the process alive (each was a crash once):

- The registry of the worker holds the only strong reference, from before ``answer``/``makeCall`` until the
  DISCONNECTED callback: a wrapper that outlives its call hangs up whoever gets the slot next.
- A wrapper knows its leg's id and the sink for its events, nothing that knows it back: a cycle would be
  collected later, and end that other call.
- Callback parameters die with the callback; only plain values leave it.
- ``hangup`` calls ``onCallState(DISCONNECTED)`` before it returns, so callbacks only append to the sink.
- Callbacks come by slot, which another dialog may have had before: each looks whether it is about this one.

Thread: the SIP thread.
"""

import contextlib
import functools
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

import pjsua2 as pj

from b2bua.core.commands import InviteLeg, ReferLeg
from b2bua.core.errors import PeerError
from b2bua.core.events import (
    DtmfReceived,
    EndCause,
    Headers,
    LegAnswered,
    LegConfirmed,
    LegEnded,
    LegEvent,
    LegProgress,
    LegReferred,
    MediaChanged,
    MediaMeasured,
    ReferProgress,
)
from b2bua.core.ids import LegId
from b2bua.engine.dialog import Dialog, decline_late, received, received_headers
from b2bua.engine.heard import Heard
from b2bua.sip.carry import read_message
from b2bua.sip.inside import shown
from b2bua.sip.message import Message, Response
from b2bua.sip.refer import ends_subscription, replaces_of, the_refer_to
from b2bua.sip.sips import mark
from b2bua.sip.values import parse_name_addr

__all__ = ["LegSink", "PjLeg", "callback", "one_line"]

log = logging.getLogger(__name__)

_SESSION_TERMINATED = 171140
"""PJSIP_ESESSIONTERMINATED: the leg is over already; normal when two ends cross."""

_NO_TELEPHONE_EVENT = 220078
"""PJMEDIA_RTP_EREMNORFC2833: the peer's SDP had no telephone-event."""


_SAME_KEY_S = 1.0
"""From a key's tone to its INFO, at most."""


class LegSink(Protocol):
    """Where a leg's callbacks put what they have seen."""

    def post(self, event: LegEvent | MediaMeasured) -> None:
        """Take an event; called inside pj callbacks, so it must only append."""

    def media_changed(self, leg: LegId) -> None:
        """The leg's media was (re)built: its place in the bridge may be another now."""

    def take_refer(self, referred: LegReferred) -> "pj.Call | int":
        """The call that the library may place for a REFER, or the status that declines it.

        Once it was placed, ``referred`` is told.
        """

    def last_notify_answered(self, leg: LegId) -> None:
        """Of a REFER that was taken from it."""

    def replaced(self, leg: "PjLeg", pj_id: int, invite: Message) -> "PjLeg":
        """A call has taken the place of this one (RFC 3891); returns its wrapper, which is the leg now."""

    def replaced_gone(self, leg: "PjLeg") -> None:
        """What was replaced has ended."""

    def is_from_edge(self, request: Message) -> bool:
        """Whether a request is from our edge, and no other process's of this machine."""

    def fault(self, where: str) -> None:
        """A callback raised; the worker is no longer to be trusted with a next session."""


def callback(method: Callable[..., None]) -> Callable[..., None]:
    """Shell of every pj callback: the wrapper prints an exception and goes on as if nothing had happened."""

    @functools.wraps(method)
    def shell(self: Any, prm: Any) -> None:
        try:
            method(self, prm)
        except Exception:
            log.exception("a pj callback failed", extra={"callback": method.__name__})
            self.sink.fault(method.__name__)

    shell.is_pj_callback = True  # type: ignore[attr-defined]
    return shell


def one_line(value: str) -> str:
    """A header value that cannot end its line (header injection through webhooks)."""
    return "".join(c for c in value if c >= " " and c != "\x7f")


class PjLeg(pj.Call):  # type: ignore[misc]
    """See the module's docstring."""

    def __init__(
        self, account: pj.Account, leg: LegId, sink: LegSink, dialog: Dialog, *, pj_id: int | None = None
    ) -> None:
        if pj_id is None:
            super().__init__(account)
        else:
            super().__init__(account, pj_id)
        self.leg = leg
        self.sink = sink
        self._dialog = dialog
        self.incoming = pj_id is not None
        self.must_encrypt = False
        """Media in the clear end the leg, whenever they are agreed on."""
        self.may_refer = False
        """See ``commands.AllowRefer``."""
        self.ended = False
        self.early = False
        """The callee has agreed on media and has not answered yet."""
        self._request: bytes | None = None
        """The request in this dialog that the library looks at next, and tells by slot what it says."""
        self._referring = False
        """We have sent one, and it was taken."""
        self._heir_invite: Message | None = None
        """The INVITE that is about to take this leg's place."""
        self._inherited = False
        """The leg was there before this dialog."""
        self._replaced = False
        self._hung_up = False
        self._answered = False
        self._confirmed = False
        self._clear = False
        self._unusable = False
        """The callee describes media that cannot be had: to us it has refused, whatever it says."""
        self._answer: Headers = ()
        """Headers of the callee's 200."""
        self._cancel: bytes | None = None
        """The caller's CANCEL."""
        self._end_due: tuple[int, Headers] | None = None
        self._dtmf_method: int | None = None
        self._has_telephone_event = False
        self._last_tone: tuple[str, float] = ("", 0.0)
        self._media = Heard()

    # -- acts ---------------------------------------------------------------------------------------

    def invite(self, order: InviteLeg) -> None:
        """Send the INVITE; raises ``pj.Error`` when the library refuses."""
        prm = pj.CallOpParam(True)
        prm.opt.customCallId = order.sip_call_id
        prm.txOption.localUri = one_line(order.from_header)
        _add_headers(prm, order.headers)
        self.may_refer = order.may_refer
        self.makeCall(one_line(mark(order.uri)), prm)

    def inherit(self, old: "PjLeg") -> None:
        """Be the leg that another dialog was until now."""
        self._inherited = self._answered = True
        self.may_refer = old.may_refer
        old.ended = old._replaced = True
        old._referring = False

    def respond(self, status: int, headers: Headers = ()) -> None:
        """Send a provisional or final response to the INVITE (180 without SDP, 183 and 200 with)."""
        prm = pj.CallOpParam()
        prm.statusCode = status
        _add_headers(prm, headers)
        self._guarded(lambda: self.answer(prm))

    def end(self, status: int, headers: Headers) -> None:
        """Final response, CANCEL or BYE, whichever applies; once."""
        if self._hung_up or self.ended:
            return
        if self.incoming and self._answered and not self._confirmed:
            # RFC 3261 §15: the callee's UA must not send a BYE before the ACK for its 200 has come.
            self._end_due = (status, headers)
            return
        self._hung_up = True
        prm = pj.CallOpParam()
        if self.incoming and not self._answered:
            prm.statusCode = status
        _add_headers(prm, headers)
        self._guarded(lambda: self.hangup(prm))

    @staticmethod
    def _has_audio(info: pj.CallInfo) -> bool:
        """Audio was agreed on, be it on hold."""
        none = (pj.PJSUA_CALL_MEDIA_NONE, pj.PJSUA_CALL_MEDIA_ERROR)
        media = info.media
        return any(each.type == pj.PJMEDIA_TYPE_AUDIO and each.status not in none for each in media)

    def _is_encrypted(self, index: int) -> bool:
        try:
            return bool(self.getStreamInfo(index).proto & pj.PJMEDIA_TP_PROFILE_SRTP)
        except pj.Error:
            return True  # there is no stream

    def end_if_due(self) -> None:
        """Do the hangup that had to wait for the ACK, or that insecure media ask for."""
        if self._clear and not self._hung_up:
            log.warning("media are not encrypted", extra={"leg_id": self.leg})
            self.end(488, ())
        if self._unusable:
            self.end(488, ())  # the library does it by itself, but when it pleases
        if self._end_due is not None and self._confirmed:
            due, self._end_due = self._end_due, None
            self.end(*due)

    def send_keys(self, digits: str) -> None:
        """RFC 4733, or INFO when the peer has not offered telephone-event."""
        prm = pj.CallSendDtmfParam()
        prm.digits = digits
        prm.method = pj.PJSUA_DTMF_METHOD_RFC2833
        try:
            self.sendDtmf(prm)
        except pj.Error as error:
            if error.status != _NO_TELEPHONE_EVENT:
                raise
            prm.method = pj.PJSUA_DTMF_METHOD_SIP_INFO
            self._guarded(lambda: self.sendDtmf(prm))

    def refer(self, order: ReferLeg) -> None:
        """Ask the peer to call somebody else."""
        prm = pj.CallOpParam(True)
        _add_headers(prm, order.headers)
        try:
            self.xfer(one_line(order.refer_to), prm)
        except pj.Error as error:
            log.info("could not refer", extra={"leg_id": self.leg, "status": error.status})
            self._progress(500, by_notify=False, final=True)

    def _progress(self, status: int, *, by_notify: bool, final: bool) -> None:
        at = time.monotonic()
        self.sink.post(ReferProgress(leg=self.leg, at=at, status=status, by_notify=by_notify, final=final))

    @property
    def sends_tones(self) -> bool:
        """Keys of this peer can be had from its audio only, as far as is known."""
        return not (self.ended or self._has_telephone_event or self._dtmf_method is not None)

    def tone_heard(self, digit: str) -> None:
        """A key was heard in the audio."""
        if self.sends_tones:
            self._last_tone = (digit, time.monotonic())
            self.sink.post(DtmfReceived(leg=self.leg, at=time.monotonic(), digit=digit, method="inband"))

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except pj.Error as error:
            if error.status != _SESSION_TERMINATED:
                raise

    # -- is it mine? --------------------------------------------------------------------------------

    @property
    def has_slot(self) -> bool:
        """The slot is still this leg's: what is done to the leg is done to whoever has its slot."""
        return self._own_info() is not None

    def _own_info(self) -> pj.CallInfo | None:
        """What the library knows of the slot's call, if that is this leg."""
        try:
            info = self.getInfo()
        except pj.Error:  # nobody has the slot
            return None
        return info if self._dialog.is_called(info.callIdString) else None

    def _take_request(self, method: str) -> bytes | None:
        """The request that a callback is about; None if it came in another dialog."""
        request, self._request = self._request, None
        return request if request is not None and request.startswith(method.encode() + b" ") else None

    # -- callbacks ----------------------------------------------------------------------------------

    @callback
    def onCallState(self, prm: pj.OnCallStateParam) -> None:  # noqa: D102
        info = self._own_info()
        if info is None:
            return
        if info.state == pj.PJSIP_INV_STATE_EARLY and not self.incoming:
            if info.lastStatusCode > 100:
                message = received(prm.e)
                has_sdp = message is not None and b"\r\n\r\nv=0" in message
                self.early = self.early or has_sdp
                self.sink.post(
                    LegProgress(
                        leg=self.leg,
                        at=time.monotonic(),
                        status=info.lastStatusCode,
                        early_media=has_sdp,
                    )
                )
        elif info.state == pj.PJSIP_INV_STATE_CONNECTING:
            self._answered, self.early = True, False
            if not self.incoming:
                self._answer = received_headers(prm.e)  # what it describes is looked at next
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            self._confirmed = True
            if self.incoming and not self._inherited:
                self.sink.post(LegConfirmed(leg=self.leg, at=time.monotonic()))
            elif not self.incoming and (self._hung_up or self._has_audio(info)):
                self.sink.post(LegAnswered(leg=self.leg, at=time.monotonic(), headers=self._answer))
            elif not self.incoming:
                self._unusable = True
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self._disconnected(prm, info)

    def _disconnected(self, prm: pj.OnCallStateParam, info: pj.CallInfo) -> None:
        if self._replaced:
            self.sink.replaced_gone(self)
        if self.ended:
            return
        self.ended = True
        if self._media.received:
            self.sink.post(self._media.measured(self.leg))
        cause, code = self._end_cause(prm, info)
        headers: Headers = ()
        reason = info.lastReason
        # What ends the INVITE after a CANCEL is our 487: the library tells it without the CANCEL.
        message = received(prm.e) or (None if self._answered else self._cancel)
        if cause == "peer" and message is not None:
            parsed = read_message(message)
            headers = shown(parsed)
            if isinstance(parsed, Response) and parsed.status // 100 == 3:
                # The library, which was told not to follow, says 487 instead.
                code, reason = parsed.status, parsed.reason
        reason = next((v for n, v in headers if n.lower() == "reason"), reason)
        self.sink.post(
            LegEnded(
                leg=self.leg, at=time.monotonic(), cause=cause, sip_code=code, reason=reason, headers=headers
            )
        )

    def _end_cause(self, prm: pj.OnCallStateParam, info: pj.CallInfo) -> tuple[EndCause, int]:
        """Who ended it. ``lastStatusCode`` is the library's guess when we did (487, 200 or 603)."""
        code = int(info.lastStatusCode)
        never_bridged = not (self.incoming or self._confirmed or self._hung_up)
        if self._unusable or (self._answered and never_bridged):
            return "peer", 488
        if self._hung_up:
            return "local", code
        if prm.e.type == pj.PJSIP_EVENT_TSX_STATE:
            source = prm.e.body.tsxState.type
            if source == pj.PJSIP_EVENT_TIMER:
                return "timeout", 408
            if source == pj.PJSIP_EVENT_TRANSPORT_ERROR:
                return "unreachable", 503
        return "peer", code

    @callback
    def onCallMediaState(self, prm: pj.OnCallMediaStateParam) -> None:  # noqa: D102
        info = self._own_info()  # to be held: its parts die with it
        if self._replaced or info is None:
            return
        media = info.media
        active = held = False
        for i in range(media.size()):
            stream = media[i]
            if stream.type == pj.PJMEDIA_TYPE_AUDIO:
                self._has_telephone_event = self._negotiated_telephone_event(i)
                held = held or stream.status == pj.PJSUA_CALL_MEDIA_REMOTE_HOLD
                active = active or stream.status == pj.PJSUA_CALL_MEDIA_ACTIVE
                if self.must_encrypt and not self._is_encrypted(stream.index):
                    self._clear = True
        self.sink.media_changed(self.leg)
        self.sink.post(MediaChanged(leg=self.leg, at=time.monotonic(), active=active, held_by_peer=held))

    def _negotiated_telephone_event(self, stream: int) -> bool:
        try:
            return int(self.getStreamInfo(stream).audTxEventPt) >= 0
        except pj.Error:  # it is held, and has no stream: what was agreed on before holds
            return self._has_telephone_event

    @callback
    def onDtmfDigit(self, prm: pj.OnDtmfDigitParam) -> None:  # noqa: D102
        # A peer that sends RFC 4733 and INFO for one key is heard in the way it used first.
        info = prm.method == pj.PJSUA_DTMF_METHOD_SIP_INFO
        if info and self._take_request("INFO") is None:
            return
        if self._dtmf_method is None:
            self._dtmf_method = prm.method
            digit, at = self._last_tone
            if digit == prm.digit and time.monotonic() - at < _SAME_KEY_S:
                return  # the peer does both, and the tone was quicker
        if prm.method == self._dtmf_method and not self.ended:
            self.sink.post(
                DtmfReceived(
                    leg=self.leg, at=time.monotonic(), digit=prm.digit, method="info" if info else "rfc4733"
                )
            )

    @callback
    def onStreamDestroyed(self, prm: pj.OnStreamDestroyedParam) -> None:  # noqa: D102
        # Once for each negotiation, the last time before DISCONNECTED; after that the numbers are gone.
        if not self.has_slot:
            return
        with contextlib.suppress(pj.Error):  # not audio, or gone already
            came = self.getStreamStat(prm.streamIdx).rtcp.rxStat
            self._media.add(int(came.pkt), int(came.loss), came.jitterUsec.mean / 1000)

    @callback
    def onCallTransferRequest(self, prm: pj.OnCallTransferRequestParam) -> None:  # noqa: D102
        # Not overridden means accepted, and a call to wherever the peer says (toll fraud).
        prm.statusCode = 603
        message = self._take_request("REFER")
        if message is None or self.ended:
            return
        try:
            request = read_message(message)
            if not self.sink.is_from_edge(request):
                return
            referred = _referred(self.leg, request, accepted=self.may_refer and self._answered)
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
        notified = self._take_request("NOTIFY") is not None
        if notified and self._referring and prm.statusCode > 100:
            self._progress(prm.statusCode, by_notify=True, final=prm.finalNotify)

    @callback
    def onCallTsxState(self, prm: pj.OnCallTsxStateParam) -> None:  # noqa: D102
        state = prm.e.body.tsxState
        sent = state.tsx.role == pj.PJSIP_ROLE_UAC
        match state.tsx.method, state.tsx.state:
            case "CANCEL", pj.PJSIP_TSX_STATE_CALLING if sent and not self._hung_up:
                # The library gives up because of a 183.
                self._unusable = self._unusable or self._dialog.made(prm.e)
            case "CANCEL", pj.PJSIP_TSX_STATE_TRYING if not sent and self._dialog.made(prm.e):
                self._cancel = received(prm.e)
            case "REFER", pj.PJSIP_TSX_STATE_COMPLETED if sent and self._dialog.made(prm.e):
                self._referring = state.tsx.statusCode < 300
                self._progress(state.tsx.statusCode, by_notify=False, final=not self._referring)
            case "NOTIFY", pj.PJSIP_TSX_STATE_COMPLETED if sent and self._dialog.made(prm.e):
                if ends_subscription(state.tsx.lastTx.wholeMsg):
                    self.sink.last_notify_answered(self.leg)
            case "REFER" | "NOTIFY" | "INFO" | "MESSAGE" as method, pj.PJSIP_TSX_STATE_TRYING if not sent:
                # The callback for what it says, which comes next, is not given the message.
                self._request = received(prm.e) if self._dialog.made(prm.e) else None
                if self._request is None and method != "NOTIFY":  # of which the subscription takes care
                    decline_late(prm.e)

    @callback
    def onCallReplaceRequest(self, prm: pj.OnCallReplaceRequestParam) -> None:  # noqa: D102
        # RFC 3891 §3: what rings is not to be had, what has ended is declined. Who may ask is the edge's.
        prm.statusCode = 481
        invite = read_message(prm.rdata.wholeMsg.encode("utf-8", "surrogateescape"))
        if not self.sink.is_from_edge(invite):
            prm.statusCode = 403
        elif self._dialog.is_replaced_by(invite):
            over = self._hung_up or self.ended
            prm.statusCode = 603 if over else 200 if self._confirmed else 481
            self._heir_invite = invite

    @callback
    def onCallReplaced(self, prm: pj.OnCallReplacedParam) -> None:  # noqa: D102
        assert self._heir_invite is not None
        prm.newCall = self.sink.replaced(self, prm.newCallId, self._heir_invite)


def _unheard(self: PjLeg, prm: Any) -> None:
    """Nothing to do; and the library's own default does nothing either."""


# The wrapper calls each of these through Python whether or not it is overridden, and its own version goes
# back into C++ to do nothing: with all of a call's events that is half a millisecond.
for _name in (
    "onCallMediaTransportState",
    "onCallMediaEvent",
    "onCallSdpCreated",
    "onCreateMediaTransport",
    "onDtmfEvent",
    "onStreamPreCreate",
    "onStreamCreated",
):
    setattr(PjLeg, _name, _unheard)


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
