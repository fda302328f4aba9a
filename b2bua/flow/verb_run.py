"""One verb while it runs on a leg: what every such machine looks like to the call that runs it.

The same machines run on the caller's leg and on a callee's that is being screened. Sans I/O, like the call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from b2bua.core.events import (
    DtmfReceived,
    PromptEnded,
    RecordingStarted,
    RecordingStopped,
    ReferProgress,
    SilenceReached,
)
from b2bua.core.ids import CallSid
from b2bua.core.leg import Leg
from b2bua.flow.orders import PromptFailed, PromptReady, RecordingFinished, SessionOrder
from b2bua.flow.recordings import CallRecordings
from b2bua.settings import Settings
from b2bua.twiml.verbs import Method

__all__ = ["Resolve", "VerbContext", "VerbDone", "VerbEvent", "VerbOutput", "VerbRun"]

VerbEvent = (
    DtmfReceived
    | PromptReady
    | PromptFailed
    | PromptEnded
    | RecordingStarted
    | RecordingStopped
    | RecordingFinished
    | SilenceReached
    | ReferProgress
)
"""What may matter to a verb. Each of them sees all of its call, and leaves alone what is not its own."""


class VerbDone(msgspec.Struct, frozen=True, kw_only=True):
    """The verb is over, exactly once; the document goes on, or the one at ``action`` replaces it."""

    action: str | None = None
    """A URL as the document has it (empty: the document's own); None: on with the next verb."""
    method: Method = "POST"
    params: tuple[tuple[str, str], ...] = ()
    """Besides the standard ones, for the request of ``action``."""


VerbOutput = SessionOrder | VerbDone

Resolve = Callable[[str], tuple[str | None, list[SessionOrder]]]
"""A URL of the document made absolute (None: it cannot be), and what is to be noted about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbContext:
    """What a verb is given of its call."""

    leg: Leg
    """Where it runs: answered, and live when it starts."""
    call_sid: CallSid
    account_sid: str
    settings: Settings
    next_request: Callable[[], int]
    """A number for a ``PreparePrompt``; unique in the session, so it also makes names of prompts."""
    resolve: Resolve
    resolve_sound: Resolve
    """Likewise of a sound, which a document of the configuration may name by its path beside it."""
    recordings: CallRecordings
    """The session's: where a verb starts and stops one. It sees ``RecordingFinished`` of each."""


class VerbRun(Protocol):
    """A verb that takes time."""

    def start(self, now: float) -> list[VerbOutput]:
        """Begin; it may be over at once."""

    def handle(self, event: VerbEvent, now: float) -> list[VerbOutput]:
        """Take a fact; what is not this verb's changes nothing."""

    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do, in monotonic seconds; None: never."""

    def tick(self, now: float) -> list[VerbOutput]:
        """Do what time has made due."""

    def stop(self, now: float) -> list[VerbOutput]:
        """The call goes another way, or its leg has ended: leave nothing running.

        A verb that owes the application something (a recording) gives its ``VerbDone`` here, or later: then
        it has a deadline until it has. Others give none, and have none.
        """
