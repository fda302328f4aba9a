"""The plan of a Dial: its targets with their INVITEs, and its rules.

It is made once, from TwiML and configuration, by code that knows trunks, registrations and numbers, so that
the Dial machine does not have to.
Source: TwiML ``<Dial>`` and its nouns.
"""

from typing import Literal

import msgspec

from b2bua.core.commands import InviteLeg
from b2bua.core.ids import CallSid, LegId
from b2bua.core.outcomes import Outcome

__all__ = ["BranchPlan", "DialPlan", "TargetKind"]

TargetKind = Literal["number", "sip", "client"]
"""The noun of a target."""


class BranchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One target of a Dial: either an INVITE to send, or the reason why none can be sent."""

    leg: LegId
    child: CallSid
    """The branch's name towards the web application."""
    kind: TargetKind
    invite: InviteLeg | None = None
    alternatives: tuple[InviteLeg, ...] = ()
    """Further INVITEs, tried in order when a route to the target fails; each has a leg of its own."""
    send_digits: str = ""
    """Keys to send directly after the answer (``sendDigits``)."""
    screened: bool = False
    """The callee is asked first whether it accepts the call (``url``)."""
    refused: Outcome | None = None
    """Set exactly if ``invite`` is None: bad number, no route, not registered, no slot left."""

    def __post_init__(self) -> None:
        """Check that one of the two is set and that the INVITE is for this leg."""
        assert (self.invite is None) != (self.refused is None)
        assert self.invite is None or self.invite.leg == self.leg


class DialPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All targets of a Dial and its rules."""

    branches: tuple[BranchPlan, ...]
    """In the order of the document."""
    answer_on_bridge: bool = False
    """The caller gets its 200 only at the bridge (``answerOnBridge``)."""
    ring_timeout_s: float
    """How long a target may ring, from its INVITE; includes the configured buffer (``timeout``)."""
    time_limit_s: float
    """How long the bridge may last (``timeLimit``)."""
    hangup_on_star: bool = False
    """The caller's ``*`` hangs up the callee (``hangupOnStar``)."""
    ringtone: str | None = None
    """The ringback plan the document asks for, e.g. ``us``; overrides early media (``ringTone``)."""
    default_ringtone: str
    """The ringback plan if the document asks for none."""
    sequential: bool = False
    """One target after another instead of all at once."""
    screening_limit_s: float = 60.0
    """How long the screening of a callee may take."""
    allow_refer: bool = False
    """The bridged callee may ask for a transfer (``referUrl``)."""
    first_to_accept: bool = False
    """With screening: the first callee to accept wins, not the first to answer (``firstTo``)."""

    @property
    def tone(self) -> str:
        """Our own ringback as a media source."""
        return f"tone:{self.ringtone or self.default_ringtone}"

    @property
    def may_pass_early_media(self) -> bool:
        """Whether the caller may hear early media: there is one target, and no ringback was asked for."""
        return len(self.branches) == 1 and self.ringtone is None
