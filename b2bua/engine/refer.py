"""Transfers as pjsua2 does them: taking a REFER without calling whom it names, and sending one.

The library takes a REFER (202, NOTIFY 100) only together with a call to the target, which it places itself
and at once, and reports in NOTIFYs how that call goes. So that call is routed to a server of our own on
loopback (``sip.transfer_sink``), by way of the account's route set; it is answered as the transfer goes, and
the transferor is told just that (docs/adr/0004). It takes one of the library's slots until the last NOTIFY.

That NOTIFY leaves when the library sees the answer, so a BYE that is ordered right after it would be there
first: it waits until the transferor has answered the NOTIFY, or has had the time to.

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
"""So long may a transferor take to answer its last NOTIFY: two repetitions (RFC 3261 §17.1.2.2)."""


class _TransferCall(pj.Call):  # type: ignore[misc]
    """The library's call to the target, which goes to our sink: of interest for its end only."""

    def __init__(
        self, account: pj.Account, referred: LegReferred, tell: Callable[[bool], None], sink: LegSink
    ) -> None:
        super().__init__(account)
        self.referred = referred
        self.sink = sink
        self._tell = tell

    @callback
    def onCallState(self, prm: pj.OnCallStateParam) -> None:
        state = self.getInfo().state
        if state in (pj.PJSIP_INV_STATE_CONFIRMED, pj.PJSIP_INV_STATE_DISCONNECTED):
            self._tell(state == pj.PJSIP_INV_STATE_DISCONNECTED)

    @callback
    def onCallTsxState(self, prm: pj.OnCallTsxStateParam) -> None:
        tsx = prm.e.body.tsxState.tsx
        if tsx.role == pj.PJSIP_ROLE_UAS and tsx.state == pj.PJSIP_TSX_STATE_TRYING:
            if tsx.method in ("REFER", "INFO", "MESSAGE"):
                decline_late(prm.e)  # our sink sends no requests


@dataclass(slots=True)
class _LastWord:
    """The last NOTIFY to a transferor, from its order until it was answered."""

    until: float
    """When that no longer matters; monotonic seconds."""
    goodbye: HangupLeg | None = None
    """What comes after it."""


class Transferors:
    """The REFERs that were taken, and have not had their last NOTIFY."""

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
        """Whose call may be ended; not within the library's callback."""
        self._last_words: dict[LegId, _LastWord] = {}
        self._new: list[LegId] = []
        self._routed: list[pj.Account] = []
        """Accounts whose calls go to the sink; only while a REFER is being taken."""

    def fileno(self) -> int:
        """For ``select``."""
        return self._socket.fileno()

    @property
    def busy(self) -> bool:
        """Somebody waits for a NOTIFY, its call is not gone yet, or it is to be hung up on."""
        return bool(self._transfer_calls) or any(word.goodbye for word in self._last_words.values())

    def knows(self, leg: LegId) -> bool:
        """A transfer that this leg has asked for is under way."""
        return leg in self._transfer_calls

    def take(self, referred: LegReferred, account: pj.Account) -> pj.Call | None:
        """Within the callback for a REFER: the call that the library is to place; None: there is no slot.

        That it was taken is told when the call is there.
        """
        leg = referred.leg
        if self._library.call_count() >= self._library.capacity or leg in self._transfer_calls:
            return None
        route = f"<sip:{leg}@127.0.0.1:{self._port};lr>"
        self._library.route(account, route)
        self._routed.append(account)
        call = _TransferCall(account, referred, functools.partial(self._call_changed, leg), self._faults)
        self._transfer_calls[leg] = call
        self._new.append(leg)
        return call

    def _call_changed(self, leg: LegId, gone: bool) -> None:
        """A call was answered, which means that the transferor has had its last NOTIFY; or it is gone."""
        if gone:
            # Now and not in ``step``: its slot may be another's by then, whom the wrapper would hang up.
            self._transfer_calls.pop(leg, None)
            self._sink.forget(str(leg))
        else:
            self._over.append(leg)

    def notify(self, leg: LegId, status: int) -> None:
        """Tell the transferor how it goes (``commands.NotifyTransfer``)."""
        if leg in self._transfer_calls:
            if status >= 200:
                self._last_words[leg] = _LastWord(time.monotonic() + _LAST_WORD_S)
            self._send(self._sink.answer(str(leg), status))

    def notify_answered(self, leg: LegId) -> None:
        """Within a callback: a transferor has answered its last NOTIFY."""
        if leg in self._last_words:
            self._last_words[leg].until = 0.0

    def holds_back(self, order: HangupLeg) -> bool:
        """Whether the order waits, because the transferor is to learn of the success before its call ends
        (RFC 5589 §6.1); ``step`` gives it back."""
        word = self._last_words.get(order.leg)
        if word is None or word.until <= time.monotonic():
            return False
        word.goodbye = word.goodbye or order
        return True

    def leg_ended(self, leg: LegId) -> None:
        """There is nobody left to hang up on."""
        self._last_words.pop(leg, None)

    def step(self) -> list[HangupLeg]:
        """After the library's events: its calls answered, the account's routes put back, ends seen to.

        Returns:
            What was held back, and is due.
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
        """Answer what has come to our sink."""
        while True:
            try:
                data, source = self._socket.recvfrom(_MAX_DATAGRAM)
            except BlockingIOError:
                return
            self._send(self._sink.handle(data, source))

    def stop_all(self) -> None:
        """The session is over: whoever still waits is told that nothing came of it."""
        for leg in list(self._transfer_calls):
            self.notify(leg, 487)
        self._last_words.clear()

    def _see(self, leg: LegId) -> None:
        call = self._transfer_calls.get(leg)
        if call is None:
            return
        if call.getId() != pj.INVALID_ID:
            self._faults.post(call.referred)
            return
        # A target that the library does not call (a URI with a method): it has said so in a last NOTIFY.
        log.info("a target that cannot be called", extra={"leg_id": leg})
        del self._transfer_calls[leg]
        self._sink.forget(str(leg))

    def _end(self, leg: LegId) -> None:
        if (call := self._transfer_calls.get(leg)) is not None:
            call.hangup(pj.CallOpParam())  # whose callback says that it is gone

    def _send(self, datagrams: Datagrams) -> None:
        for data, to in datagrams:
            self._socket.sendto(data, to)


def _unheard(self: _TransferCall, prm: Any) -> None:
    """Nothing to do."""


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
