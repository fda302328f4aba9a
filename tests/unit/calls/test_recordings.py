"""When a call is recorded, which legs are on which channel, and what is reported."""

import pytest

from b2bua.calls.orders import (
    CallCanceled,
    ChangeRecording,
    FinishRecording,
    FollowRecording,
    KeepRecording,
    RecordCall,
    RecordingFinished,
)
from b2bua.calls.recordings import STOP_LIMIT_S, heard_by
from b2bua.calls.session import MAX_RECORDINGS
from b2bua.core.commands import EndSession, RecordLegs, StartRecording, StopRecording
from b2bua.core.events import RecordingStarted, RecordingStopped
from b2bua.core.ids import CallSid, LegId, RecordingSid
from tests.unit.calls.scene import A, Scene

pytestmark = pytest.mark.unit

B = LegId("b1")
ALL_RECORD_VALUES = [
    ("do-not-record", None, None),
    ("false", None, None),
    ("true", "answer", False),
    ("record-from-answer", "answer", False),
    ("record-from-ringing", "ringing", False),
    ("record-from-answer-dual", "answer", True),
    ("record-from-ringing-dual", "ringing", True),
    ("record-from-start", None, None),
    ("yes", None, None),
    ("", None, None),
]
"""Value, beginning, two channels; the last three values are invalid."""


def dialling(targets: int = 1, **attributes: str) -> Scene:
    words = "".join(f' {name}="{value}"' for name, value in attributes.items())
    nouns = "".join(f"<Sip>sip:{n}@192.0.2.9</Sip>" for n in range(targets))
    return Scene().document(f"<Response><Dial{words}>{nouns}</Dial></Response>").confirms()


def started(scene: Scene) -> "Scene":
    (order,) = scene.all(StartRecording)
    return scene.bring(RecordingStarted(recording=order.recording, at=scene.now))


def stopped(scene: Scene, duration_s: float = 1.0, reason: str = "") -> Scene:
    (order,) = scene.all(StartRecording)
    return scene.bring(
        RecordingStopped(
            recording=order.recording, at=scene.now, files=order.files, duration_s=duration_s, reason=reason
        )
    )


