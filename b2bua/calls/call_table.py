"""The transition table of a call that runs documents: states, sources of inputs, and handlers.

Source: TwiML, "how a document is run"; ``call_run`` is the machine itself.
"""

from enum import StrEnum

from b2bua.calls.orders import (
    Amended,
    CallCanceled,
    CallInput,
    DocumentFetched,
    FetchFailed,
    FromQueue,
    FromRoom,
    PromptFailed,
    PromptReady,
    RecordingFinished,
    Redirected,
)
from b2bua.core.events import (
    DtmfReceived,
    EarlyMediaChanged,
    LegAnswered,
    LegConfirmed,
    LegEnded,
    LegEvent,
    LegProgress,
    LegReferred,
    MachineJudged,
    MediaChanged,
    PromptEnded,
    RecordingStarted,
    RecordingStopped,
    ReferProgress,
    SilenceReached,
)
from b2bua.core.ids import LegId

__all__ = ["PASS_ON", "TRANSITIONS", "CallState", "Source"]


class CallState(StrEnum):
    """The state of a call."""

    CALLING = "calling"
    """We are making the call, and the callee has not answered."""
    RUNNING = "running"
    """The topmost frame runs."""
    ENDING = "ending"
    """The call is hung up; legs are still ending, or requests are still owed to the application."""
    OVER = "over"


class Source(StrEnum):
    """Where an input comes from."""

    LEG = "leg"
    """The call's own leg."""
    BRANCH = "branch"
    """Another leg, perhaps of a Dial of the call."""
    WORLD = "world"
    """The answer to a request, or an event of prompts, recordings or silence detection."""
    ABOVE = "above"
    """REST, or the node."""

    @classmethod
    def of(cls, event: CallInput, leg: LegId) -> "Source":
        """Return the source of ``event`` from the point of view of the call that owns ``leg``."""
        if isinstance(event, LegEvent):
            return cls.LEG if event.leg == leg else cls.BRANCH
        return cls.ABOVE if isinstance(event, CallCanceled | Redirected | Amended) else cls.WORLD


Handler = str
"""Name of the method that handles the input; empty: the input is expected but ignored."""

PASS_ON: Handler = "pass on"
"""The frames take the input, and the verbs that linger."""

_CALLING, _RUNNING, _ENDING, _OVER = CallState
_LEG, _BRANCH, _WORLD, _ABOVE = Source.LEG, Source.BRANCH, Source.WORLD, Source.ABOVE

_OF_LEGS: tuple[type[CallInput], ...] = (
    LegProgress,
    LegAnswered,
    LegConfirmed,
    MediaChanged,
    EarlyMediaChanged,
    DtmfReceived,
    LegReferred,
    ReferProgress,
)
"""All events of legs except LegEnded."""
_OF_THE_WORLD: tuple[type[CallInput], ...] = (
    DocumentFetched,
    PromptReady,
    PromptFailed,
    PromptEnded,
    RecordingStarted,
    RecordingStopped,
    RecordingFinished,
    SilenceReached,
    MachineJudged,
    FromQueue,
    FromRoom,
)
"""All inputs from the world except FetchFailed."""

TRANSITIONS: dict[tuple[CallState, Source, type[CallInput]], Handler] = {
    **{(_CALLING, _LEG, kind): "" for kind in _OF_LEGS},
    (_CALLING, _LEG, LegProgress): "_on_callee",
    (_CALLING, _LEG, LegAnswered): "_on_callee",
    (_CALLING, _LEG, LegEnded): "_on_refused",
    **{(_RUNNING, _LEG, kind): PASS_ON for kind in _OF_LEGS},
    (_RUNNING, _LEG, LegEnded): "_on_leg_ended",
    **{(_ENDING, _LEG, kind): "" for kind in _OF_LEGS},
    (_ENDING, _LEG, LegEnded): PASS_ON,
    **{
        (state, source, kind): PASS_ON
        for state in (_RUNNING, _ENDING)
        for source, kinds in ((_BRANCH, (*_OF_LEGS, LegEnded)), (_WORLD, _OF_THE_WORLD))
        for kind in kinds
    },
    (_RUNNING, _WORLD, MachineJudged): "_on_callee",
    (_RUNNING, _WORLD, FetchFailed): "_on_fetch_failed",
    (_ENDING, _WORLD, FetchFailed): "_on_fetch_failed",
    (_CALLING, _ABOVE, CallCanceled): "_on_canceled",
    (_RUNNING, _ABOVE, CallCanceled): "_on_canceled",
    (_ENDING, _ABOVE, CallCanceled): "",
    (_RUNNING, _ABOVE, Redirected): "_on_redirected",
    (_CALLING, _ABOVE, Redirected): "",
    (_ENDING, _ABOVE, Redirected): "",
    # What was asked for may arrive, and REST may give its orders, when the call has just ended.
    **{(_OVER, _WORLD, kind): "" for kind in (*_OF_THE_WORLD, FetchFailed)},
    **{(_OVER, _ABOVE, kind): "" for kind in (CallCanceled, Redirected, Amended)},
    **{(state, _ABOVE, Amended): "_on_amended" for state in (_CALLING, _RUNNING, _ENDING)},
}
"""The handler of each expected input; any other input is counted and ignored. Events of the call's own leg
are handled only if its leg machine accepts them."""
