"""The transfer that a callee has asked for, in the terms of the flow whose caller is handed over.

Turns what the flow sees (Dials that ring, bridge and end) into facts for ``core.transfer``, and keeps
what is needed to go back: the Dial's place in its document. Source: TwiML ``referUrl``.
"""

from b2bua.core.dial_report import BranchReport, Bridged
from b2bua.core.events import LegReferred
from b2bua.core.outcomes import failure_sip_code
from b2bua.core.transfer import TargetAnswered, TargetFailed, TargetRang, Transfer, TransferEvent
from b2bua.flow.dialing import DialingOutput, DialOver
from b2bua.flow.parameters import Parameters
from b2bua.twiml import verbs
from b2bua.twiml.parse import ParsedDocument

__all__ = ["Place", "Transferring"]

Place = tuple[tuple[verbs.Verb, ...], int, str]
"""Verbs of a document, which of them is next, and what its addresses resolve against."""


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
