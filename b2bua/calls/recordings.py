"""All recordings of a session: started, paused, moved between legs, stopped, and handed over to be finished.

A recording belongs to a call and is made from two legs. Its originator (a Dial, a Record verb, REST) starts
and stops it here; it also stops on its own when its parent leg has ended. Sans I/O: the worker records; the
node stores, finishes and reports.

::

    starting ──RecordingStarted──> recording <──pause, resume──> paused
        └──────────────── any ──stop, the parent has ended──> stopping ──RecordingStopped, too late──> gone

Every recording announced by ``KeepRecording`` is finished by ``FinishRecording`` exactly once, whatever the
worker reports or fails to report.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import msgspec

from b2bua.calls.context import SessionContext
from b2bua.calls.orders import ChangeRecording, FinishRecording, FollowRecording, KeepRecording, Output
from b2bua.calls.parameters import Parameters
from b2bua.calls.recording_plan import PauseBehavior, PauseSpan, RecordingPlan
from b2bua.core.commands import RecordLegs, StartRecording, StopRecording
from b2bua.core.deadlines import earliest
from b2bua.core.events import LegEnded, RecordingStarted, RecordingStopped
from b2bua.core.ids import CallSid, LegId, RecordingSid

__all__ = ["STOP_LIMIT_S", "CallRecordings", "heard_by", "leg_heard"]

STOP_LIMIT_S = 5.0
"""A worker completes its files within a tenth of a second, and gives up after two seconds."""

_TO = "to:"


def heard_by(leg: LegId) -> LegId:
    """Return the recording child that stands for everything this leg hears from us, from any source."""
    return LegId(f"{_TO}{leg}")


def leg_heard(side: LegId) -> LegId | None:
    """Return the leg for which ``heard_by`` has made this side; None if the side is a leg itself."""
    return LegId(side.removeprefix(_TO)) if side.startswith(_TO) else None


class _State(StrEnum):
    STARTING = "starting"
    RECORDING = "recording"
    PAUSED = "paused"
    STOPPING = "stopping"


_STATUS: dict[_State, Literal["in-progress", "paused", "stopped"]] = {
    _State.STARTING: "in-progress",
    _State.RECORDING: "in-progress",
    _State.PAUSED: "paused",
    _State.STOPPING: "stopped",
}
"""The status names used towards the application."""


class _Paused(msgspec.Struct):
    start: float
    end: float | None
    """Both in monotonic seconds."""
    behavior: PauseBehavior


@dataclass(slots=True)
class _Recording:
    plan: RecordingPlan
    asked_at: float
    state: _State = _State.STARTING
    began_at: float | None = None
    stop_by: float | None = None
    pauses: list[_Paused] = field(default_factory=list)

    def spans(self) -> tuple[PauseSpan, ...]:
        """Return the pauses as positions in the raw files."""
        zero = self.asked_at if self.began_at is None else self.began_at
        return tuple(
            PauseSpan(
                start_s=max(0.0, each.start - zero),
                end_s=None if each.end is None else max(0.0, each.end - zero),
                behavior=each.behavior,
            )
            for each in self.pauses
        )

    def length_s(self, now: float) -> float:
        """Return the length of the recorded sound so far, without skipped pauses."""
        zero = self.asked_at if self.began_at is None else self.began_at
        skipped = (
            (now if each.end is None else each.end) - max(each.start, zero)
            for each in self.pauses
            if each.behavior == "skip"
        )
        return max(0.0, now - zero - sum(skipped))


class CallRecordings:
    """The recordings of one session.

    Args:
        context: the session's context.
    """

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._recordings: dict[RecordingSid, _Recording] = {}
        self.last: RecordingSid | None = None
        """The recording that was started last."""

    @property
    def open(self) -> tuple[RecordingSid, ...]:
        """Recordings whose raw files may still grow; they are lost if their worker is lost."""
        return tuple(self._recordings)

    def of_call(self, call_sid: CallSid) -> tuple[RecordingSid, ...]:
        """Return the recordings of a call that can be paused and stopped, oldest first."""
        return tuple(
            sid
            for sid, each in self._recordings.items()
            if each.plan.call_sid == call_sid and each.state is not _State.STOPPING
        )

    def is_open(self, recording: RecordingSid) -> bool:
        """Return whether a recording has not been stopped."""
        found = self._recordings.get(recording)
        return found is not None and found.state is not _State.STOPPING

    def parameters(self, recording: RecordingSid, now: float) -> Parameters:
        """Return the ``action`` parameters for a recording that is running or was just stopped."""
        context = self._context
        url = f"{context.public_url}/2010-04-01/Accounts/{context.account_sid}/Recordings/{recording}"
        found = self._recordings.get(recording)
        length = (("RecordingDuration", str(round(found.length_s(now)))),) if found is not None else ()
        return (("RecordingUrl", url), ("RecordingSid", recording), *length)

    # -- orders -------------------------------------------------------------------------------------

    def start(self, plan: RecordingPlan, now: float) -> tuple[RecordingSid, list[Output]]:
        """Start a recording; return its identifier and the orders."""
        sid = self._context.ids.recording_sid()
        stem = f"{self._context.raw_recordings}/{sid}"
        self._recordings[sid] = _Recording(plan, now)
        self.last = sid
        return sid, [
            KeepRecording(recording=sid, plan=plan, stem=stem),
            StartRecording(recording=sid, stem=stem, parent=plan.parent, child=plan.child),
        ]

    def stop(self, recording: RecordingSid, now: float) -> list[Output]:
        """Stop a recording; nothing if it was stopped before."""
        found = self._recordings.get(recording)
        if found is None or found.state is _State.STOPPING:
            return []
        found.state, found.stop_by = _State.STOPPING, now + STOP_LIMIT_S
        return [StopRecording(recording=recording)]

    def pause(self, recording: RecordingSid, behavior: PauseBehavior, now: float) -> list[Output]:
        """Pause a recording; if it is paused already, a different behaviour applies from now on."""
        if not self.is_open(recording):
            return []
        found = self._recordings[recording]
        if found.state is _State.PAUSED:
            if found.pauses[-1].behavior == behavior:
                return []
            found.pauses[-1].end = now
        found.pauses.append(_Paused(now, None, behavior))
        found.state = _State.PAUSED
        return [self._follow(recording)]

    def resume(self, recording: RecordingSid, now: float) -> list[Output]:
        """Resume a recording after a pause."""
        found = self._recordings.get(recording)
        if found is None or found.state is not _State.PAUSED:
            return []
        found.pauses[-1].end = now
        found.state = _State.STARTING if found.began_at is None else _State.RECORDING
        return [self._follow(recording)]

    def change(self, event: ChangeRecording, now: float) -> list[Output]:
        """Carry out a change requested through REST."""
        orders: list[Output] = []
        for sid in self.of_call(event.call_sid):
            if event.recording not in (None, sid):
                continue
            match event.status:
                case "paused":
                    orders += self.pause(sid, event.behavior, now)
                case "in-progress":
                    orders += self.resume(sid, now)
                case "stopped":
                    orders += [*self.stop(sid, now), self._follow(sid)]
        return orders

    def set_child(self, recording: RecordingSid, child: LegId) -> list[Output]:
        """Record another leg on the second channel from now on."""
        found = self._recordings.get(recording)
        if found is None or found.plan.child == child:
            return []
        return self._set_legs(recording, found.plan.parent, child)

    # -- facts --------------------------------------------------------------------------------------

    def handle(self, event: RecordingStarted | RecordingStopped | LegEnded, now: float) -> list[Output]:
        """Take a fact; it may concern legs that are not recorded."""
        match event:
            case RecordingStarted():
                return self._started(event)
            case RecordingStopped():
                return self._stopped(event)
            case LegEnded():
                ended = [sid for sid, each in self._recordings.items() if each.plan.parent == event.leg]
                return [order for sid in ended for order in self.stop(sid, now)]

    def next_deadline(self) -> float | None:
        """Return when ``tick`` is due next, in monotonic seconds; None: never."""
        return earliest(*[each.stop_by for each in self._recordings.values()]) if self._recordings else None

    def tick(self, now: float) -> list[Output]:
        """Stop waiting for a worker that has not completed its files in time."""
        late = [
            sid for sid, each in self._recordings.items() if each.stop_by is not None and each.stop_by <= now
        ]
        return [
            order
            for sid in late
            for order in self._stopped(
                RecordingStopped(
                    recording=sid, at=now, files=(), duration_s=0.0, reason="the worker did not complete it"
                )
            )
        ]

    def _started(self, event: RecordingStarted) -> list[Output]:
        sid = RecordingSid(event.recording)
        found = self._recordings.get(sid)
        if found is None or found.began_at is not None:
            return []
        found.began_at = event.at
        if found.state is _State.STARTING:
            found.state = _State.RECORDING
        return [self._follow(sid)]

    def _stopped(self, event: RecordingStopped) -> list[Output]:
        sid = RecordingSid(event.recording)
        found = self._recordings.pop(sid, None)
        if found is None:
            return []
        return [
            FinishRecording(
                recording=sid,
                pauses=found.spans(),
                duration_s=event.duration_s,
                reason=event.reason,
            )
        ]

    def _set_legs(self, sid: RecordingSid, parent: LegId, child: LegId | None) -> list[Output]:
        found = self._recordings[sid]
        found.plan = msgspec.structs.replace(found.plan, parent=parent, child=child)
        if found.state is _State.STOPPING:
            return []
        return [RecordLegs(recording=sid, parent=parent, child=child)]

    def _follow(self, sid: RecordingSid) -> FollowRecording:
        found = self._recordings[sid]
        status = _STATUS[found.state]
        return FollowRecording(recording=sid, status=status, pauses=found.spans(), began_at=found.began_at)
