"""What a Dial says to the one who started it: reports for status callbacks, the bridge, the result."""

from typing import Literal

import msgspec

from b2bua.core.commands import LegCommand
from b2bua.core.dial_plan import TargetKind
from b2bua.core.events import Headers, LegReferred
from b2bua.core.ids import CallSid, LegId, SipCallId
from b2bua.core.outcomes import Outcome

__all__ = [
    "BranchReferred",
    "BranchReport",
    "BranchStage",
    "Bridged",
    "DialOutput",
    "DialReport",
    "DialResult",
    "DialSettled",
    "ScreenBranch",
]

BranchStage = Literal["initiated", "ringing", "answered", "completed"]
"""Named as the status callbacks are."""


class _Report(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class BranchReport(_Report, frozen=True, kw_only=True, tag=True):
    """A branch has come so far. ``completed`` comes exactly once for every branch that was tried.

    A target that was refused before its INVITE only has ``completed``; one that a sequential Dial never came
    to has no report at all.
    """

    leg: LegId
    child: CallSid
    stage: BranchStage
    at: float
    """Monotonic seconds."""
    outcome: Outcome | None = None
    """With ``completed``."""
    duration_s: float = 0.0
    """With ``completed``: from the answer to the end, 0 where there was no answer."""


class ScreenBranch(_Report, frozen=True, kw_only=True, tag=True):
    """This leg has picked up and is to be asked; ``ScreeningEnded`` answers, if the leg is there for it."""

    leg: LegId
    child: CallSid


class Bridged(_Report, frozen=True, kw_only=True, tag=True):
    """The caller and this leg hear each other now. At most once in a Dial."""

    leg: LegId
    at: float


class BranchReferred(_Report, frozen=True, kw_only=True, tag=True):
    """The one whom the caller talks to wants the caller to talk to somebody else."""

    referred: LegReferred


class DialResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a Dial has ended: what its action request is made of."""

    outcome: Outcome
    """``status`` is the DialCallStatus, ``sip_code`` the DialSipResponseCode."""
    leg: LegId | None
    """The winner, else the branch the outcome is of; None where no target was tried."""
    child: CallSid | None
    kind: TargetKind | None
    sip_call_id: SipCallId | None
    bridged: bool
    duration_s: float
    """How long the child was answered."""
    ring_duration_ms: int
    """From the first 180 or 183 to the answer or the end; 0 where it never rang."""
    headers: Headers
    """Of the 200 and then of the BYE, or of the final response; the later of two of a name counts."""
    released: bool = False
    """The winner was not hung up: it goes its own way now."""


class DialSettled(_Report, frozen=True, kw_only=True, tag=True):
    """The Dial is over for the document, exactly once; losers may still be closing."""

    result: DialResult
    at: float


DialReport = BranchReport | ScreenBranch | Bridged | BranchReferred | DialSettled
DialOutput = LegCommand | DialReport
"""What a Dial returns: orders for the worker and reports for its owner, in the order they are to be done."""
