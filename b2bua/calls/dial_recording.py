"""The recording of one Dial: when it begins, whose voice is on which channel, and when it ends.

The parent is always on the first channel. The child is on the second from the bridge on; earlier only if the
Dial has a single target, so that its early media can be recorded: our own ringback is not a party's voice.
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
    """Return the recording plan that a Dial's attributes ask for; None: no recording.

    Args:
        verb: the Dial.
        call_sid: the parent call.
        parent: the parent's leg.
        callback_url: absolute; empty: no callbacks are sent.
    """
    if verb.record == "do-not-record":
        return None
    return RecordingPlan(
        call_sid=call_sid,
        source="DialVerb",
        parent=parent,
        # The outbound track is what the parent hears, including our ringback.
        child=heard_by(parent) if verb.recording_track == "outbound" else None,
        dual=verb.record.endswith("-dual"),
        track=verb.recording_track,
        trim=verb.trim == "trim-silence",
        callback_url=callback_url,
        callback_method=verb.recording_status_callback_method,
        callback_events=verb.recording_status_callback_event,
    )


class DialRecording:
    """Starts and stops the recording of one Dial as the Dial progresses.

    Args:
        verb: the Dial.
        plan: what to record.
        single: whether the Dial has only one target.
        recordings: the session's recordings.
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
        """Start, adapt or stop the recording, as the Dial's progress requires."""
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
        """Return the parameters for the Dial's ``action``; none if nothing was recorded."""
        return () if self._sid is None else self._recordings.parameters(self._sid, now)

    def _start(self, child: LegId | None, now: float) -> list[Output]:
        plan = self._plan
        if plan.child is None and child is not None:
            plan = msgspec.structs.replace(plan, child=child)
        self._sid, orders = self._recordings.start(plan, now)
        return orders
