"""A transfer that a callee requests by REFER and the application decides: from 202 to the last NOTIFY.

The *transferor* is the callee that sent REFER, the *transferee* the caller it talks to. The fetched document
runs on the transferee's leg and determines the target. This machine decides which NOTIFYs the transferor gets
and when its leg may end. It must not know how documents or Dials run: it returns orders for them, and their
owner reports the results.

::

    fetching ──fetched──> over                    the transferor is hung up at once
        │  └────fetched, keep──> trying ──target answers or fails; a party leaves──> over
        └──not fetched, the transferee leaves──> over

*keep*: the transferor is parked until the target has answered, and is bridged again if the target fails. If
the transferor hangs up by itself (many phones send BYE as soon as they have the 202), nothing changes for the
transferee: the document runs.

The worker declines a second REFER during the first: there can be only one subscription to notify.
Sources: RFC 3515 §2.4, RFC 4488 (no subscription), RFC 5589 §6 and §7.
"""

from enum import StrEnum

import msgspec

from b2bua.core.commands import NotifyTransfer
from b2bua.core.events import LegReferred
from b2bua.core.unexpected import UnexpectedEvents

__all__ = [
    "TRANSITIONS",
    "DocumentEnded",
    "FetchReferDocument",
    "FinishDial",
    "GoOn",
    "ParkDial",
    "ReferDocument",
    "RejoinDial",
    "RunDocument",
    "TargetAnswered",
    "TargetFailed",
    "TargetRang",
    "Transfer",
    "TransferEvent",
    "TransferOrder",
    "TransferState",
    "TransfereeLeft",
    "TransferorLeft",
]

TRANSFER_LIMIT_S = 720.0
"""How long a transferor may be kept, in seconds. Any Dial rings and screens for less: only a document that
talks with the transferee instead of dialling reaches this limit."""

_RINGING = 180
_DONE = 200
_TIMED_OUT = 408
_CALLER_GONE = 487
_NOT_FETCHED = 503


class TransferState(StrEnum):
    """What the transfer is waiting for."""

    FETCHING = "fetching"
    """The document."""
    TRYING = "trying"
    """The target, with the transferor parked."""
    OVER = "over"


# --- events ---


class _Fact(msgspec.Struct, frozen=True, kw_only=True):
    pass


class ReferDocument(_Fact, frozen=True, kw_only=True):
    """The document has arrived, or none is available."""

    fetched: bool
    keep: bool = False
    """The transferor waits until the target has answered."""


class TargetRang(_Fact, frozen=True, kw_only=True):
    """A target of the document's Dial rings."""


class TargetAnswered(_Fact, frozen=True, kw_only=True):
    """The transferee is bridged with a target."""


class TargetFailed(_Fact, frozen=True, kw_only=True):
    """The document's Dial has failed."""

    sip_code: int
    """300..699."""


class DocumentEnded(_Fact, frozen=True, kw_only=True):
    """The document hangs up the transferee without a target."""


class TransferorLeft(_Fact, frozen=True, kw_only=True):
    """The old Dial has ended, by BYE, its time limit or any other cause."""


class TransfereeLeft(_Fact, frozen=True, kw_only=True):
    """The transferee has ended, or has been redirected from outside the document."""


class _LimitReached(_Fact, frozen=True, kw_only=True):
    pass


TransferEvent = (
    ReferDocument
    | TargetRang
    | TargetAnswered
    | TargetFailed
    | DocumentEnded
    | TransferorLeft
    | TransfereeLeft
)

# --- orders ---


class FetchReferDocument(_Fact, frozen=True, kw_only=True):
    """Request the document from the web application; ``ReferDocument`` follows in any case."""

    referred: LegReferred


class ParkDial(_Fact, frozen=True, kw_only=True):
    """Separate the bridged parties; both legs stay up."""


class RejoinDial(_Fact, frozen=True, kw_only=True):
    """Drop the fetched document and what it dials, and bridge the two parties again."""


class FinishDial(_Fact, frozen=True, kw_only=True):
    """Hang up the transferor. Its Dial is over, and the Dial's ``action`` is not requested."""


class RunDocument(_Fact, frozen=True, kw_only=True):
    """Run the fetched document on the transferee, instead of the document with the old Dial."""


class GoOn(_Fact, frozen=True, kw_only=True):
    """Treat the old Dial as ended normally: the transferor has gone and there is no document to run."""


TransferOrder = NotifyTransfer | FetchReferDocument | ParkDial | RejoinDial | FinishDial | RunDocument | GoOn

_FETCHING, _TRYING = TransferState.FETCHING, TransferState.TRYING
Handler = str
"""Name of the method that handles the event."""

