"""The status callbacks of an ``<Enqueue>``: joined, offered, bridged, left. Sans I/O.

They are our own extension, and are sent in the order of the call's other callbacks.
"""

from typing import cast

from b2bua.calls.orders import Output, ReportStatus
from b2bua.calls.parameters import Parameters
from b2bua.calls.verb_run import VerbContext
from b2bua.core.queue_inputs import QueueEventName
from b2bua.core.queue_outputs import QueueEvent
from b2bua.twiml import verbs

__all__ = ["QueueCallback"]


class QueueCallback:
    """Reports what happens to one caller in its queue.

    Args:
        verb: the Enqueue.
        context: of its call.
    """

    def __init__(self, verb: verbs.Enqueue, context: VerbContext) -> None:
        self._verb = verb
        self._context = context
        self._url: str | None = None
        self._sent = 0

    def open(self) -> tuple[list[Output], frozenset[QueueEventName]]:
        """Return the events that are wanted, after findings about the address."""
        if not self._verb.status_callback:
            return [], frozenset()
        self._url, notes = self._context.resolve(self._verb.status_callback)
        events = cast(tuple[QueueEventName, ...], self._verb.status_callback_event)
        return notes, frozenset(events if self._url else ())

    def report(self, event: QueueEvent, queue_sid: str) -> list[Output]:
        """Send an event."""
        if self._url is None:
            return []
        context, number = self._context, self._sent
        self._sent += 1
        params: Parameters = (
            *context.report.standard(context.leg),
            ("StatusCallbackEvent", event.name),
            ("QueueSid", queue_sid),
            ("FriendlyName", self._verb.name),
            ("QueueTime", str(event.waited_s)),
            ("QueuePosition", str(event.position)),
            ("CurrentQueueSize", str(event.size)),
        )
        if event.agent is not None:
            params += (("DequeingCallSid", event.agent),)
        if event.result is not None:
            params += (("QueueResult", event.result), ("BridgeDuration", str(event.bridge_s)))
        return [
            ReportStatus(
                call_sid=context.report.call_sid,
                url=self._url,
                method=self._verb.status_callback_method,
                params=(*params, ("SequenceNumber", str(number))),
            )
        ]
