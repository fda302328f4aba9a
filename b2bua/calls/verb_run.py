"""The interface between a frame and the machine of the verb that it runs.

The same machines run on the caller's leg and on the leg of a callee being screened. Sans I/O, like the call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import msgspec

from b2bua.calls.call_report import CallReport
from b2bua.calls.caller import Caller
from b2bua.calls.child import Child
from b2bua.calls.context import SessionContext
from b2bua.calls.inner import InnerEnd, InnerWish
from b2bua.calls.orders import CallInput, Output
from b2bua.calls.parameters import Parameters
from b2bua.calls.recordings import CallRecordings
from b2bua.core.commands import Connection
from b2bua.core.ids import LegId
from b2bua.core.leg import Leg
from b2bua.core.queue_inputs import Following
from b2bua.twiml.verbs import Method

__all__ = [
    "AskFor",
    "Callee",
    "Done",
    "GoOn",
    "Leave",
    "Resolve",
    "Screening",
    "Step",
    "VerbContext",
    "VerbRun",
]


class GoOn(msgspec.Struct, frozen=True, kw_only=True):
    """The verb is over, and the next one runs."""

    refusal: int | None = None
    """For a Dial that failed to connect: the final response to the caller if no other verb answers it."""


class AskFor(msgspec.Struct, frozen=True, kw_only=True):
    """The verb is over: the document at this address replaces the rest of the running one."""

    url: str
    """The URL as written in the document; empty: the document's own URL."""
    method: Method
    params: Parameters = ()
    """Sent in addition to the standard parameters."""
    once: bool = False
    """True for an ``action``: it reports a result, which must not be reported twice."""
    refusal: int | None = None
    """As in ``GoOn``."""


class Leave(msgspec.Struct, frozen=True, kw_only=True):
    """The verb is over, and so is the document: the verbs that follow are not run."""

    refusal: int | None = None
    """The final response to an unanswered caller; None: unchanged."""
    rejected: bool = False
    """Whether the verb is ``<Reject>``."""
    queue: bool = False
    """Whether the verb is ``<Leave>``."""


Done = GoOn | AskFor | Leave
"""How a verb ends, exactly once."""

Step = tuple[list[Output], Done | None]
"""The outputs of a step, and how the verb has ended; None while it runs."""

Resolve = Callable[[str], tuple[str | None, list[Output]]]
"""Makes a URL of the document absolute (None: not possible), and returns the findings about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """A branch of a Dial as a separate call."""

    leg: Leg
    child: Child
    report: CallReport
    screen_url: str
    """Absolute; empty if the callee is not screened or the URL cannot be resolved."""


class Screening(Protocol):
    """A call that runs a document on a callee's leg to learn whether the callee accepts the Dial's call."""

    accepted: bool | None
    """None until the document has ended."""

    @property
    def media(self) -> tuple[Connection, ...]:
        """The media connections that the screening wants."""

    def begin(self, now: float) -> list[Output]:
        """Run the document."""

    def take(self, event: CallInput, now: float) -> list[Output]:
        """Take a fact."""

    def due_at(self) -> float | None:
        """Return when ``wake`` is due next, in monotonic seconds; None: never."""

    def wake(self, now: float) -> list[Output]:
        """Act on deadlines that have passed."""

    def abandon(self, now: float) -> list[Output]:
        """Stop everything, because the leg has ended or has been redirected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbContext:
    """The parts of its call that a verb works with."""

    leg: Leg
    """The leg on which the verb runs; live when the verb begins, and answered if the verb answers."""
    report: CallReport
    caller: Caller
    """The caller identity that Dials use."""
    context: SessionContext
    next_request: Callable[[], int]
    """Returns the number of a ``PreparePrompt``; unique in the session, so it also serves in prompt names."""
    resolve: Resolve
    request: Callable[[AskFor, float], list[Output]]
    """Reports a result to the application, whose answer is ignored."""
    resolve_sound: Resolve
    """As ``resolve``, for a sound, which a document of the configuration may name by a relative path."""
    recordings: CallRecordings
    """The session's recordings, which verbs start and stop; a verb receives each ``RecordingFinished``."""
    screen: Callable[[Callee], Screening]
    """Makes a call that screens a callee."""
    takes_over: str = ""
    """The dialog that a Dial takes over instead of ringing its target (RFC 3891); empty: none."""


class VerbRun:
    """A running verb; subclasses override the methods that they need.

    Every running verb receives every event of the call, and ignores those that do not concern it.
    """

    answers: ClassVar[bool] = True
    """Whether the verb answers an unanswered caller."""

    def begin(self, now: float) -> Step:
        """Begin the verb; it may be over at once."""
        raise NotImplementedError

    def notice(self, event: CallInput, now: float) -> Step:
        """Take a fact; facts that do not concern this verb are ignored."""
        return [], None

    def due_at(self) -> float | None:
        """Return when ``wake`` is due next, in monotonic seconds; None: never."""
        return None

    def wake(self, now: float) -> Step:
        """Act on deadlines that have passed."""
        return [], None

    def stop(self, now: float) -> Step:
        """Stop everything, because the call is redirected or its leg has ended.

        A verb that still owes the application a request (for a recording) ends here or later, and has a
        deadline until it has ended. Other verbs report no end any more and have no deadline.
        """
        return [], None

    @property
    def media(self) -> tuple[Connection, ...]:
        """The media connections that the verb wants now."""
        return ()

    @property
    def open_legs(self) -> tuple[LegId, ...]:
        """The verb's own legs whose end has not been reported; they may outlive the verb."""
        return ()

    @property
    def lingers(self) -> bool:
        """Whether the verb takes facts even after it is over or was dropped."""
        return bool(self.open_legs)

    @property
    def inner(self) -> InnerWish | None:
        """The document that the call is to run on top of this verb now."""
        return None

    def inner_began(self, now: float) -> Step:
        """Note that the inner document has been fetched and runs."""
        return [], None

    def inner_over(self, end: InnerEnd, now: float, following: Following | None = None) -> Step:
        """Note that the inner document has ended; ``inner`` must not return the same wish any more.

        Args:
            end: how it has ended.
            now: monotonic seconds.
            following: with ``LED_ON``: the next document.
        """
        return [], None
