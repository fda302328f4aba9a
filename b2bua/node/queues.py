"""The queues of the node: they outlive the sessions whose calls wait in them, and restarts.

Sessions tell what their calls do (``ToQueue``); the queue's machine (``core.queue``) decides, and what it
puts out goes to the sessions concerned, each output once and in order. A queue exists from its first caller,
or from its creation by REST, until REST deletes it. Thread: the controller's loop.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from b2bua.calls.orders import FromQueue, SessionInput, ToQueue
from b2bua.core.ids import CallSid, LegId
from b2bua.core.queue_inputs import (
    AgentEntered,
    AgentLeft,
    CallerEntered,
    CallerExit,
    CallerLeft,
    CloseQueue,
    PrioritizeCaller,
    QueueInput,
    ResizeQueue,
)
from b2bua.core.queue_outputs import (
    AgentDone,
    BridgeCalls,
    CallerDone,
    EndBridge,
    PlayRingback,
    QueueOutput,
)
from b2bua.core.room_outputs import OrderRefused
from b2bua.node.deadline_timer import DeadlineTimer
from b2bua.node.machine_log import FoundMachine, LoggedQueue, MachineLogs, recall_queue
from b2bua.store.records import QueueRow

__all__ = ["LiveQueue", "Queues", "Waiting"]

log = logging.getLogger(__name__)

DEFAULT_SIZE = 1000


class QueueSession(Protocol):
    """A session whose calls are in queues."""

    def bring(self, event: SessionInput) -> None:
        """Give the session what a queue has to say."""


class QueueStore(Protocol):
    """The part of the store that queues use."""

    def put(self, record: QueueRow) -> None:
        """Write a queue soon."""

    def forget(self, record: QueueRow) -> None:
        """Delete a queue soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A call that is in a queue, as caller or as agent."""

    session: QueueSession
    order: ToQueue
    """The one by which it entered."""
    entered_at: datetime


@dataclass(slots=True, kw_only=True)
class LiveQueue:
    """One queue."""

    row: QueueRow
    machine: LoggedQueue
    places: dict[CallSid, _Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A caller that waits, as REST shows it."""

    call_sid: CallSid
    position: int
    priority: int
    entered_at: datetime
    waited_s: int


