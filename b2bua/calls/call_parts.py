"""The parts from which a call that runs documents is built."""

from collections.abc import Callable
from dataclasses import dataclass

from b2bua.calls.call_report import CallReport
from b2bua.calls.caller import Caller
from b2bua.calls.context import SessionContext
from b2bua.calls.frame import Ends
from b2bua.calls.outbound import OutboundAttempts
from b2bua.calls.recordings import CallRecordings
from b2bua.calls.script import Script
from b2bua.core.leg import Leg

__all__ = ["CallParts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallParts:
    """The parts from which a ``CallRun`` is built."""

    context: SessionContext
    leg: Leg
    report: CallReport
    script: Script
    """The source of the first document, and the fallback for all documents."""
    caller: Caller
    """The caller identity that its Dials use."""
    next_request: Callable[[], int]
    """Returns request numbers that are unique in the session."""
    recordings: CallRecordings
    """The session's recordings."""
    attempts: OutboundAttempts | None = None
    """The INVITEs of a call that we make; None for any other."""
    time_limit_s: float | None = None
    """Counted from the answer; only for a call that we make."""
    ends: Ends = Ends.HANG_UP
    """What the end of the first frame means to the call."""
