"""In any order of events, every recording that was kept is finished once, and nothing follows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.calls.orders import ChangeRecording, FinishRecording, FollowRecording, KeepRecording, Output
from b2bua.calls.recording_plan import RecordingPlan
from b2bua.calls.recordings import CallRecordings, heard_by
from b2bua.core.commands import RecordLegs, StartRecording, StopRecording
from b2bua.core.events import LegEnded, RecordingStarted, RecordingStopped
from b2bua.core.ids import CallSid, LegId, RecordingSid
from tests.unit.calls.scene import Scene

pytestmark = [pytest.mark.unit, pytest.mark.no_cover]

LEGS = [LegId(name) for name in "abc"]
SIDS = [RecordingSid(f"RE{number}") for number in range(1, 5)]
legs, sids = st.sampled_from(LEGS), st.sampled_from(SIDS)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("start"), legs, legs),
        st.tuples(
            st.sampled_from(["stop", "started", "stopped", "paused", "in-progress", "change"]), sids, legs
        ),
        st.tuples(st.sampled_from(["leg ended", "child"]), legs, legs),
        st.tuples(st.just("time"), st.floats(0.0, 9.0), legs),
    ),
    max_size=40,
)


class Story:
    """Recordings, and their outputs."""

    def __init__(self) -> None:
        self.recordings = CallRecordings(Scene().context)
        self.now = 0.0
        self.kept: set[str] = set()
        self.finished: dict[str, FinishRecording] = {}
        self.stopped: set[str] = set()

    def saw(self, orders: list[Output]) -> None:
        for order in orders:
            match order:
                case KeepRecording():
                    assert order.recording not in self.kept
                    self.kept.add(order.recording)
                case StartRecording():
                    assert order.recording in self.kept
                case StopRecording():
                    assert order.recording not in self.stopped
                    self.stopped.add(order.recording)
                case RecordLegs() | FollowRecording():
                    assert order.recording not in self.finished
                case FinishRecording():
                    assert order.recording not in self.finished
                    self.finished[order.recording] = order

    def do(self, what: str, one: str | float, other: LegId) -> None:
        recordings, now = self.recordings, self.now
        match what, one:
            case "time", float():
                self.now += one
                self.saw(recordings.tick(self.now))
            case "start", str():
                plan = RecordingPlan(
                    call_sid=CallSid("CA1"), source="DialVerb", parent=LegId(one), child=heard_by(other)
                )
                self.saw(recordings.start(plan, now)[1])
            case _, str():
                self.saw(self._fact(what, one, other))

    def _fact(self, what: str, one: str, other: LegId) -> list[Output]:
        recordings, now, sid = self.recordings, self.now, RecordingSid(one)
        match what:
            case "stop":
                return recordings.stop(sid, now)
            case "started":
                return recordings.handle(RecordingStarted(recording=sid, at=now), now)
            case "stopped":
                event = RecordingStopped(recording=sid, at=now, files=(), duration_s=1.0)
                return recordings.handle(event, now)
            case "paused":
                return recordings.pause(sid, "skip" if other == "a" else "silence", now)
            case "in-progress":
                return recordings.resume(sid, now)
            case "change":
                status = "paused" if other == "a" else "stopped"
                return recordings.change(
                    ChangeRecording(call_sid=CallSid("CA1"), recording=None, status=status), now
                )
            case "child":
                return [order for sid in recordings.open for order in recordings.set_child(sid, other)]
            case _:
                ended = LegEnded(leg=LegId(one), at=now, cause="peer", sip_code=200, reason="", headers=())
                return recordings.handle(ended, now)


@given(steps)
def test_every_recording_is_finished_once_and_its_pauses_are_in_order(
    told: list[tuple[str, str | float, LegId]],
) -> None:
    story = Story()
    for what, one, other in told:
        story.do(what, one, other)
    for leg in LEGS:
        story.do("leg ended", leg, leg)
    for _ in story.kept:  # each may have a deadline of its own
        deadline = story.recordings.next_deadline()
        if deadline is not None:
            story.now = max(story.now, deadline)
            story.saw(story.recordings.tick(story.now))
    assert story.finished.keys() == story.kept
    assert story.recordings.open == ()
    assert story.recordings.next_deadline() is None
    for finished in story.finished.values():
        edges = [edge for pause in finished.pauses for edge in (pause.start_s, pause.end_s)]
        assert all(edge is not None for edge in edges[:-1])
        known = [edge for edge in edges if edge is not None]
        assert known == sorted(known)
