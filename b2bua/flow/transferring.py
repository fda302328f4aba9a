"""The transfer that a callee has asked for, in the terms of the flow whose caller is handed over.

Turns what the flow sees (Dials that ring, bridge and end) into facts for ``core.transfer``, and keeps
what is needed to go back: the Dial's place in its document. Source: TwiML ``referUrl``.
"""

from typing import Protocol

from b2bua.core.commands import NotifyTransfer
from b2bua.core.dial_report import BranchReport, Bridged
from b2bua.core.errors import PeerError
from b2bua.core.events import LegReferred
from b2bua.core.outcomes import failure_sip_code
from b2bua.core.transfer import (
    FetchReferDocument,
    FinishDial,
    GoOn,
    ParkDial,
    ReferDocument,
    RejoinDial,
    RunDocument,
    TargetAnswered,
    TargetFailed,
    TargetRang,
    Transfer,
    TransferEvent,
    TransferOrder,
)
from b2bua.flow.call_documents import CallDocuments
from b2bua.flow.context import SessionContext
from b2bua.flow.dialing import Callee, Dialing, DialingOutput, DialOver
from b2bua.flow.flow_parts import FlowOutput
from b2bua.flow.parameters import Parameters
from b2bua.sip.values import parse_replaces
from b2bua.twiml import verbs
from b2bua.twiml.parse import ParsedDocument

__all__ = ["Place", "Transferee", "Transferring"]

Place = tuple[tuple[verbs.Verb, ...], int, str]
"""Verbs of a document, which of them is next, and what its addresses resolve against."""


class Transferee(Protocol):
    """The flow of the caller who is handed over, as its transfer needs it."""

    documents: CallDocuments
    dialing: Dialing
    transfer: "Transferring | None"
    takes_over: str

    def run_document(self, document: ParsedDocument, now: float) -> list[FlowOutput]:
        """Run a document from its first verb on, instead of what was run."""

    def from_dial(self, outputs: list[DialingOutput], now: float) -> list[FlowOutput]:
        """Take what a Dial says; when it is over for the document, go on with the next verb."""

    def go_back(self, place: Place, now: float) -> list[FlowOutput]:
        """Drop the document, and be at the Dial of an earlier one again."""


class Transferring:
    """See the module's docstring.

    Args:
        referred: the REFER that was accepted.
        verb: the Dial whose callee has sent it.
        place: of that Dial.
        now: monotonic seconds.
    """

    def __init__(self, referred: LegReferred, verb: verbs.Dial, place: Place, now: float) -> None:
        self.machine = Transfer(referred, now)
        self.verb = verb
        self.place = place
        self.document: ParsedDocument | None = None
        """What was fetched, to be run."""
        self.held: DialOver | None = None
        """The end of the transferor's Dial, while the document is fetched."""
        self._takes_over = ""

    @property
    def keeps(self) -> bool:
        """Whether the transferor waits: who is let go at once hangs up on the one it has asked, too."""
        return self.verb.answer_on_bridge or bool(self._takes_over)

    def look_for_dialog(self, transferor: Callee | None, context: SessionContext) -> None:
        """See whether the transfer is attended, and the transferor's other call is with us (RFC 5589 §7)."""
        replaces = self.machine.referred.replaces
        try:
            call_id = parse_replaces(replaces).call_id
        except PeerError:
            return
        if (
            transferor is not None
            and call_id != transferor.child.sip_call_id
            and context.knows_dialog(call_id)
        ):
            self._takes_over = replaces

    def start(self, flow: Transferee, now: float) -> list[FlowOutput]:
        """Ask for the document."""
        return self._do(flow, self.machine.start(), now)

    def tell(self, flow: Transferee, event: TransferEvent, now: float) -> list[FlowOutput]:
        """Take a fact, and do what comes of it."""
        return self._do(flow, self.machine.handle(event), now)

    def tick(self, flow: Transferee, now: float) -> list[FlowOutput]:
        """Do what time has made due."""
        return self._do(flow, self.machine.tick(now), now)

    def parameters(self) -> Parameters:
        """Besides the standard ones, of the request to ``referUrl``."""
        referred = self.machine.referred
        given = (
            ("ReferTransferTarget", referred.refer_to),
            ("ReferredBy", referred.referred_by),
            ("ReferReplaces", referred.replaces),
        )
        return tuple((name, value) for name, value in given if value)

    def seen(self, output: DialingOutput) -> TransferEvent | None:
        """What something that a Dial says means to the transfer; of the transferor's Dial, nothing."""
        if self.machine.fetching:
            return None
        match output:
            case BranchReport(stage="ringing"):
                return TargetRang()
            case Bridged():
                return TargetAnswered()
            case DialOver(verb=verb, result=result) if verb is not self.verb and not result.bridged:
                return TargetFailed(sip_code=failure_sip_code(result.outcome))
            case _:
                return None

    # -- what it does to the document, the Dials and the transferor --

    def _do(self, flow: Transferee, given: list[TransferOrder], now: float) -> list[FlowOutput]:
        if self.machine.over:
            flow.transfer = None
        orders: list[FlowOutput] = []
        for order in given:
            match order:
                case NotifyTransfer():
                    orders.append(order)
                case FetchReferDocument():
                    orders += self._fetch(flow, now)
                case ParkDial():
                    orders += flow.from_dial(flow.dialing.park(now), now)
                case FinishDial():
                    orders += flow.from_dial(flow.dialing.replace(now), now)
                case RunDocument():
                    assert self.document is not None
                    flow.takes_over = self._takes_over
                    orders += flow.run_document(self.document, now)
                case RejoinDial():
                    orders += flow.go_back(self.place, now)
                    orders += flow.from_dial(flow.dialing.rejoin(now), now)
                case GoOn():
                    assert self.held is not None
                    orders += flow.from_dial([self.held], now)
        return orders

    def _fetch(self, flow: Transferee, now: float) -> list[FlowOutput]:
        url, notes = flow.documents.resolve(self.verb.refer_url or "")
        method = self.verb.refer_method
        fetch = None if url is None else flow.documents.fetch(url, method, now, self.parameters())
        if fetch is None:
            return [*notes, *self.tell(flow, ReferDocument(fetched=False), now)]
        return [*notes, fetch]
