"""Queues by REST (``web.api.queue_book.QueueBook``). Thread: the controller's loop."""

from datetime import UTC, datetime

from msgspec import structs

from b2bua.calls.orders import Redirected
from b2bua.core.ids import CallSid
from b2bua.node.queues import LiveQueue, Queues, Waiting
from b2bua.web.api.control import Callback
from b2bua.web.api.errors import ApiError, BadParameter, NotFound
from b2bua.web.api.queue_book import FRONT, MemberRecord, QueueRecord

__all__ = ["QueueDesk"]


class QueueDesk:
    """Reads and changes the node's queues.

    Args:
        queues: all of them.
    """

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    def queues(self) -> list[QueueRecord]:
        """Return the queues, the newest first."""
        return [self._record(each) for each in self._queues.all]

    def queue(self, sid: str) -> QueueRecord:
        """Return a queue."""
        return self._record(self._found(sid))

    def create(self, name: str, max_size: int) -> QueueRecord:
        """Make a queue."""
        self._claim(name, None)
        return self._record(self._queues.make(name, max_size))

    def update(self, sid: str, name: str | None, max_size: int | None) -> QueueRecord:
        """Change a queue; None: unchanged."""
        queue = self._found(sid)
        if name is not None:
            self._claim(name, queue)
        row = structs.replace(
            queue.row,
            friendly_name=name or queue.row.friendly_name,
            max_size=max_size or queue.row.max_size,
            updated_at=datetime.now(UTC),
        )
        self._queues.change(queue, row)
        return self._record(queue)

    def delete(self, sid: str) -> None:
        """Delete a queue in which nobody is."""
        if not self._queues.delete(self._found(sid)):
            raise ApiError(20409, f"Queue {sid} has members", status=409)

    def members(self, sid: str) -> list[MemberRecord]:
        """Return those who wait, the first one first."""
        queue = self._found(sid)
        return [_member(each, queue) for each in self._queues.waiting(queue)]

    def member(self, sid: str, call_sid: str) -> MemberRecord:
        """Return one who waits."""
        found = next((each for each in self.members(sid) if call_sid in (FRONT, each.call_sid)), None)
        if found is None:
            raise NotFound(f"Member {call_sid}")
        return found

    def prioritize(self, sid: str, call_sid: str, priority: int) -> MemberRecord:
        """Give one who waits another priority."""
        member = self.member(sid, call_sid)
        self._queues.prioritize(self._found(sid), CallSid(member.call_sid), priority)
        return self.member(sid, member.call_sid)

    def redirect(self, sid: str, call_sid: str, document: Callback) -> MemberRecord:
        """Let one who waits run a document instead."""
        member = self.member(sid, call_sid)
        call = CallSid(member.call_sid)
        order = Redirected(call_sid=call, url=document.url, method=document.method)
        self._queues.redirect(self._found(sid), call, order)
        return member

    def _found(self, sid: str) -> LiveQueue:
        queue = self._queues.find(sid)
        if queue is None:
            raise NotFound(f"Queue {sid}")
        return queue

    def _claim(self, name: str, owner: LiveQueue | None) -> None:
        if self._queues.named(name) not in (None, owner):
            raise BadParameter("FriendlyName", "another queue has this name")

    def _record(self, queue: LiveQueue) -> QueueRecord:
        return QueueRecord(
            sid=queue.row.sid,
            friendly_name=queue.row.friendly_name,
            max_size=queue.row.max_size,
            created_at=queue.row.created_at,
            updated_at=queue.row.updated_at,
            current_size=len(queue.machine.waiting),
            average_wait_s=self._queues.average_wait_s(queue),
        )


def _member(waiting: Waiting, queue: LiveQueue) -> MemberRecord:
    return MemberRecord(
        call_sid=waiting.call_sid,
        queue_sid=queue.row.sid,
        position=waiting.position,
        priority=waiting.priority,
        entered_at=waiting.entered_at,
        waited_s=waiting.waited_s,
    )