TRANSITIONS: dict[tuple[TransferState, type[TransferEvent | _LimitReached]], Handler] = {
    (_FETCHING, ReferDocument): "_on_document",
    (_FETCHING, TransferorLeft): "_on_transferor_left",
    (_FETCHING, TransfereeLeft): "_on_transferee_left",
    (_FETCHING, DocumentEnded): "_on_transferee_left",
    (_FETCHING, _LimitReached): "_on_no_document",
    (_TRYING, TargetRang): "_on_target_rang",
    (_TRYING, TargetAnswered): "_on_success",
    (_TRYING, TargetFailed): "_on_target_failed",
    (_TRYING, DocumentEnded): "_on_success",
    (_TRYING, TransferorLeft): "_on_transferor_left_alone",
    (_TRYING, TransfereeLeft): "_on_transferee_left",
    (_TRYING, _LimitReached): "_on_limit",
}
"""The handler for each state and event; any other event is counted and changes nothing."""


class Transfer:
    """One transfer, from the accepted REFER until it is over.

    Args:
        referred: the REFER.
        now: monotonic seconds.
    """

    def __init__(self, referred: LegReferred, now: float) -> None:
        self.referred = referred
        self.state = TransferState.FETCHING
        self.unexpected = UnexpectedEvents("transfer")
        """Events that are not legal in the state they arrived in, as ``state EventName``."""
        self._transferor_gone = False
        self._rang = False
        self._limit_at = now + TRANSFER_LIMIT_S

    @property
    def over(self) -> bool:
        """Whether the transfer is over."""
        return self.state is TransferState.OVER

    @property
    def fetching(self) -> bool:
        """Whether the document has not arrived yet."""
        return self.state is TransferState.FETCHING

    def start(self) -> list[TransferOrder]:
        """Order the document. The worker has already sent 202 and NOTIFY 100."""
        return [FetchReferDocument(referred=self.referred)]

    def handle(self, event: TransferEvent) -> list[TransferOrder]:
        """Handle an event of the document, the target, or one of the two parties."""
        return self._dispatch(event)

    def next_deadline(self) -> float | None:
        """Return when ``tick`` has something to do, in monotonic seconds; None when the transfer is over."""
        return None if self.over else self._limit_at

    def tick(self, now: float) -> list[TransferOrder]:
        """End the transfer if its limit has passed."""
        return [] if self.over or now < self._limit_at else self._dispatch(_LimitReached())

    def _dispatch(self, event: TransferEvent | _LimitReached) -> list[TransferOrder]:
        handler = TRANSITIONS.get((self.state, type(event)))
        if handler is None:
            self.unexpected.note(f"{self.state} {type(event).__name__}")
            return []
        orders: list[TransferOrder] = getattr(self, handler)(event)
        return orders

    # --- fetching ---

    def _on_document(self, event: ReferDocument) -> list[TransferOrder]:
        if not event.fetched:
            return self._on_no_document(event)
        if self._transferor_gone:
            return [*self._finish(_DONE), RunDocument()]
        if event.keep:
            self.state = TransferState.TRYING
            return [ParkDial(), RunDocument()]
        # RFC 5589 §6.1: the transferor learns of the success before its call ends.
        return [*self._finish(_DONE), FinishDial(), RunDocument()]

    def _on_no_document(self, event: TransferEvent | _LimitReached) -> list[TransferOrder]:
        outputs = self._finish(_NOT_FETCHED)
        return [*outputs, GoOn()] if self._transferor_gone else outputs

    def _on_transferor_left(self, event: TransferorLeft) -> list[TransferOrder]:
        self._transferor_gone = True
        return []

    # --- trying ---

    def _on_target_rang(self, event: TargetRang) -> list[TransferOrder]:
        if self._rang:
            return []
        self._rang = True
        return self._notify(_RINGING)

    def _on_success(self, event: TargetAnswered | DocumentEnded) -> list[TransferOrder]:
        return [*self._finish(_DONE), FinishDial()]

    def _on_target_failed(self, event: TargetFailed) -> list[TransferOrder]:
        return [*self._finish(event.sip_code), RejoinDial()]

    def _on_limit(self, event: _LimitReached) -> list[TransferOrder]:
        return [*self._finish(_TIMED_OUT), RejoinDial()]

    def _on_transferor_left_alone(self, event: TransferorLeft) -> list[TransferOrder]:
        """Finish: no party is left to bridge again, and the document runs on like any other."""
        self._transferor_gone = True
        return self._finish(_DONE)

    # --- any ---

    def _on_transferee_left(self, event: TransfereeLeft | DocumentEnded) -> list[TransferOrder]:
        """Finish. The old Dial gets the same event afterwards and hangs up the transferor."""
        outputs = self._finish(_CALLER_GONE)
        return [*outputs, GoOn()] if self._transferor_gone else outputs

    def _finish(self, sip_code: int) -> list[TransferOrder]:
        self.state = TransferState.OVER
        return self._notify(sip_code)

    def _notify(self, sip_code: int) -> list[TransferOrder]:
        # The subscription outlives the call: after BYE the transferor still gets NOTIFY (RFC 3515 §2.4.6).
        if self.referred.quiet:
            return []
        return [NotifyTransfer(leg=self.referred.leg, sip_code=sip_code)]
