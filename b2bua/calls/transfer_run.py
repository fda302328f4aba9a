"""The transfer that a callee has asked for (REFER), in the terms of the frames of the call handed over.

The Dial's frame is covered by one that fetches the application's document and then runs it: with the
transferor let go, or waiting until the document's Dial has reached somebody. Turns what the frames show into
facts for ``core.transfer``, and its orders into acts on the stack. Sans I/O.
Source: TwiML ``referUrl`` (read November 2026); RFC 3515, RFC 5589.
"""

from typing import assert_never

from b2bua.calls.call_parts import CallParts
from b2bua.calls.frame import Ends, FrameEnd
from b2bua.calls.frame_stack import FrameStack
from b2bua.calls.orders import Output
from b2bua.calls.parameters import Parameters
from b2bua.core.commands import NotifyTransfer
from b2bua.core.errors import PeerError
from b2bua.core.events import LegReferred
from b2bua.core.transfer import (
    DocumentEnded,
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
    TransfereeLeft,
    TransferEvent,
    TransferOrder,
    TransferorLeft,
)
from b2bua.sip.values import parse_replaces

__all__ = ["TransferRun"]


class TransferRun:
    """See the module's docstring.

    Args:
        referred: the REFER that was accepted.
        stack: of the call, whose topmost frame has the Dial whose callee has sent it; it is changed.
        parts: what the call is made of.
        now: monotonic seconds.
    """

    def __init__(self, referred: LegReferred, stack: FrameStack, parts: CallParts, now: float) -> None:
        self._machine = Transfer(referred, now)
        self._stack = stack
        self._parts = parts
        self._dial_frame = stack.top
        dial = self._dial_frame.verb.dial
        assert dial is not None
        self._dial = dial
        self._replaces = self._dialog_of_ours(referred)
        self._document_runs = False
        self._told_transferor_left = False
        self._told_rang = False

    @property
    def over(self) -> bool:
        """Nothing more will come of it."""
        return self._machine.over

    def begin(self, now: float) -> list[Output]:
        """Cover the Dial's frame, and ask for the document."""
        self._stack.push(Ends.GIVE_BACK).holds = True
        return self._carry_out(self._machine.start(), now)

    def look(self, now: float) -> list[Output]:
        """See what the frames show, and do what comes of it."""
        outputs: list[Output] = []
        while not self.over and (fact := self._seen()) is not None:
            outputs += self._carry_out(self._machine.handle(fact), now)
        return outputs

    def transferee_left(self, now: float) -> list[Output]:
        """The transferee has ended, or is sent elsewhere by somebody above the document."""
        return self._carry_out(self._machine.handle(TransfereeLeft()), now)

    def due_at(self) -> float | None:
        """When ``wake`` has something to do, in monotonic seconds; None: never."""
        return self._machine.next_deadline()

    def wake(self, now: float) -> list[Output]:
        """Nobody waits for ever."""
        return self._carry_out(self._machine.tick(now), now)

    # -- what the frames show -----------------------------------------------------------------------

    def _seen(self) -> TransferEvent | None:
        """One thing that the machine has not been told."""
        if self._dial_frame.kept is not None and not self._told_transferor_left:
            self._told_transferor_left = True
            return TransferorLeft()
        top = self._stack.top
        if self._machine.fetching:
            if top.held is not None:
                # A transferor that is let go at once hangs up on the one it has asked, too.
                keep = self._dial.verb.answer_on_bridge or bool(self._replaces)
                return ReferDocument(fetched=True, keep=keep)
            return None if top.end is None else ReferDocument(fetched=False)
        dial = top.verb.dial
        if dial is not None and dial.bridged:
            return TargetAnswered()
        if dial is not None and dial.rang and not self._told_rang:
            self._told_rang = True
            return TargetRang()
        match top.end:
            case FrameEnd.TARGET_FAILED:
                return TargetFailed(sip_code=self._parts.report.refusal)
            case FrameEnd.DOCUMENT_ENDED | FrameEnd.LEFT:
                return DocumentEnded()
            case _:  # of a document that cannot be had, the announcement's end is the end
                return None

    def _dialog_of_ours(self, referred: LegReferred) -> str:
        """The Replaces of the REFER, where it is attended and the transferor's other call is with us.

        RFC 5589 §7. Empty otherwise.
        """
        try:
            call_id = parse_replaces(referred.replaces).call_id
        except PeerError:
            return ""
        own = self._dial.targets.sip_call_id(referred.leg)
        ours = own is not None and call_id != own and self._parts.context.knows_dialog(call_id)
        return referred.replaces if ours else ""

    # -- what is done to them -----------------------------------------------------------------------

    def _carry_out(self, given: list[TransferOrder], now: float) -> list[Output]:
        outputs: list[Output] = []
        for order in given:
            match order:
                case NotifyTransfer():
                    outputs.append(order)
                case FetchReferDocument():
                    outputs += self._fetch(now)
                case ParkDial():
                    outputs += self._dial_frame.follow(self._dial.park(now), now)
                case FinishDial():
                    outputs += self._let_go(now)
                case RunDocument():
                    outputs += self._run(now)
                case RejoinDial():
                    outputs += self._stack.pop(now)
                    outputs += self._dial_frame.follow(self._dial.rejoin(now), now)
                case GoOn():
                    pass  # the Dial's frame does, uncovered
                case _:
                    assert_never(order)
        if self.over and self._stack.top is not self._dial_frame:
            outputs += self._let_go(now) if self._document_runs else self._stack.pop(now)
        return outputs

    def _fetch(self, now: float) -> list[Output]:
        verb, document = self._dial.verb, self._stack.top
        url, notes = document.source.resolve(verb.refer_url or "")
        if url is None:
            return [*notes, *self._carry_out(self._machine.handle(ReferDocument(fetched=False)), now)]
        return [*notes, *document.fetch(url, verb.refer_method, now, self._parameters())]

    def _parameters(self) -> Parameters:
        """Besides the standard ones, of the request to ``referUrl``."""
        referred = self._machine.referred
        given = (
            ("ReferTransferTarget", referred.refer_to),
            ("ReferredBy", referred.referred_by),
            ("ReferReplaces", referred.replaces),
        )
        return tuple((name, value) for name, value in given if value)

    def _run(self, now: float) -> list[Output]:
        top = self._stack.top
        assert top.held is not None
        outputs = self._let_go(now) if self.over else []
        self._document_runs = True
        top.takes_over = self._replaces
        return outputs + top.run(top.held, now)

    def _let_go(self, now: float) -> list[Output]:
        """The transferor's Dial is over without a word; the document is the call's from now on."""
        if self._dial_frame not in self._stack.frames:
            return []
        self._stack.top.ends = self._dial_frame.ends
        return self._stack.remove(self._dial_frame, now, handed_over=True)
