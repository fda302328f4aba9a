"""The announcements of a room: one at a time for the room, and for each member; the others wait in order."""

from typing import Final

import msgspec

from b2bua.core.ids import CallSid
from b2bua.core.room_inputs import Document
from b2bua.core.room_outputs import PlayAnnouncement

__all__ = ["MAX_ANNOUNCEMENTS", "Announcement", "Announcements"]

MAX_ANNOUNCEMENTS: Final = 10
"""Announcements for one target, the playing one included."""


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """One announcement."""

    number: int
    call: CallSid | None
    """None: the room."""
    document: Document


class Announcements:
    """All announcements of one room, by their target."""

    def __init__(self) -> None:
        self._last = 0
        self._queues: dict[CallSid | None, list[Announcement]] = {}
        """The first of each plays."""

    def full(self, call: CallSid | None) -> bool:
        """Return whether this target can have no more."""
        return len(self._queues.get(call, ())) >= MAX_ANNOUNCEMENTS

    def add(self, call: CallSid | None, document: Document) -> list[PlayAnnouncement]:
        """Add one for the room or for a member, and return what is to be played now."""
        self._last += 1
        announcement = Announcement(number=self._last, call=call, document=document)
        queue = self._queues.setdefault(call, [])
        queue.append(announcement)
        return [_play(announcement)] if len(queue) == 1 else []

    def ended(self, number: int) -> tuple[Announcement | None, list[PlayAnnouncement]]:
        """Take out the playing announcement ``number``; return it, if it is one, and what is to be played."""
        for call, queue in self._queues.items():
            if queue[0].number == number:
                over = queue.pop(0)
                if not queue:
                    del self._queues[call]
                return over, [_play(queue[0])] if queue else []
        return None, []

    def drop(self, call: CallSid | None) -> list[Announcement]:
        """Take out all announcements of a target, and return them; the first one plays."""
        return self._queues.pop(call, [])


def _play(announcement: Announcement) -> PlayAnnouncement:
    return PlayAnnouncement(
        announcement=announcement.number, call=announcement.call, document=announcement.document
    )
