"""What a Dial is asked to do: targets with their INVITEs, and the rules.

Made once, from TwiML and configuration, by those who know of trunks, registrations and numbers, so that the
machine needs not.
Source: TwiML ``<Dial>`` and its nouns.
"""

from typing import Literal

import msgspec

from b2bua.core.commands import InviteLeg
from b2bua.core.ids import CallSid, LegId
from b2bua.core.outcomes import Outcome

__all__ = ["BranchPlan", "DialPlan", "TargetKind"]

TargetKind = Literal["number", "sip", "client"]
"""Which noun a target was."""


class BranchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One target of a Dial: either an INVITE to send, or why none can be sent."""

    leg: LegId
    child: CallSid
    """What the web application knows this branch by."""
    kind: TargetKind
    invite: InviteLeg | None = None
    alternatives: tuple[InviteLeg, ...] = ()
    """Tried in their order when a way to the target is out of order; each has a leg of its own."""
    send_digits: str = ""
    """Keys after the answer and before all else (``sendDigits``)."""
    screened: bool = False
    """Whoever answers is asked first whether it takes the call (``url``)."""
    refused: Outcome | None = None
    """Set exactly where ``invite`` is not: bad number, no route, not registered, no slot left."""

    def __post_init__(self) -> None:
        """One of the two, and the INVITE is this leg's."""
        assert (self.invite is None) != (self.refused is None)
        assert self.invite is None or self.invite.leg == self.leg


class DialPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All targets of a Dial and its rules."""

    branches: tuple[BranchPlan, ...]
    """In the order of the document."""
    answer_on_bridge: bool = False
    """The caller gets its 200 only when somebody has answered (``answerOnBridge``)."""
    ring_timeout_s: float
    """How long a target may ring, from its INVITE; the configured buffer is included (``timeout``)."""
    time_limit_s: float
    """How long the bridge may last (``timeLimit``)."""
    hangup_on_star: bool = False
    """The caller's ``*`` ends the callee (``hangupOnStar``)."""
    ringtone: str | None = None
    """The ringback plan the document asks for, e.g. ``us``; overrides early media (``ringTone``)."""
    default_ringtone: str
    """The ringback plan where the document asks for none."""
    sequential: bool = False
    """One target after another instead of all at once."""
    screening_limit_s: float = 60.0
    """How long the question to a callee may take."""
    allow_refer: bool = False
    """The one who is bridged may ask for a transfer (``referUrl``)."""
    first_to_accept: bool = False
    """With screening: the first to accept wins, not the first to pick up (``firstTo``)."""

    @property
    def tone(self) -> str:
        """Our own ringback as a media source."""
        return f"tone:{self.ringtone or self.default_ringtone}"

    @property
    def may_pass_early_media(self) -> bool:
        """A single target, and no ringback asked for: the caller may hear its early media."""
        return len(self.branches) == 1 and self.ringtone is None
