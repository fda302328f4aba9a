"""The recording of a Dial whose other party is not in this session: of a caller in a queue, of a room.

Its first channel is what the leg says, its second all that is sent to the leg. Sans I/O.
"""

from b2bua.calls.dial_recording import dial_recording_plan
from b2bua.calls.orders import Output
from b2bua.calls.parameters import Parameters
from b2bua.calls.recordings import heard_by
from b2bua.calls.verb_run import VerbContext
from b2bua.core.ids import RecordingSid
from b2bua.twiml import verbs

__all__ = ["OwnRecording"]


class OwnRecording:
    """Starts and stops the recording that a Dial asks for, if it does.

    Args:
        verb: the Dial.
        context: of its call.
    """

    def __init__(self, verb: verbs.Dial, context: VerbContext) -> None:
        self._verb = verb
        self._context = context
        self._sid: RecordingSid | None = None

    def start(self, now: float) -> list[Output]:
        """Record from now on; without effect if the Dial asks for no recording."""
        verb, context = self._verb, self._context
        callback, notes = "", list[Output]()
        if verb.recording_status_callback is not None:
            url, notes = context.resolve(verb.recording_status_callback)
            callback = url or ""
        leg = context.leg.id
        plan = dial_recording_plan(verb, context.report.call_sid, leg, callback)
        if plan is None:
            return []
        self._sid, orders = context.recordings.start(plan.of_child(heard_by(leg)), now)
        return [*notes, *orders]

    def stop(self, now: float) -> list[Output]:
        """Stop recording."""
        return [] if self._sid is None else self._context.recordings.stop(self._sid, now)

    def parameters(self, now: float) -> Parameters:
        """Return the parameters for the Dial's ``action``; none if nothing was recorded."""
        return () if self._sid is None else self._context.recordings.parameters(self._sid, now)
