"""The queues of the node, as the API sees them."""

from datetime import datetime
from typing import Protocol

import msgspec

from b2bua.web.api.control import Callback

__all__ = ["FRONT", "MAX_QUEUE_NAME", "MAX_QUEUE_SIZE", "MemberRecord", "QueueBook", "QueueRecord"]

FRONT = "Front"
"""Used in place of a CallSid for the first of those who wait."""
MAX_QUEUE_NAME = 64
MAX_QUEUE_SIZE = 5000


class QueueRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A queue, and how full it is now."""

    sid: str
    friendly_name: str
    max_size: int
    created_at: datetime
    updated_at: datetime
    current_size: int
    average_wait_s: int
    """Mean wait of those who wait now; 0: nobody does."""


class MemberRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A call that waits in a queue."""

    call_sid: str
    queue_sid: str
    position: int
    """1: the first."""
    priority: int
    """0..999; those with a higher one come first."""
    entered_at: datetime
    waited_s: int


class QueueBook(Protocol):
    """All queues. Methods that name a queue or a member raise NotFound if there is none."""

    def queues(self) -> list[QueueRecord]:
        """Return the queues, the newest first."""

    def queue(self, sid: str) -> QueueRecord:
        """Return a queue."""

    def create(self, name: str, max_size: int) -> QueueRecord:
        """Make a queue; raises BadParameter if the name is taken."""

    def update(self, sid: str, name: str | None, max_size: int | None) -> QueueRecord:
        """Change a queue; None: unchanged. Nobody who waits has to leave."""

    def delete(self, sid: str) -> None:
        """Delete a queue; raises ApiError if somebody is in it."""

    def members(self, sid: str) -> list[MemberRecord]:
        """Return those who wait, the first one first."""

    def member(self, sid: str, call_sid: str) -> MemberRecord:
        """Return one who waits; ``FRONT``: the first one."""

    def prioritize(self, sid: str, call_sid: str, priority: int) -> MemberRecord:
        """Give one who waits another priority; returns it at its new position."""

    def redirect(self, sid: str, call_sid: str, document: Callback) -> MemberRecord:
        """Take one who waits out of the queue, and let its call run a document; returns it as it was."""
