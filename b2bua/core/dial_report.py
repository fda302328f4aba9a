"""Reports from a Dial to its owner: branch stages for status callbacks, the bridge, the result."""

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
"""The stages have the names of the status callback events."""


class _Report(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class BranchReport(_Report, frozen=True, kw_only=True, tag=True):
    """A branch has reached a stage. ``completed`` is reported exactly once for every branch that was tried.

    A target that was refused before its INVITE has only ``completed``. A target that a sequential Dial never
    reached has no report at all.
    """

    leg: LegId
    child: CallSid
    stage: BranchStage
    at: float
    """Monotonic seconds."""
    outcome: Outcome | None = None
    """Set with ``completed``."""
    duration_s: float = 0.0
    """Set with ``completed``: seconds from the answer to the end; 0 without an answer."""


class ScreenBranch(_Report, frozen=True, kw_only=True, tag=True):
    """This leg has answered and is to be screened; ``ScreeningEnded`` follows if the leg lasts that long."""

    leg: LegId
    child: CallSid


class Bridged(_Report, frozen=True, kw_only=True, tag=True):
    """The caller and this leg are bridged now. At most once in a Dial."""

    leg: LegId
    at: float


class BranchReferred(_Report, frozen=True, kw_only=True, tag=True):
    """The bridged callee has sent REFER: it wants to transfer the caller to another party."""

    referred: LegReferred


class DialResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a Dial: the content of its action request."""

    outcome: Outcome
    """``status`` is the DialCallStatus, ``sip_code`` the DialSipResponseCode."""
    leg: LegId | None
    """The winner, else the branch that determined the outcome; None if no target was tried."""
    child: CallSid | None
    kind: TargetKind | None
    sip_call_id: SipCallId | None
    bridged: bool
    duration_s: float
    """Seconds from the child's answer to its end."""
    ring_duration_ms: int
    """From the first 180 or 183 to the answer or the end; 0 if the child never rang."""
    headers: Headers
    """Headers of the 200 and then of the BYE, or of the final response; the last of each name counts."""
    released: bool = False
    """The winner was not hung up: its leg has left the Dial."""


class DialSettled(_Report, frozen=True, kw_only=True, tag=True):
    """The Dial is over for the document; losing branches may still be closing. Reported exactly once."""

    result: DialResult
    at: float


DialReport = BranchReport | ScreenBranch | Bridged | BranchReferred | DialSettled
DialOutput = LegCommand | DialReport
"""What a Dial returns: commands for the worker and reports for its owner, in the order to handle them."""