class Queues:
    """All queues of the node.

    Args:
        account_sid: of the node.
        store: keeps the queues.
        rows: those of the previous run.
        logs: keep what comes into the queues.
    """

    def __init__(
        self,
        account_sid: str,
        store: QueueStore,
        rows: Iterable[QueueRow] = (),
        logs: MachineLogs | None = None,
    ) -> None:
        self._account_sid = account_sid
        self._store = store
        self._logs = logs or MachineLogs()
        self._queues = {row.friendly_name: self._live(row) for row in rows}
        self._timer = DeadlineTimer(self._do_due)
        self._closed = False

    # -- sessions -----------------------------------------------------------------------------------

    def take(self, order: ToQueue, session: QueueSession) -> None:
        """Take what a call does; what follows is brought to the sessions after this step of theirs."""
        queue = self._queues.get(order.queue)
        if queue is None and isinstance(order.event, CallerEntered):
            queue = self.make(order.queue, order.max_size)
        if queue is None:
            if isinstance(order.event, AgentEntered):
                refused = AgentDone(agent=order.call_sid, status="failed")
                told = FromQueue(call_sid=order.call_sid, entry=order.entry, queue_sid="", output=refused)
                self._bring(session, told)
            return
        if isinstance(order.event, CallerEntered | AgentEntered):
            entered = _Place(session=session, order=order, entered_at=datetime.now(UTC))
            queue.places[order.call_sid] = entered
        self._handle(queue, order.event)

    def left(self, session: QueueSession) -> None:
        """Take a session's calls out of all queues: it is over, whether or not they have said goodbye."""
        for queue in self._queues.values():
            for call, place in list(queue.places.items()):
                if place.session is not session:
                    continue
                log.warning(
                    "a call is taken out of a queue", extra={"call_sid": call, "queue": queue.row.sid}
                )
                if isinstance(place.order.event, AgentEntered):
                    self._handle(queue, AgentLeft(call=call))
                else:
                    self._handle(queue, CallerLeft(call=call, exit=CallerExit.CRASHED))

    def close(self) -> None:
        """End all waiting, because the node shuts down."""
        self._closed = True
        for queue in self._queues.values():
            self._handle(queue, CloseQueue())

    def restore(
        self, found: Iterable[FoundMachine], entered: Iterable[tuple[QueueSession, ToQueue, datetime]]
    ) -> None:
        """Make the queues of an earlier run again.

        Args:
            found: their logs.
            entered: the entrances of restored calls that have no result yet, in order.
        """
        for each in found:
            queue = self.find(each.header.queue)
            if queue is None:
                each.notes.close()
                continue
            queue.machine.notes.close()
            queue.machine = LoggedQueue(each.header.max_size, each.notes)
            recall_queue(queue.machine, each.steps)
        for session, order, at in entered:
            queue = self._queues.get(order.queue)
            if queue is not None and queue.machine.has(order.call_sid):
                queue.places[order.call_sid] = _Place(session=session, order=order, entered_at=at)
            else:
                self.take(order, session)
        for queue in self._queues.values():
            for call in [call for call in queue.machine.calls if call not in queue.places]:
                self._handle(queue, AgentLeft(call=call))
                self._handle(queue, CallerLeft(call=call, exit=CallerExit.CRASHED))
        self._set_timer()

    # -- REST ---------------------------------------------------------------------------------------

    @property
    def all(self) -> list[LiveQueue]:
        """The queues, the newest first."""
        return sorted(
            self._queues.values(), key=lambda each: (each.row.created_at, each.row.sid), reverse=True
        )

    def find(self, sid: str) -> LiveQueue | None:
        """Return the queue with this sid."""
        return next((each for each in self._queues.values() if each.row.sid == sid), None)

    def named(self, name: str) -> LiveQueue | None:
        """Return the queue with this name."""
        return self._queues.get(name)

    def make(self, name: str, max_size: int = DEFAULT_SIZE) -> LiveQueue:
        """Make a queue with a name that no other has."""
        now = datetime.now(UTC)
        row = QueueRow(
            sid=f"QU{secrets.token_hex(16)}",
            account_sid=self._account_sid,
            friendly_name=name,
            max_size=max_size,
            created_at=now,
            updated_at=now,
        )
        queue = self._queues[name] = self._live(row)
        self._store.put(row)
        if self._closed:
            queue.machine.handle(CloseQueue(), time.monotonic())
        return queue

    def change(self, queue: LiveQueue, row: QueueRow) -> None:
        """Give a queue another name, which no other has, or another size."""
        del self._queues[queue.row.friendly_name]
        self._queues[row.friendly_name] = queue
        queue.row = row
        self._store.put(row)
        self._handle(queue, ResizeQueue(max_size=row.max_size))

    def delete(self, queue: LiveQueue) -> bool:
        """Delete a queue; returns False if somebody is in it."""
        if not queue.machine.unused:
            return False
        del self._queues[queue.row.friendly_name]
        queue.machine.notes.close()
        self._store.forget(queue.row)
        return True

    def waiting(self, queue: LiveQueue) -> list[Waiting]:
        """Return the callers that wait, the first one first."""
        now = time.monotonic()
        return [
            Waiting(
                call_sid=caller.call,
                position=position,
                priority=caller.priority,
                entered_at=queue.places[caller.call].entered_at,
                waited_s=int(caller.waited_s(now)),
            )
            for position, caller in enumerate(queue.machine.waiting, 1)
        ]

    def average_wait_s(self, queue: LiveQueue) -> int:
        """Return the mean wait of those who wait now."""
        return queue.machine.average_wait_s(time.monotonic())

    def prioritize(self, queue: LiveQueue, call_sid: CallSid, priority: int) -> None:
        """Give a call that waits another priority, 0..999."""
        self._handle(queue, PrioritizeCaller(call=call_sid, priority=priority))

    def redirect(self, queue: LiveQueue, call_sid: CallSid, order: SessionInput) -> None:
        """Give a call that waits another document; its session takes it out of the queue."""
        queue.places[call_sid].session.bring(order)

    # -- machines -----------------------------------------------------------------------------------

    def _live(self, row: QueueRow) -> LiveQueue:
        return LiveQueue(row=row, machine=LoggedQueue(row.max_size, self._logs.of_queue(row)))

    def _handle(self, queue: LiveQueue, event: QueueInput) -> None:
        self._deliver(queue, queue.machine.handle(event, time.monotonic()))
        self._set_timer()

    def _deliver(self, queue: LiveQueue, outputs: Iterable[QueueOutput]) -> None:
        for output in outputs:
            for call, partner in _addressees(output):
                place = queue.places.get(call)
                if place is None:
                    continue
                if isinstance(output, CallerDone | AgentDone):
                    del queue.places[call]
                other = queue.places.get(partner) if partner is not None else None
                told = FromQueue(
                    call_sid=call,
                    entry=place.order.entry,
                    queue_sid=queue.row.sid,
                    output=output,
                    partner=_leg(other),
                )
                self._bring(place.session, told)

    def _bring(self, session: QueueSession, told: FromQueue) -> None:
        asyncio.get_running_loop().call_soon(session.bring, told)

    def _set_timer(self) -> None:
        self._timer.set(queue.machine.next_deadline() for queue in self._queues.values())

    def _do_due(self) -> None:
        now = time.monotonic()
        for queue in self._queues.values():
            due = queue.machine.next_deadline()
            if due is not None and due <= now:
                self._deliver(queue, queue.machine.tick(now))
        self._set_timer()


def _leg(place: _Place | None) -> LegId | None:
    return None if place is None else place.order.leg


def _addressees(output: QueueOutput) -> tuple[tuple[CallSid, CallSid | None], ...]:
    """Return the calls that an output concerns, each with the call that it talks to."""
    match output:
        case BridgeCalls() | EndBridge():
            return (output.call, output.agent), (output.agent, output.call)
        case PlayRingback() | AgentDone():
            return ((output.agent, None),)
        case OrderRefused():
            return ()
        case _:
            return ((output.call, None),)