class TestDial:
    @pytest.mark.parametrize(("value", "begins", "dual"), ALL_RECORD_VALUES)
    def test_each_value_of_record(self, value: str, begins: str | None, dual: bool | None) -> None:
        scene = dialling(record=value)
        assert scene.all(StartRecording) == []
        scene.rings()
        assert len(scene.all(StartRecording)) == (begins == "ringing")
        scene.answers()
        assert [order.plan.dual for order in scene.all(KeepRecording)] == ([] if dual is None else [dual])

    def test_the_parent_is_the_first_channel_and_the_callee_the_second(self) -> None:
        scene = dialling(record="true").answers()
        (order,) = scene.all(StartRecording)
        assert (order.parent, order.child) == (A, B)
        assert order.stem == "/raw/RE1"

    def test_it_is_noted_before_it_is_begun(self) -> None:
        kinds = dialling(record="true").answers().kinds()
        assert kinds.index("KeepRecording") < kinds.index("StartRecording")

    def test_a_single_targets_early_media_is_on_the_second_channel(self) -> None:
        scene = dialling(record="record-from-ringing").rings(early_media=True)
        (order,) = scene.all(StartRecording)
        assert order.child == B
        assert scene.answers().all(RecordLegs) == []

    def test_of_several_that_ring_none_is_on_it_before_the_bridge(self) -> None:
        scene = dialling(2, record="record-from-ringing").rings("b1").rings("b2")
        (order,) = scene.all(StartRecording)
        assert order.child is None
        scene.answers("b2")
        assert [legs.child for legs in scene.all(RecordLegs)] == ["b2"]

    def test_an_answer_without_ringing_begins_it_as_well(self) -> None:
        assert len(dialling(record="record-from-ringing").answers().all(StartRecording)) == 1

    def test_nothing_is_recorded_of_a_dial_that_nobody_answers(self) -> None:
        scene = dialling(record="true").rings().ends("b1", 486)
        assert scene.all(KeepRecording) == []

    def test_it_ends_with_the_dial_and_not_with_the_call(self) -> None:
        scene = Scene().document(
            '<Response><Dial record="true"><Sip>sip:1@192.0.2.9</Sip></Dial><Pause length="9"/></Response>'
        )
        started(scene.confirms().answers()).ends("b1")
        assert [order.recording for order in scene.all(StopRecording)] == ["RE1"]

    @pytest.mark.parametrize(("track", "child"), [("inbound", B), ("outbound", heard_by(A)), ("both", B)])
    def test_a_single_track(self, track: str, child: LegId) -> None:
        scene = dialling(record="record-from-answer-dual", recordingTrack=track).answers()
        (kept,) = scene.all(KeepRecording)
        assert (kept.plan.track, kept.plan.child) == (track, child)
        assert kept.plan.channels == (2 if track == "both" else 1)

    def test_the_callback_is_resolved_against_the_document(self) -> None:
        scene = dialling(
            record="true",
            trim="trim-silence",
            recordingStatusCallback="/recorded",
            recordingStatusCallbackMethod="GET",
            recordingStatusCallbackEvent="in-progress absent",
        ).answers()
        plan = scene.all(KeepRecording)[0].plan
        assert plan.trim
        assert plan.callback_url == "http://app.test/recorded"
        assert (plan.callback_method, plan.callback_events) == ("GET", ("in-progress", "absent"))
        assert plan.call_sid == "CA1"

    def test_the_action_is_told_where_it_will_be(self) -> None:
        scene = started(dialling(record="true", action="/after").answers())
        scene.now = 7.0
        told = dict(scene.ends("b1").last_fetch().params)
        assert told["RecordingUrl"] == "http://node.test/2010-04-01/Accounts/AC1/Recordings/RE1"
        assert (told["RecordingSid"], told["RecordingDuration"]) == ("RE1", "7")

    def test_the_action_of_a_dial_that_was_not_recorded_is_told_nothing(self) -> None:
        told = dict(dialling(record="true", action="/after").ends("b1", 486).last_fetch().params)
        assert not any(name.startswith("Recording") for name in told)

    def test_a_dial_that_is_dropped_has_its_recording_finished(self) -> None:
        scene = started(dialling(record="true").answers())
        scene.bring(CallCanceled(by="api"))
        assert len(scene.all(StopRecording)) == 1
        assert len(stopped(scene).all(FinishRecording)) == 1


class TestEnd:
    def test_the_session_waits_for_the_raw_files(self) -> None:
        scene = started(dialling(record="true").answers()).ends("a").ends("b1", ours=True)
        assert scene.all(EndSession) == []
        stopped(scene)
        assert scene.kinds()[-2:] == ["FinishRecording", "EndSession"]

    def test_but_not_for_ever(self) -> None:
        scene = started(dialling(record="true").answers()).ends("a").ends("b1", ours=True)
        scene.at(STOP_LIMIT_S + 0.1)
        (finish,) = scene.all(FinishRecording)
        assert "did not complete" in finish.reason
        assert scene.kinds()[-1] == "EndSession"
        assert len(stopped(scene).all(FinishRecording)) == 1

    def test_what_the_node_says_of_the_file_later_changes_nothing(self) -> None:
        scene = stopped(started(dialling(record="true").answers()).ends("a").ends("b1", ours=True))
        scene.take()
        scene.bring(RecordingFinished(recording=RecordingSid("RE1"), status="completed", duration_s=1.0))
        assert scene.orders == []

    def test_one_that_could_not_be_begun_is_finished_too(self) -> None:
        scene = stopped(dialling(record="true").answers(), 0.0, "No space left on device")
        (finish,) = scene.all(FinishRecording)
        assert (finish.recording, finish.reason) == ("RE1", "No space left on device")
        scene.ends("b1")
        assert scene.all(StopRecording) == []


