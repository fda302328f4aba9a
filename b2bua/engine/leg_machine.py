"""Decides which events a worker posts for a leg and when it hangs up, from callbacks and controller orders.

``leg_table`` has the states and transitions, ``callee_leg`` what only happens to a leg that we have invited,
``pjleg`` the library's call.

``LegEnded`` is posted once, and nothing after it; a hangup is sent once; a replaced leg posts nothing more.
When a dialog that may post nothing more is over, ``DialogGone`` is put out.
No I/O and no clock.
"""

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from b2bua.core.errors import PeerError
from b2bua.core.events import (
    DtmfReceived,
    EndCause,
    Headers,
    LegConfirmed,
    LegEnded,
    MediaChanged,
    ReferProgress,
)
from b2bua.core.ids import LegId
from b2bua.engine.leg_table import (
    TRANSITIONS,
    Answered,
    Attended,
    CancelCame,
    Confirmed,
    DialogGone,
    DialogState,
    Disconnected,
    HangUp,
    HangupOrdered,
    Input,
    KeyCame,
    Lost,
    MediaBuilt,
    Notified,
    Output,
    Reason,
    ReferAnswered,
    Role,
    Source,
)
from b2bua.sip.carry import read_message
from b2bua.sip.inside import shown
from b2bua.sip.message import Response

__all__ = ["LegMachine"]

log = logging.getLogger(__name__)

_FIRST_STATE: Final = {
    Role.UAS: DialogState.INCOMING,
    Role.UAC: DialogState.INVITED,
    Role.REPLACEMENT: DialogState.ANSWERED,
}
_CANCELED_IN: Final = (
    DialogState.INVITED, DialogState.PROCEEDING, DialogState.EARLY, DialogState.ABANDONED
)  # fmt: skip
_NOT_ACCEPTABLE: Final = 488
"""RFC 3261 §21.4.26: the described media are not acceptable."""


