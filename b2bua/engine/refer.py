"""Accepts a REFER in pjsua2 without calling the target that it names.

The library accepts a REFER (202, NOTIFY 100) only by placing a call to the target itself, at once, and
reports that call's progress in NOTIFYs. So the account's route set sends that call to a server of our own on
loopback (``sip.transfer_sink``), which answers it with the progress of the real transfer; the library then
reports exactly that to the transferor (docs/adr/0004). The call takes one of the library's slots until the
last NOTIFY.

The last NOTIFY is sent only when the library sees the answer, so a BYE ordered right after it would overtake
it: the BYE waits until the transferor has answered the NOTIFY, or has had time to.

Thread: the SIP thread.
"""

import functools
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pjsua2 as pj

from b2bua.core.commands import HangupLeg
from b2bua.core.events import LegReferred
from b2bua.core.ids import LegId
from b2bua.engine.callbacks import LegSink, callback
from b2bua.engine.dialog import decline_late
from b2bua.engine.endpoint import Library
from b2bua.sip.transfer_sink import Datagrams, TransferSink

__all__ = ["Transferors"]

log = logging.getLogger(__name__)

_MAX_DATAGRAM = 65_535
_LAST_WORD_S: Final = 2.0
"""Time for a transferor to answer its last NOTIFY: two retransmissions (RFC 3261 §17.1.2.2)."""


class _TransferCall(pj.Call):  # type: ignore[misc]
    """The library's call to the target, which goes to our sink; only its answer and end matter."""

    def __init__(
        self, account: pj.Account, referred: LegReferred, on_state: Callable[[bool], None], sink: LegSink
    ) -> None:
        super().__init__(account)
        self.referred = referred
        self.sink = sink
        self._on_state = on_state
        self.call_id = ""
        """As the library shows it; empty until ``_see``."""

    def shown_call_id(self) -> str:
        """Return the Call-ID of the call in this call's slot; empty if the slot is free."""
        try:
            return str(self.getInfo().callIdString)
        except pj.Error:
            return ""

    @property
    def has_slot(self) -> bool:
        """Whether the slot is still this call's; if not, an action on the call would hit another one."""
        return self.call_id != "" and self.shown_call_id() == self.call_id

    @callback
    def onCallState(self, prm: pj.OnCallStateParam) -> None:
        state = self.getInfo().state
        if state in (pj.PJSIP_INV_STATE_CONFIRMED, pj.PJSIP_INV_STATE_DISCONNECTED):
            self._on_state(state == pj.PJSIP_INV_STATE_DISCONNECTED)

    @callback
    def onCallTsxState(self, prm: pj.OnCallTsxStateParam) -> None:
        tsx = prm.e.body.tsxState.tsx
        if tsx.role == pj.PJSIP_ROLE_UAS and tsx.state == pj.PJSIP_TSX_STATE_TRYING:
            if tsx.method in ("REFER", "INFO", "MESSAGE"):
                decline_late(prm.e)  # our sink sends no requests


@dataclass(slots=True)
class _LastWord:
    """The last NOTIFY to a transferor, from the order to send it until its answer."""

    until: float
    """When to stop waiting for the answer; monotonic seconds."""
    goodbye: HangupLeg | None = None
    """The hangup to carry out after it."""


