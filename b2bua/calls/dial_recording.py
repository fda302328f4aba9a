"""The recording of one Dial: when it begins, whose voice is on which channel, when it ends.

The parent is the first channel, always. The second is the child, from the bridge on; before it only where
there is a single target, whose early media is the child's own: ringback that we make is nobody's voice.
Source: TwiML ``<Dial>``, ``record`` and ``recordingTrack`` (read November 2026).
"""

import msgspec

from b2bua.calls.orders import Output
from b2bua.calls.parameters import Parameters
from b2bua.calls.recording_plan import RecordingPlan
from b2bua.calls.recordings import CallRecordings, heard_by
from b2bua.core.dial_report import BranchReport, Bridged, DialSettled
from b2bua.core.ids import CallSid, LegId, RecordingSid
from b2bua.twiml import verbs

__all__ = ["DialRecording", "dial_recording_plan"]


def dial_recording_plan(
    verb: verbs.Dial, call_sid: CallSid, parent: LegId, callback_url: str
) -> RecordingPlan | None:
    """What the attributes of a Dial ask for; None: no recording.

    Args:
        verb: the Dial.
        call_sid: the parent's.
        parent: its leg.
        callback_url: absolute; empty: nobody wants to know.
    """
    if verb.record == "do-not-record":
        return None
    return RecordingPlan(
        call_sid=call_sid,
        source="DialVerb",
        parent=parent,
        # One track is what the parent hears, our ringback included.
        child=heard_by(parent) if verb.recording_track == "outbound" else None,
        dual=verb.record.endswith("-dual"),
        track=verb.recording_track,
        trim=verb.trim == "trim-silence",
        callback_url=callback_url,
        callback_method=verb.recording_status_callback_method,
        callback_events=verb.recording_status_callback_event,
    )


class DialRecording:
    """See the module's docstring.

    Args:
        verb: the Dial.
        plan: what to record.
        single: it has one target.
        recordings: the session's.
    """

    def __init__(
        self, verb: verbs.Dial, plan: RecordingPlan, recordings: CallRecordings, *, single: bool
    ) -> None:
        self._from_ringing = verb.record.startswith("record-from-ringing")
        self._plan = plan
        self._single = single
        self._recordings = recordings
        self._sid: RecordingSid | None = None
        self._over = False

    def follow(self, report: BranchReport | Bridged | DialSettled) -> list[Output]:
        """Do what this makes due."""
        match report:
            case BranchReport(stage="ringing") if self._from_ringing and self._sid is None and not self._over:
                return self._start(report.leg if self._single else None, report.at)
            case Bridged() if self._sid is None:
                return self._start(report.leg, report.at)
            case Bridged() if self._sid is not None and self._plan.track == "both":
                return self._recordings.set_child(self._sid, report.leg)
            case DialSettled():
                self._over = True
                return [] if self._sid is None else self._recordings.stop(self._sid, report.at)
        return []

    def parameters(self, now: float) -> Parameters:
        """What the ``action`` of the Dial is told; nothing where nothing was recorded."""
        return () if self._sid is None else self._recordings.parameters(self._sid, now)

    def _start(self, child: LegId | None, now: float) -> list[Output]:
        plan = self._plan
        if plan.child is None and child is not None:
            plan = msgspec.structs.replace(plan, child=child)
        self._sid, orders = self._recordings.start(plan, now)
        return orders