class LegMachine:
    """State machine of one leg's INVITE dialog; ``CalleeLeg`` is that of a leg that we have invited.

    Args:
        leg: the leg's id.
        role: how the dialog came about; UAC is ``CalleeLeg``'s.
    """

    def __init__(self, leg: LegId, role: Role) -> None:
        self.leg = leg
        self.role = role
        self.state = _FIRST_STATE[role]
        self.reason: Reason | None = None
        """Why we are ending the leg, or have ended it; the last two of ``Reason`` have precedence."""
        self.unexpected: Counter[str] = Counter()
        """Counts inputs that the state at the time does not allow, by ``state Input``."""
        self.has_told_its_end = False
        """``LegEnded`` was posted while the INVITE was still pending: nothing more is posted."""
        self._goodbye = HangupOrdered(status=_NOT_ACCEPTABLE)
        """Status and headers to send when the leg is hung up."""
        self._cancel: bytes | None = None
        """The caller's CANCEL."""
        self._refer_taken = False
        """The peer has accepted our last REFER: its NOTIFYs are about that."""

    @property
    def hangup_is_due(self) -> bool:
        """Whether to feed in ``Attended``; asked at every turn of the worker's loop."""
        if self.reason is None:
            return False
        return TRANSITIONS[self.role].get((self.state, Attended)) not in (None, "_on_nothing")

    @property
    def awaits_response(self) -> bool:
        """Whether no provisional response has arrived, so that the next one makes a difference."""
        return self.state in (DialogState.INVITED, DialogState.ABANDONED)

    @property
    def is_over(self) -> bool:
        """Whether the dialog's events no longer concern the leg."""
        return self.has_told_its_end or self.state.is_over

    @property
    def replaces_status(self) -> int:
        """The status of the response to an INVITE that asks to replace this dialog (RFC 3891 §3)."""
        return 603 if self.has_told_its_end else self.state.replaces_status

    def handle(self, fact: Input, now: float) -> Sequence[Output]:
        """Take one input.

        Args:
            fact: reported by a callback or ordered by the controller.
            now: monotonic seconds.

        Returns:
            Events to post and actions to carry out, in this order.
        """
        handler = TRANSITIONS[self.role].get((self.state, type(fact)))
        if handler is None:
            name = type(fact).__name__
            self.unexpected[f"{self.state} {name}"] += 1
            log.warning(
                "unexpected event for a leg",
                extra={"leg_id": self.leg, "state": self.state, "input": name},
            )
            return ()
        method: Callable[[Input, float], Sequence[Output]] = getattr(self, handler)
        told = self.has_told_its_end
        outputs = method(fact, now)
        return [each for each in map(_silenced, outputs) if each is not None] if told else outputs

    def _on_nothing(self, fact: Input, now: float) -> Sequence[Output]:
        return ()

    # -- the INVITE ---------------------------------------------------------------------------------

    def _on_answered(self, fact: Answered, now: float) -> Sequence[Output]:
        self.state = DialogState.ANSWERED
        return ()

    def _on_ack_came(self, fact: Confirmed, now: float) -> Sequence[Output]:
        self.state = DialogState.CONFIRMED
        return (LegConfirmed(leg=self.leg, at=now),)

    def _on_replacement_confirmed(self, fact: Confirmed, now: float) -> Sequence[Output]:
        self.state = DialogState.CONFIRMED  # the leg was already confirmed before it was replaced
        return ()

    def _on_cancel_came(self, fact: CancelCame, now: float) -> Sequence[Output]:
        self._cancel = fact.message
        return ()

    # -- within the dialog --------------------------------------------------------------------------

    def _on_media(self, fact: MediaBuilt, now: float) -> Sequence[Output]:
        if fact.in_clear and self.reason is None:
            self.reason = Reason.IN_CLEAR
        return (MediaChanged(leg=self.leg, at=now, active=fact.active, held_by_peer=fact.held),)

    def _on_key(self, fact: KeyCame, now: float) -> Sequence[Output]:
        return (DtmfReceived(leg=self.leg, at=now, digit=fact.digit, method=fact.method),)

    def _on_refer_answered(self, fact: ReferAnswered, now: float) -> Sequence[Output]:
        self._refer_taken = taken = fact.status < 300
        return (ReferProgress(leg=self.leg, at=now, status=fact.status, by_notify=False, final=not taken),)

    def _on_notified(self, fact: Notified, now: float) -> Sequence[Output]:
        if not self._refer_taken or fact.status <= 100:
            return ()
        return (ReferProgress(leg=self.leg, at=now, status=fact.status, by_notify=True, final=fact.final),)

    def _on_replaced(self, fact: Input, now: float) -> Sequence[Output]:
        self.state = DialogState.REPLACED
        return ()

    def _on_replaced_gone(self, fact: Input, now: float) -> Sequence[Output]:
        self.state = DialogState.ENDED
        return (DialogGone(),)

    # -- the end of the dialog ----------------------------------------------------------------------

    def _on_hangup(self, fact: HangupOrdered, now: float) -> Sequence[Output]:
        self._on_hangup_before_ack(fact, now)
        return self._on_attended(fact, now)

    def _on_hangup_before_ack(self, fact: HangupOrdered, now: float) -> Sequence[Output]:
        self._goodbye = fact
        self.reason = self.reason or Reason.ORDERED
        return ()

    def _on_attended(self, fact: Input, now: float) -> Sequence[Output]:
        if self.reason is None:
            return ()
        status = self._goodbye.status if self.state is DialogState.INCOMING else None
        self.state = DialogState.CANCELING if self.state in _CANCELED_IN else DialogState.CLOSING
        return (HangUp(status=status, headers=self._goodbye.headers, reason=self.reason),)

    def _on_lost(self, fact: Lost, now: float) -> Sequence[Output]:
        self.state = DialogState.ENDED
        return (
            LegEnded(leg=self.leg, at=now, cause=fact.cause, sip_code=fact.status, reason="", headers=()),
        )

    def _on_disconnected(self, fact: Disconnected, now: float) -> Sequence[Output]:
        cause, code = self._end_cause(fact)
        # Our 487 ends the INVITE after a CANCEL: the library reports it without the CANCEL.
        canceled = self.state is DialogState.INCOMING
        message = fact.message or (self._cancel if canceled else None)
        self.state = DialogState.ENDED
        reason = fact.reason
        headers: Headers = ()
        if cause == "peer" and message is not None:
            with contextlib.suppress(PeerError):
                parsed = read_message(message)
                headers = shown(parsed)
                if isinstance(parsed, Response) and parsed.status // 100 == 3:
                    # The library is configured not to follow redirects and reports 487 instead.
                    code, reason = parsed.status, parsed.reason
        reason = next((v for n, v in headers if n.lower() == "reason"), reason)
        return (LegEnded(leg=self.leg, at=now, cause=cause, sip_code=code, reason=reason, headers=headers),)

    def _end_cause(self, fact: Disconnected) -> tuple[EndCause, int]:
        # The library cannot accept this answer and ends the dialog by itself.
        not_agreed = self.role is Role.UAC and self.state is DialogState.ANSWERED
        if not_agreed or self.reason is Reason.UNUSABLE:
            return "peer", _NOT_ACCEPTABLE
        if self.state.is_hung_up:
            return "local", fact.status
        match fact.source:
            case Source.TIMER:
                return "timeout", 408
            case Source.TRANSPORT:
                return "unreachable", 503
            case Source.MESSAGE:
                return "peer", fact.status


def _silenced(output: Output) -> Output | None:
    """Return what is left of an output of a leg that has ended for the controller."""
    if isinstance(output, LegEnded):
        return DialogGone()
    return output if isinstance(output, HangUp | DialogGone) else None