class Transferors:
    """The accepted REFERs whose last NOTIFY has not been sent."""

    def __init__(self, library: Library, sink: LegSink) -> None:
        self._library = library
        self._faults = sink
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._port = int(self._socket.getsockname()[1])
        self._sink = TransferSink(f"sip:sink@127.0.0.1:{self._port}")
        self._transfer_calls: dict[LegId, _TransferCall] = {}
        self._over: list[LegId] = []
        """Legs whose transfer call may be ended, which must not happen inside the library's callback."""
        self._last_words: dict[LegId, _LastWord] = {}
        self._new: list[LegId] = []
        self._routed: list[pj.Account] = []
        """Accounts whose calls go to the sink; only while a REFER is being accepted."""

    def fileno(self) -> int:
        """Return the socket's descriptor for ``select``."""
        return self._socket.fileno()

    @property
    def busy(self) -> bool:
        """Whether a transferor awaits a NOTIFY, its transfer call is not gone yet, or its hangup waits."""
        return bool(self._transfer_calls) or any(word.goodbye for word in self._last_words.values())

    def take(self, referred: LegReferred, account: pj.Account) -> pj.Call | int:
        """Return the call that the library is to place for a REFER, inside its callback.

        Or the status that refuses it: a transfer of this leg is in progress, or no slot is free. The REFER is
        reported once the call exists.
        """
        leg = referred.leg
        if leg in self._transfer_calls:
            return 491
        if self._library.call_count() >= self._library.capacity:
            return 503
        route = f"<sip:{leg}@127.0.0.1:{self._port};lr>"
        self._library.route(account, route)
        self._routed.append(account)
        call = _TransferCall(account, referred, functools.partial(self._call_changed, leg), self._faults)
        self._transfer_calls[leg] = call
        self._new.append(leg)
        return call

    def _call_changed(self, leg: LegId, gone: bool) -> None:
        """A transfer call was answered, so the last NOTIFY has been sent to the transferor; or it is gone."""
        if gone:
            # Now, not in ``step``: by then the slot may be another call's, which the wrapper would hang up.
            self._transfer_calls.pop(leg, None)
            self._sink.forget(str(leg))
        else:
            self._over.append(leg)

    def notify(self, leg: LegId, status: int) -> None:
        """Report the transfer's progress to the transferor (``commands.NotifyTransfer``)."""
        if leg in self._transfer_calls:
            if status >= 200:
                self._last_words[leg] = _LastWord(time.monotonic() + _LAST_WORD_S)
            self._send(self._sink.answer(str(leg), status))

    def notify_answered(self, leg: LegId) -> None:
        """A transferor has answered its last NOTIFY; called inside a callback."""
        if leg in self._last_words:
            self._last_words[leg].until = 0.0

    def holds_back(self, order: HangupLeg) -> bool:
        """Hold a hangup back until the transferor has learnt of the success (RFC 5589 §6.1).

        Returns whether the order waits; if so, ``step`` returns it later.
        """
        word = self._last_words.get(order.leg)
        if word is None or word.until <= time.monotonic():
            return False
        word.goodbye = word.goodbye or order
        return True

    def leg_ended(self, leg: LegId) -> None:
        """Drop the hangup held back for a leg that has ended."""
        self._last_words.pop(leg, None)

    def step(self) -> list[HangupLeg]:
        """Restore routes, report new transfers, answer and end transfer calls; call after library events.

        Returns:
            The hangups that were held back and are now due.
        """
        while self._routed:
            self._library.route(self._routed.pop(), None)
        new, self._new = self._new, []
        for leg in new:
            self._see(leg)
        self.receive()
        over, self._over = self._over, []
        for leg in over:
            self._end(leg)
        now = time.monotonic()
        due = [leg for leg, word in self._last_words.items() if word.until <= now]
        goodbyes = [self._last_words.pop(leg).goodbye for leg in due]
        return [goodbye for goodbye in goodbyes if goodbye is not None]

    def receive(self) -> None:
        """Answer the datagrams that have arrived at our sink."""
        while True:
            try:
                data, source = self._socket.recvfrom(_MAX_DATAGRAM)
            except BlockingIOError:
                return
            self._send(self._sink.receive(data, source))

    def stop_all(self) -> None:
        """Report failure to the transferors that still wait: the session is over."""
        for leg in list(self._transfer_calls):
            self.notify(leg, 487)
        self._last_words.clear()

    def reap(self) -> bool:
        """Drop the transfer calls whose DISCONNECTED never arrived; see ``LegRegistry.reap``.

        Returns:
            Whether there were any.
        """
        calls = [(leg, call) for leg, call in self._transfer_calls.items() if leg not in self._new]
        lost = [(leg, call) for leg, call in calls if not (call.isActive() and call.has_slot)]
        for leg, call in lost:
            log.warning("ended a transfer call whose end the library had not reported", extra={"leg_id": leg})
            if not call.has_slot:
                call.__disown__()  # deleting it would hang up the call that has the slot now
            self._call_changed(leg, gone=True)
        return bool(lost)

    def _see(self, leg: LegId) -> None:
        call = self._transfer_calls.get(leg)
        if call is None:
            return
        if call.getId() != pj.INVALID_ID:
            call.call_id = call.shown_call_id()
            self._faults.post(call.referred)
            return
        # The library does not call such a target (a URI with a method) and has sent a last NOTIFY saying so.
        log.info("transfer target cannot be called", extra={"leg_id": leg})
        del self._transfer_calls[leg]
        self._sink.forget(str(leg))

    def _end(self, leg: LegId) -> None:
        if (call := self._transfer_calls.get(leg)) is not None:
            call.hangup(pj.CallOpParam())  # the callback reports that the call is gone

    def _send(self, datagrams: Datagrams) -> None:
        for data, to in datagrams:
            self._socket.sendto(data, to)


def _unheard(self: _TransferCall, prm: Any) -> None:
    """Do nothing."""


for _name in (
    "onCallMediaState",
    "onCallMediaTransportState",
    "onCallMediaEvent",
    "onCallSdpCreated",
    "onCreateMediaTransport",
    "onDtmfDigit",
    "onDtmfEvent",
    "onStreamPreCreate",
    "onStreamCreated",
    "onStreamDestroyed",
):
    setattr(_TransferCall, _name, _unheard)
