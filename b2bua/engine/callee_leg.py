"""The leg of a callee: we are UAC of its INVITE, which may be answered, refused, canceled or abandoned.

No I/O and no clock. Sources: RFC 3261 §9, §13, §17.
"""

from collections.abc import Sequence
from typing import Final

from b2bua.core.events import Headers, LegAnswered, LegEnded, LegProgress
from b2bua.core.ids import LegId
from b2bua.engine.leg_machine import LegMachine
from b2bua.engine.leg_table import (
    Answered,
    Confirmed,
    DialogState,
    HangupOrdered,
    Input,
    Output,
    Progressed,
    Reason,
    Role,
)

__all__ = ["CalleeLeg"]

_NO_RESPONSE_LIMIT_S: Final = 33.0
"""How long an abandoned INVITE waits for a response: a second longer than timer B (RFC 3261 §17.1.1.2), by
which the library gives up."""
_TERMINATED: Final = (487, "Request Terminated")
"""What the library reports of a leg that we have given up."""


class CalleeLeg(LegMachine):
    """State machine of a callee's leg.

    Args:
        leg: the leg's id.
    """

    def __init__(self, leg: LegId) -> None:
        super().__init__(leg, Role.UAC)
        self._no_response_until = 0.0
        """When an abandoned leg is hung up without a response; monotonic seconds."""
        self._answer: Headers = ()
        """Headers of the callee's 200."""

    # -- the INVITE ---------------------------------------------------------------------------------

    def _on_trying(self, fact: Input, now: float) -> Sequence[Output]:
        self.state = DialogState.PROCEEDING
        return ()

    def _on_invite_sent(self, fact: Input, now: float) -> Sequence[Output]:
        if self.has_told_its_end:  # RFC 3261 §9.1: the CANCEL waits for a response to this INVITE
            self._abandon(now)
        else:
            self.state = DialogState.INVITED
        return ()

    def _on_progressed(self, fact: Progressed, now: float) -> Sequence[Output]:
        if self.state not in (DialogState.EARLY, DialogState.CANCELING):
            self.state = DialogState.EARLY if fact.has_sdp else DialogState.PROCEEDING
        return (LegProgress(leg=self.leg, at=now, status=fact.status, early_media=fact.has_sdp),)

    def _on_answered(self, fact: Answered, now: float) -> Sequence[Output]:
        late = self.state is DialogState.CANCELING
        self.state = DialogState.CLOSING if late else DialogState.ANSWERED
        self._answer = fact.headers  # its SDP is examined next
        return ()

    def _on_ack_sent(self, fact: Confirmed, now: float) -> Sequence[Output]:
        self.state = DialogState.CONFIRMED
        if not fact.has_audio:
            self.reason = Reason.UNUSABLE
            return ()
        return self._on_ack_sent_late(fact, now)

    def _on_ack_sent_late(self, fact: Confirmed, now: float) -> Sequence[Output]:
        if self.reason is Reason.UNUSABLE:
            return ()
        return (LegAnswered(leg=self.leg, at=now, headers=self._answer),)

    def _on_library_cancels(self, fact: Input, now: float) -> Sequence[Output]:
        self.reason = Reason.UNUSABLE
        if self.state is DialogState.INVITED:
            self.state = DialogState.PROCEEDING  # it does so because of a 183
        return ()

    def _on_library_ends(self, fact: Input, now: float) -> Sequence[Output]:
        self.reason = Reason.UNUSABLE
        self.state = DialogState.CLOSING  # a hangup of ours would send another BYE
        return ()

    # -- the end of the dialog ----------------------------------------------------------------------

    def _on_abandoned(self, fact: HangupOrdered, now: float) -> Sequence[Output]:
        self._on_hangup_before_ack(fact, now)
        self._abandon(now)
        self.has_told_its_end = True
        code, reason = _TERMINATED
        return (LegEnded(leg=self.leg, at=now, cause="local", sip_code=code, reason=reason, headers=()),)

    def _abandon(self, now: float) -> None:
        self.state = DialogState.ABANDONED
        self._no_response_until = now + _NO_RESPONSE_LIMIT_S

    def _on_attended_without_response(self, fact: Input, now: float) -> Sequence[Output]:
        return self._on_attended(fact, now) if now >= self._no_response_until else ()
