"""A transfer requested by a callee (REFER), carried out on the frame stack of the transferred call.

The Dial's frame is covered by one that fetches the application's document and then runs it, while the
transferor is either released or waits until the document's Dial has connected. The state of the frames is
translated into facts for ``core.transfer``, and its orders into changes to the stack. Sans I/O.
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
    """Runs one transfer on the frame stack of a call.

    Args:
        referred: the REFER that was accepted.
        stack: the call's frames; the topmost runs the Dial of the transferor. The stack is modified.
        parts: the parts of the call.
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
        """Whether the transfer is over."""
        return self._machine.over

    def begin(self, now: float) -> list[Output]:
        """Cover the Dial's frame, and request the document."""
        self._stack.push(Ends.GIVE_BACK).holds = True
        return self._carry_out(self._machine.start(), now)

    def look(self, now: float) -> list[Output]:
        """Read the state of the frames, and act on what has changed."""
        outputs: list[Output] = []
        while not self.over and (fact := self._seen()) is not None:
            outputs += self._carry_out(self._machine.handle(fact), now)
        return outputs

    def transferee_left(self, now: float) -> list[Output]:
        """Note that the transferee has ended, or that REST or the node has redirected or ended its call."""
        return self._carry_out(self._machine.handle(TransfereeLeft()), now, goes_on=False)

    def due_at(self) -> float | None:
        """Return when ``wake`` is due next, in monotonic seconds; None: never."""
        return self._machine.next_deadline()

    def wake(self, now: float) -> list[Output]:
        """Act on the transfer's time limit."""
        return self._carry_out(self._machine.tick(now), now)

    # -- facts from the frames ----------------------------------------------------------------------

    def _seen(self) -> TransferEvent | None:
        """Return one fact not yet reported to the transfer machine; None if there is none."""
        if self._dial_frame.kept is not None and not self._told_transferor_left:
            self._told_transferor_left = True
            return TransferorLeft()
        top = self._stack.top
        if self._machine.fetching:
            if top.held is not None:
                # In an attended transfer, a transferor released at once would also hang up on the target.
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
            case _:  # no document available: the end of the announcement is the end of the document
                return None

    def _dialog_of_ours(self, referred: LegReferred) -> str:
        """Return the Replaces of an attended transfer whose other call is a dialog of this node; else empty.

        RFC 5589 §7.
        """
        try:
            call_id = parse_replaces(referred.replaces).call_id
        except PeerError:
            return ""
        own = self._dial.targets.sip_call_id(referred.leg)
        ours = own is not None and call_id != own and self._parts.context.knows_dialog(call_id)
        return referred.replaces if ours else ""

    # -- orders to the frames -----------------------------------------------------------------------

    def _carry_out(self, given: list[TransferOrder], now: float, *, goes_on: bool = True) -> list[Output]:
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
                    pass  # the Dial's frame continues once it is uncovered
                case _:
                    assert_never(order)
        if self.over and self._stack.top is not self._dial_frame:
            outputs += self._let_go(now) if self._document_runs else self._stack.pop(now, goes_on=goes_on)
        return outputs

    def _fetch(self, now: float) -> list[Output]:
        verb, document = self._dial.verb, self._stack.top
        url, notes = document.source.resolve(verb.refer_url or "")
        if url is None:
            return [*notes, *self._carry_out(self._machine.handle(ReferDocument(fetched=False)), now)]
        return [*notes, *document.fetch(url, verb.refer_method, now, self._parameters())]

    def _parameters(self) -> Parameters:
        """Return the parameters sent to ``referUrl`` in addition to the standard ones."""
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
        """End the transferor's Dial without its ``action``; the call now runs the transfer's document."""
        if self._dial_frame not in self._stack.frames:
            return []
        self._stack.top.ends = self._dial_frame.ends
        return self._stack.remove(self._dial_frame, now, handed_over=True)
