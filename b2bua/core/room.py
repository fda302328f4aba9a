"""A conference room: who is in it, what each member hears, and what the application is told.

A room is a machine without I/O. It begins with its first entrant and ends exactly once: with the last member,
with one that has ``endConferenceOnExit``, or by order. A member hears one thing at a time: the mix, a wait
document or a hold document. Each entrant is told exactly once that it is out (``MemberDone``).

The room starts (``in-progress``) when two answered calls are in it, one of them with
``startConferenceOnEnter``; before that each hears its wait document. A call whose wait document must be
fetched joins when that has succeeded, or at once when the room starts by its arrival.

Files: ``room_table`` (states and transitions), ``room_inputs``, ``room_outputs``, ``room_course`` (shared
state, leaving and ending), ``room_entry``, ``room_orders``, ``room_sound``, ``room_speech``,
``room_announcements``.
Source: TwiML ``<Conference>``, its status callbacks, and the Conference and Participant resources (read
November 2026).
"""

from collections.abc import Callable
from typing import Any

from b2bua.core.ids import CallSid
from b2bua.core.room_course import RoomCourse
from b2bua.core.room_entry import RoomEntry
from b2bua.core.room_inputs import MemberAdded, MemberEntered, RoomInput
from b2bua.core.room_member import Member
from b2bua.core.room_orders import RoomOrders
from b2bua.core.room_outputs import RoomOutput
from b2bua.core.room_sound import RoomSound
from b2bua.core.room_table import MEMBER_STATES, TRANSITIONS, RoomState
from b2bua.core.unexpected import UnexpectedEvents

__all__ = ["Room"]


class Room:
    """One conference room."""

    def __init__(self) -> None:
        self.unexpected = UnexpectedEvents("room")
        """Inputs that were not legal, by state and name."""
        self._course = RoomCourse()
        self._sound = RoomSound(self._course)
        self._entry = RoomEntry(self._course)
        parts = (self._entry, RoomOrders(self._course), self._sound)
        self._handlers: dict[str, Callable[[Any, float], None]] = {
            name: getattr(part, name) for part in parts for name in dir(part) if name.startswith("on_")
        }

    @property
    def state(self) -> RoomState:
        """The state of the room."""
        return self._course.state

    @property
    def members(self) -> tuple[Member, ...]:
        """Those in the room or on their way to it; read only."""
        return tuple(self._course.members.values())

    @property
    def watched(self) -> bool:
        """Whether it is known who speaks."""
        return self._sound.watched

    @property
    def recorded(self) -> bool:
        """Whether a recording runs."""
        return self._course.recorded

    def find(self, label_or_call: str) -> Member | None:
        """Return the member with this CallSid or label."""
        member = self._course.members.get(CallSid(label_or_call))
        labelled = (each for each in self.members if each.entrant.label == label_or_call != "")
        return member or next(labelled, None)

    def handle(self, event: RoomInput, now: float) -> list[RoomOutput]:
        """Handle a fact or an order, and return what follows from it, in order.

        An input that is not legal in the room's state or in its member's is counted and changes nothing.

        Args:
            event: the input.
            now: monotonic seconds.
        """
        handler = TRANSITIONS.get((self.state, type(event)))
        if handler is None or (handler and not self._fits(event)):
            self.unexpected.note(f"{self.state} {type(event).__name__}")
            return []
        if handler:
            self._handlers[handler](event, now)
            self._sound.settle(now)
        return self._course.take()

    def next_deadline(self) -> float | None:
        """Return when ``tick`` has something to do (monotonic seconds); None: nothing is due."""
        deadlines = (self._sound.next_deadline(), self._course.end_at)
        return min((at for at in deadlines if at is not None), default=None)

    def tick(self, now: float) -> list[RoomOutput]:
        """Handle what is due."""
        self._sound.tick(now)
        self._entry.end_if_due(now)
        self._sound.settle(now)
        return self._course.take()

    def _fits(self, event: RoomInput) -> bool:
        if isinstance(event, MemberEntered | MemberAdded):
            return event.entrant.call not in self._course.members
        states = MEMBER_STATES.get(type(event))
        if states is None:
            return True
        member = self._course.members.get(event.call)  # type: ignore[union-attr]
        return member is not None and member.state in states
