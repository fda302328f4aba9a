"""What a flow is made of, the states it is in, and what it says to its session."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from b2bua.core.dial_report import ScreenBranch
from b2bua.core.ids import LegId
from b2bua.core.leg import Leg
from b2bua.flow.call_report import CallReport
from b2bua.flow.caller import Caller
from b2bua.flow.context import SessionContext
from b2bua.flow.orders import SessionOrder
from b2bua.flow.recordings import CallRecordings
from b2bua.flow.script import Script

__all__ = ["Ending", "FlowOutput", "FlowParts", "FlowState", "ScreeningOver"]


class FlowState(StrEnum):
    """What the flow is waiting for."""

    CALLING = "calling"
    """For the callee of a call that we make."""
    FETCHING = "fetching"
    DIALING = "dialing"
    RUNNING = "running"
    """For a verb that takes time."""
    PAUSING = "pausing"
    ANNOUNCING = "announcing"
    ENDING = "ending"
    """For its legs to end."""
    OVER = "over"


class Ending(StrEnum):
    """What the end of the document means."""

    HANG_UP = "hang up"
    ACCEPT = "accept"
    """The callee is screened: it may be bridged now. Whatever hangs up refuses instead."""


class ScreeningOver(msgspec.Struct, frozen=True, kw_only=True):
    """A screening flow has come to its end; its leg is the Dial's again."""

    leg: LegId
    accepted: bool


FlowOutput = SessionOrder | ScreenBranch | ScreeningOver


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowParts:
    """What a flow is made of."""

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
    ending: Ending = Ending.HANG_UP