class TestRest:
    def record(self, scene: Scene, call_sid: str = "CA1") -> Scene:
        return scene.bring(RecordCall(call_sid=CallSid(call_sid), dual=True, track="both", trim=False))

    def test_the_second_channel_is_all_that_the_party_hears(self) -> None:
        scene = self.record(Scene().document("<Response><Say>Hello</Say></Response>").confirms())
        (kept,) = scene.all(KeepRecording)
        assert (kept.plan.parent, kept.plan.child) == (A, heard_by(A))
        assert kept.plan.source == "StartCallRecordingAPI"

    def test_a_child_call_can_be_recorded(self) -> None:
        scene = self.record(dialling().answers(), "CA2")
        assert [order.parent for order in scene.all(StartRecording)] == [B]

    def test_a_call_that_is_not_answered_cannot(self) -> None:
        scene = self.record(dialling(answerOnBridge="true"))
        assert scene.all(KeepRecording) == []

    def test_there_are_no_more_at_a_time_than_the_worker_holds(self) -> None:
        scene = dialling().answers()
        for _ in range(MAX_RECORDINGS + 1):
            self.record(scene)
        assert len(scene.all(KeepRecording)) == MAX_RECORDINGS

    def test_it_ends_with_its_leg(self) -> None:
        scene = started(self.record(dialling().answers(), "CA2")).ends("b1")
        assert len(scene.all(StopRecording)) == 1

    def change(self, scene: Scene, status: str, at: float, **more: str) -> Scene:
        scene.now = at
        facts = {"call_sid": "CA1", "recording": None, "status": status, **more}
        return scene.bring(ChangeRecording(**facts))

    def test_pauses_lie_where_the_raw_files_have_them(self) -> None:
        scene = dialling()
        scene.now = 10.0
        started(self.record(scene))
        self.change(scene, "paused", 11.0, behavior="skip")
        self.change(scene, "in-progress", 13.0)
        self.change(scene, "paused", 14.0)
        self.change(scene, "stopped", 15.0)
        stopped(scene)
        spans = [(p.start_s, p.end_s, p.behavior) for p in scene.all(FinishRecording)[0].pauses]
        assert spans == [(1.0, 3.0, "skip"), (4.0, None, "silence")]
        assert [order.status for order in scene.all(FollowRecording)] == [
            "in-progress", "paused", "in-progress", "paused", "stopped",
        ]  # fmt: skip

    def test_a_pause_before_the_first_frame_begins_with_it(self) -> None:
        scene = self.record(dialling())
        self.change(scene, "paused", 0.5)
        scene.now = 1.0
        started(scene)
        assert scene.all(FollowRecording)[-1].pauses[0].start_s == 0.0
        assert scene.all(FollowRecording)[-1].status == "paused"

    def test_another_behaviour_counts_from_when_it_is_said(self) -> None:
        scene = started(self.record(dialling()))
        self.change(scene, "paused", 1.0)
        self.change(scene, "paused", 2.0)
        self.change(scene, "paused", 3.0, behavior="skip")
        spans = [(p.start_s, p.end_s, p.behavior) for p in scene.all(FollowRecording)[-1].pauses]
        assert spans == [(1.0, 3.0, "silence"), (3.0, None, "skip")]

    @pytest.mark.parametrize("status", ["in-progress", "paused", "stopped"])
    def test_nothing_changes_one_that_is_not_there(self, status: str) -> None:
        scene = dialling()
        scene.take()
        assert self.change(scene, status, 1.0).orders == []
        assert self.change(scene, status, 1.0, recording="RE9").orders == []

    def test_a_second_stop_and_a_pause_after_it_do_nothing(self) -> None:
        scene = started(self.record(dialling()))
        self.change(scene, "stopped", 1.0)
        scene.take()
        assert self.change(scene, "stopped", 1.0).orders == []
        assert self.change(scene, "paused", 1.0).orders == []
