"""What a session ordered before its node was started again, and which of it is still to be done.

While a session is made again from its log, its orders come here instead of being carried out. At the end of
the log, what has no answer in it is left over. Sans I/O.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from b2bua.calls.input_log import HostAdded, HostMissing, LogInput
from b2bua.calls.orders import (
    DocumentFetched,
    FetchDocument,
    FetchFailed,
    FinishRecording,
    FollowRecording,
    FromQueue,
    FromRoom,
    KeepRecording,
    PreparePrompt,
    PromptFailed,
    PromptReady,
    RecordingFinished,
    ReportStatus,
    ToQueue,
    ToRoom,
)
from b2bua.calls.recording_placement import HostPart
from b2bua.core.commands import HostCommand, RecordingCommand, RecordLegs, StartRecording, StopRecording
from b2bua.core.events import LegEnded
from b2bua.core.ids import CallSid, HostId, RecordingSid, WorkerId
from b2bua.core.queue_inputs import AgentEntered, CallerEntered
from b2bua.core.queue_outputs import AgentDone, CallerDone
from b2bua.core.room_inputs import MemberEntered
from b2bua.core.room_outputs import MemberDone

__all__ = ["FoundHost", "Host", "KeptRecording", "RecalledHost", "RecalledWork", "WorkOrder"]

WorkOrder = (
    FetchDocument
    | PreparePrompt
    | ReportStatus
    | KeepRecording
    | FollowRecording
    | FinishRecording
    | ToQueue
    | ToRoom
)
"""What a session orders of its node, apart from facts."""

FRESH_S = 0.5
"""What was ordered so shortly before the log's end may not have been stored: it is done again."""


class Host(Protocol):
    """A worker as a session sees it."""

    @property
    def worker(self) -> WorkerId:
        """Its name."""

    @property
    def capacity(self) -> int:
        """Legs that it can hold."""

    def send(self, *orders: HostCommand) -> None:
        """Give it orders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundHost:
    """A host that has gone on without its node."""

    host: Host
    orders: int
    """How many it has had in the session; those about recordings do not count."""
    recordings: frozenset[str]
    """Those that it has begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecording:
    """A recording that an earlier run has begun, and that is not finished."""

    keep: KeepRecording
    kept_at: float
    """Monotonic seconds."""
    follow: FollowRecording | None = None
    """Its latest change."""
    part: HostPart | None = None
    """A host has taken it over from the relay."""


class RecalledWork:
    """The orders of one session that is made again."""

    def __init__(self) -> None:
        self._asked: dict[int, FetchDocument | PreparePrompt] = {}
        self._recordings: dict[RecordingSid, KeptRecording] = {}
        """Those that are not finished."""
        self._finishing: dict[RecordingSid, FinishRecording] = {}
        self._reports: list[tuple[float, ReportStatus]] = []
        self.entered: dict[tuple[CallSid, int], tuple[ToQueue | ToRoom, float]] = {}
        """Entrances into queues and rooms without a result, and when they were; by call and entry."""
        self.hosts_wanted = 0
        """Further hosts that were wanted and did not come."""
        self.ended: deque[LegEnded] = deque()
        """Ends of legs without a host that the session was not told yet."""
        self.early: list[tuple[LogInput, HostId]] = []
        """Inputs that came before the session went on."""

    def note(self, order: WorkOrder, now: float) -> None:
        """Take an order."""
        match order:
            case FetchDocument() | PreparePrompt():
                self._asked[order.request] = order
            case KeepRecording():
                self._recordings[order.recording] = KeptRecording(keep=order, kept_at=now)
            case FollowRecording() if (kept := self._recordings.get(order.recording)) is not None:
                self._recordings[order.recording] = replace(kept, follow=order)
            case FinishRecording():
                self._finishing[order.recording] = order
            case ReportStatus():
                self._reports.append((now, order))
            case ToQueue() | ToRoom() if isinstance(
                order.event, CallerEntered | AgentEntered | MemberEntered
            ):
                self.entered[order.call_sid, order.entry] = (order, now)
            case _:
                pass

    def answered(self, given: LogInput) -> None:
        """Take an input: what it answers is not left over."""
        match given:
            case DocumentFetched() | FetchFailed() | PromptReady() | PromptFailed():
                self._asked.pop(given.request, None)
            case RecordingFinished():
                self._finishing.pop(given.recording, None)
                self._recordings.pop(given.recording, None)
            case FromQueue() | FromRoom() if isinstance(given.output, CallerDone | AgentDone | MemberDone):
                self.entered.pop((given.call_sid, given.entry), None)
            case HostAdded() | HostMissing():
                self.hosts_wanted -= 1
            case LegEnded() if given in self.ended:
                self.ended.remove(given)
            case _:
                pass

    def taken_over(self, part: HostPart) -> None:
        """Note that a host has taken over a recording from the relay."""
        if (kept := self._recordings.get(part.recording)) is not None:
            self._recordings[part.recording] = replace(kept, part=part)

    def recordings(self) -> list[KeptRecording]:
        """Return the recordings that are not finished."""
        return list(self._recordings.values())

    def left_over(self) -> list[FetchDocument | PreparePrompt | FinishRecording]:
        """Return the orders without an answer, in their order."""
        return [*self._asked.values(), *self._finishing.values()]

    def reports(self, until: float) -> list[tuple[ReportStatus, bool]]:
        """Return all status callbacks, and whether each may have been lost at ``until``."""
        return [(report, at > until - FRESH_S) for at, report in self._reports]


class RecalledHost:
    """Stands for a host while its session is made again, and keeps what it was told.

    Args:
        worker: its name.
        capacity: legs that it can carry.
        session: number of the session on this host.
    """

    def __init__(self, worker: HostId, capacity: int, session: int) -> None:
        self.worker = WorkerId(worker)
        self.capacity = capacity
        self.session = session
        self._told: list[HostCommand] = []

    def send(self, *orders: HostCommand) -> None:
        """Keep orders."""
        self._told += orders

    def missing(self, taken: int, recordings: Iterable[str]) -> list[HostCommand]:
        """Return the orders that the host has not had.

        Args:
            taken: how many it has had; orders about recordings wait for their note, and do not count.
            recordings: those it has begun.
        """
        begun = set(recordings)
        rest: list[HostCommand] = []
        plain = 0
        for order in self._told:
            if isinstance(order, RecordingCommand):
                again = order.recording not in begun or isinstance(order, RecordLegs | StopRecording)
                if again and not (isinstance(order, StartRecording) and self._stops(order.recording)):
                    rest.append(order)
                continue
            plain += 1
            if plain > taken:
                rest.append(order)
        return rest

    def _stops(self, recording: str) -> bool:
        return any(isinstance(each, StopRecording) and each.recording == recording for each in self._told)
