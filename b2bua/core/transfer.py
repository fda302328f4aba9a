"""A transfer that a callee has asked for by REFER and the application decides: from 202 to the last NOTIFY.

The *transferor* is the callee who sent REFER, the *transferee* the caller it talks to; whom the transferee is
to talk to then is the business of the document that is fetched, which runs on the transferee's leg. Decides
what the transferor is told and when it may go; must never know how documents or Dials are run: it orders them
about, and their owner tells it what has come of that.

::

    fetching ──fetched──> over                    the transferor is let go at once
        │  └────fetched, to be kept──> trying ──target answers, fails; somebody leaves──> over
        └──not fetched, the transferee leaves──> over

*Kept*: the transferor waits, parked, until the target has answered, and is joined again if that fails. A
transferor that has gone by itself (many phones send BYE as soon as they have the 202) changes nothing for
the transferee: the document runs.

A second REFER during the first is the worker's to decline: there can be one subscription to report to.
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
"""How long a transferor may be kept. Longer than any Dial rings and screens: only a document that talks with
the transferee instead of dialling comes to it."""

_RINGING = 180
_DONE = 200
_TIMED_OUT = 408
_CALLER_GONE = 487
_NOT_FETCHED = 503


class TransferState(StrEnum):
    """What it is waiting for."""

    FETCHING = "fetching"
    """For the document."""
    TRYING = "trying"
    """For the target, with the transferor parked."""
    OVER = "over"


# --- what it is told ---


class _Fact(msgspec.Struct, frozen=True, kw_only=True):
    pass


class ReferDocument(_Fact, frozen=True, kw_only=True):
    """The document has come, or there is none to be had."""

    fetched: bool
    keep: bool = False
    """The transferor is to wait until the target has answered."""


class TargetRang(_Fact, frozen=True, kw_only=True):
    """Somebody rings in the document's Dial."""


class TargetAnswered(_Fact, frozen=True, kw_only=True):
    """The transferee talks to somebody."""


class TargetFailed(_Fact, frozen=True, kw_only=True):
    """The document's Dial has come to nothing."""

    sip_code: int
    """300..699."""


class DocumentEnded(_Fact, frozen=True, kw_only=True):
    """The document hangs up the transferee: it did not want a target."""


class TransferorLeft(_Fact, frozen=True, kw_only=True):
    """The old Dial has ended: BYE, its time limit, or whatever else."""


class TransfereeLeft(_Fact, frozen=True, kw_only=True):
    """The transferee has ended, or is sent elsewhere by somebody above the document."""


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

# --- what it orders ---


class FetchReferDocument(_Fact, frozen=True, kw_only=True):
    """Ask the web application; ``ReferDocument`` answers in any case."""

    referred: LegReferred


class ParkDial(_Fact, frozen=True, kw_only=True):
    """Take the two who talk apart; both stay."""


class RejoinDial(_Fact, frozen=True, kw_only=True):
    """Drop the fetched document and what it dials; the two talk again."""


class FinishDial(_Fact, frozen=True, kw_only=True):
    """Hang up the transferor. The Dial that it was of is over, and its ``action`` is not requested."""


class RunDocument(_Fact, frozen=True, kw_only=True):
    """Run what was fetched on the transferee, instead of the document that had the Dial."""


class GoOn(_Fact, frozen=True, kw_only=True):
    """The transferor has gone and there is nothing to run: the Dial has ended like any other."""


TransferOrder = NotifyTransfer | FetchReferDocument | ParkDial | RejoinDial | FinishDial | RunDocument | GoOn

_FETCHING, _TRYING = TransferState.FETCHING, TransferState.TRYING
Handler = str
"""Name of the method that takes the event."""

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
"""What is done when; all else is counted and changes nothing."""


class Transfer:
    """One transfer, from the REFER that was accepted until it is over.

    Args:
        referred: the REFER.
        now: monotonic seconds.
    """

    def __init__(self, referred: LegReferred, now: float) -> None:
        self.referred = referred
        self.state = TransferState.FETCHING
        self.unexpected = UnexpectedEvents("transfer")
        """Events that do not belong to the state they came in, as ``state EventName``."""
        self._transferor_gone = False
        self._rang = False
        self._limit_at = now + TRANSFER_LIMIT_S

    @property
    def over(self) -> bool:
        """Nothing more will come of it."""
        return self.state is TransferState.OVER

    @property
    def fetching(self) -> bool:
        """The document has not come yet."""
        return self.state is TransferState.FETCHING

    def start(self) -> list[TransferOrder]:
        """Ask what is to be done. The worker has said 202 and NOTIFY 100 already."""
        return [FetchReferDocument(referred=self.referred)]

    def handle(self, event: TransferEvent) -> list[TransferOrder]:
        """Take what has come of the document, the target, or one of the two."""
        return self._dispatch(event)

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do, in monotonic seconds; None when it is over."""
        return None if self.over else self._limit_at

    def tick(self, now: float) -> list[TransferOrder]:
        """Nobody waits for ever."""
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
        told = self._finish(_NOT_FETCHED)
        return [*told, GoOn()] if self._transferor_gone else told

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
        """Nobody is to be joined any more; the document runs on like any other."""
        self._transferor_gone = True
        return self._finish(_DONE)

    # --- any ---

    def _on_transferee_left(self, event: TransfereeLeft | DocumentEnded) -> list[TransferOrder]:
        """The old Dial sees it too, and hangs up the transferor after this."""
        told = self._finish(_CALLER_GONE)
        return [*told, GoOn()] if self._transferor_gone else told

    def _finish(self, sip_code: int) -> list[TransferOrder]:
        self.state = TransferState.OVER
        return self._notify(sip_code)

    def _notify(self, sip_code: int) -> list[TransferOrder]:
        # Its subscription outlives its call: who has hung up may still want to know (RFC 3515 §2.4.6).
        if self.referred.quiet:
            return []
        return [NotifyTransfer(leg=self.referred.leg, sip_code=sip_code)]
