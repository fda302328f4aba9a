"""One verb while it runs on a leg: what every such machine looks like to the frame that runs it.

The same machines run on the caller's leg and on a callee's that is being screened. Sans I/O, like the call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import msgspec

from b2bua.calls.call_report import CallReport
from b2bua.calls.caller import Caller
from b2bua.calls.child import Child
from b2bua.calls.context import SessionContext
from b2bua.calls.orders import CallInput, Output
from b2bua.calls.parameters import Parameters
from b2bua.calls.recordings import CallRecordings
from b2bua.core.commands import Connection
from b2bua.core.ids import LegId
from b2bua.core.leg import Leg
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
    """The verb is over: the next one is due."""

    refusal: int | None = None
    """A Dial that reached nobody: what a caller who was never answered is told if no other verb answers."""


class AskFor(msgspec.Struct, frozen=True, kw_only=True):
    """The verb is over: the document at this address replaces the rest of the running one."""

    url: str
    """As the document has it; empty: the document's own."""
    method: Method
    params: Parameters = ()
    """Besides the standard ones."""
    once: bool = False
    """An ``action``: it tells of a result, which the application must not be told twice."""
    refusal: int | None = None
    """See ``GoOn``."""


class Leave(msgspec.Struct, frozen=True, kw_only=True):
    """The verb is over, and the document with it: nothing that follows is run."""

    refusal: int | None = None
    """What a caller who was never answered is told; None: as things stand."""
    rejected: bool = False
    """By ``<Reject>``."""


Done = GoOn | AskFor | Leave
"""How a verb ends, exactly once."""

Step = tuple[list[Output], Done | None]
"""What is to be done, and the verb's end if this was it."""

Resolve = Callable[[str], tuple[str | None, list[Output]]]
"""A URL of the document made absolute (None: it cannot be), and what is to be noted about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """A branch of a Dial as a call of its own."""

    leg: Leg
    child: Child
    report: CallReport
    screen_url: str
    """Absolute; empty where it is not screened, or there is no such URL."""


class Screening(Protocol):
    """A call that runs a document on the leg of a callee, who takes the call of the Dial or does not."""

    accepted: bool | None
    """None until the document has come to its end."""

    @property
    def media(self) -> tuple[Connection, ...]:
        """What is to be heard."""

    def begin(self, now: float) -> list[Output]:
        """Run the document."""

    def take(self, event: CallInput, now: float) -> list[Output]:
        """Take a fact."""

    def due_at(self) -> float | None:
        """When ``wake`` has something to do, in monotonic seconds; None: never."""

    def wake(self, now: float) -> list[Output]:
        """Do what time has made due."""

    def abandon(self, now: float) -> list[Output]:
        """The leg has ended, or goes elsewhere: nothing goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbContext:
    """What a verb is given of its call."""

    leg: Leg
    """Where it runs; live when it begins, and answered where the verb answers."""
    report: CallReport
    caller: Caller
    """Whom Dials are from."""
    context: SessionContext
    next_request: Callable[[], int]
    """A number for a ``PreparePrompt``; unique in the session, so it also makes names of prompts."""
    resolve: Resolve
    resolve_sound: Resolve
    """Likewise of a sound, which a document of the configuration may name by its path beside it."""
    recordings: CallRecordings
    """The session's: where a verb starts and stops one. It sees ``RecordingFinished`` of each."""
    screen: Callable[[Callee], Screening]
    """A call that screens a callee."""
    takes_over: str = ""
    """The dialog whose place a Dial is to take, instead of ringing anybody (RFC 3891)."""


class VerbRun:
    """A verb that is being run. A verb overrides what concerns it.

    Every event of the call comes to every verb that is being run; it leaves alone what is not its own.
    """

    answers: ClassVar[bool] = True
    """Whether it answers a caller who has not been answered."""

    def begin(self, now: float) -> Step:
        """Begin; it may be over at once."""
        raise NotImplementedError

    def notice(self, event: CallInput, now: float) -> Step:
        """Take a fact; what is not this verb's changes nothing."""
        return [], None

    def due_at(self) -> float | None:
        """When ``wake`` has something to do, in monotonic seconds; None: never."""
        return None

    def wake(self, now: float) -> Step:
        """Do what time has made due."""
        return [], None

    def stop(self, now: float) -> Step:
        """The call goes another way, or its leg has ended: leave nothing running.

        A verb that owes the application something (a recording) ends here, or later: then it has a deadline
        until it has. Others do not end any more, and have no deadline.
        """
        return [], None

    @property
    def media(self) -> tuple[Connection, ...]:
        """Who is to hear what, now."""
        return ()

    @property
    def open_legs(self) -> tuple[LegId, ...]:
        """Legs of its own whose end has not been reported; they may outlast the verb."""
        return ()
