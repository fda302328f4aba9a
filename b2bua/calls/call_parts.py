"""What a call that runs documents is made of."""

from collections.abc import Callable
from dataclasses import dataclass

from b2bua.calls.call_report import CallReport
from b2bua.calls.caller import Caller
from b2bua.calls.context import SessionContext
from b2bua.calls.frame import Ends
from b2bua.calls.recordings import CallRecordings
from b2bua.calls.script import Script
from b2bua.core.leg import Leg

__all__ = ["CallParts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallParts:
    """What a call is made of."""

    context: SessionContext
    leg: Leg
    report: CallReport
    script: Script
    """Its first document, and the fallback of all."""
    caller: Caller
    """Whom its Dials are from."""
    next_request: Callable[[], int]
    """Numbers for what is asked for; unique in the session."""
    recordings: CallRecordings
    """The session's."""
    time_limit_s: float | None = None
    """From the answer, of a call that we make."""
    ends: Ends = Ends.HANG_UP
    """What the end of its first frame means."""
