"""Who makes a recording: the relay, the parent leg's host, or first one and then the other."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.calls.recording_placement import HostPart, RecordingPlacement
from b2bua.calls.recordings import heard_by
from b2bua.core.commands import RecordingCommand, RecordLegs, StartRecording, StopRecording
from b2bua.core.events import RecordingStarted, RecordingStopped
from b2bua.core.ids import HostId, LegId, RecordingSid
from b2bua.core.relay_orders import AudioSide, AudioTapped, AudioUntapped, TapAudio, UntapAudio
from tests.effort import examples

pytestmark = pytest.mark.unit

A, B, C = LegId("a"), LegId("b"), LegId("c")
W1, W2 = HostId("w1"), HostId("w2")
SID = RecordingSid("RE1")


class Scene:
    """A placement, and what it has ordered and told."""

    def __init__(self, *, by_relay: bool = True) -> None:
        self.recordings = RecordingPlacement({A: W1, B: W1, C: W2}, W1, by_relay=by_relay)
        self.told: list[RecordingStarted | RecordingStopped] = []

    def start(self, parent: LegId = A, child: LegId | None = B) -> list[object]:
        return self.do(StartRecording(recording=SID, stem="/raw/RE1", parent=parent, child=child))

    def stop(self) -> list[object]:
        return self.do(StopRecording(recording=SID))

    def do(self, order: RecordingCommand) -> list[object]:
        """What hosts and relay are told."""
        return [*self.recordings.order(order), *self.recordings.take_taps()]

    def described(self, leg: LegId, recordable: bool) -> list[object]:
        return [*self.recordings.described(leg, recordable=recordable), *self.recordings.take_taps()]

    def happens(
        self, event: RecordingStarted | RecordingStopped | AudioTapped | AudioUntapped
    ) -> list[object]:
        self.told += self.recordings.handle(event)
        return [*self.recordings.take_taps()]

    def tapped(self, at: float = 10.0) -> list[object]:
        return self.happens(AudioTapped(recording=SID, at=at))

    def untapped(self, at: float, reason: str = "") -> list[object]:
        return self.happens(AudioUntapped(recording=SID, at=at, reason=reason))

    def host_begins(self, at: float) -> list[object]:
        return self.happens(RecordingStarted(recording=SID, at=at))

    def host_ends(self, at: float, reason: str = "") -> list[object]:
        return self.happens(
            RecordingStopped(recording=SID, at=at, files=("p", "c"), duration_s=9.9, reason=reason)
        )


def tap(parent: AudioSide, child: AudioSide | None) -> TapAudio:
    return TapAudio(recording=SID, path="/raw/RE1.rtp", parent=parent, child=child)


UNTAP = UntapAudio(recording=SID)


def test_the_relay_records() -> None:
    scene = Scene()
    assert scene.start() == [tap(AudioSide(leg=A), AudioSide(leg=B))]
    scene.tapped(10.0)
    assert not scene.recordings.hosts
    assert scene.stop() == [UNTAP]
    scene.untapped(14.5)
    assert scene.told == [
        RecordingStarted(recording=SID, at=10.0),
        RecordingStopped(recording=SID, at=14.5, files=(), duration_s=4.5),
    ]


def test_what_a_leg_hears_is_recorded_as_what_is_sent_to_it() -> None:
    scene = Scene()
    assert scene.start(A, heard_by(A)) == [tap(AudioSide(leg=A), AudioSide(leg=A, heard=True))]
    assert Scene().start(A, None) == [tap(AudioSide(leg=A), None)]


def test_the_relay_changes_the_sides() -> None:
    scene = Scene()
    scene.start()
    change = RecordLegs(recording=SID, parent=A, child=C)
    assert scene.do(change) == [tap(AudioSide(leg=A), AudioSide(leg=C))]


def test_without_a_relay_the_parents_host_records() -> None:
    scene = Scene(by_relay=False)
    started = StartRecording(recording=SID, stem="/raw/RE1", parent=C, child=B)
    assert scene.do(started) == [(W2, started)]
    assert scene.recordings.hosts == {W2}
    scene.host_begins(10.0)
    change = RecordLegs(recording=SID, parent=C, child=A)
    assert scene.do(change) == [(W2, change)]
    stop = StopRecording(recording=SID)
    assert scene.do(stop) == [(W2, stop)]
    scene.host_ends(14.0)
    assert scene.told[-1] == RecordingStopped(recording=SID, at=14.0, files=("p", "c"), duration_s=9.9)
    assert not scene.recordings.hosts


@pytest.mark.parametrize("side", [B, heard_by(B)])
def test_a_leg_known_to_be_encrypted_is_recorded_by_the_host(side: LegId) -> None:
    scene = Scene()
    scene.described(B, False)
    assert scene.start(A, side) == [
        (W1, StartRecording(recording=SID, stem="/raw/RE1", parent=A, child=side))
    ]


def test_a_leg_that_became_recordable_is_recorded_by_the_relay() -> None:
    scene = Scene()
    scene.described(B, False)
    scene.described(B, True)
    assert scene.start() == [tap(AudioSide(leg=A), AudioSide(leg=B))]


class TestTakeover:
    ORDER = (W1, StartRecording(recording=SID, stem="/raw/RE1.worker", parent=A, child=B))

    def test_the_relay_goes_on_until_the_host_has_begun(self) -> None:
        scene = Scene()
        scene.start()
        scene.tapped(10.0)
        assert scene.described(B, False) == [self.ORDER]
        assert scene.recordings.hosts == {W1}
        assert scene.recordings.take_parts() == []
        assert scene.host_begins(12.25) == [UNTAP]
        assert scene.recordings.take_parts() == [HostPart(recording=SID, at_s=2.25)]
        scene.untapped(12.3)
        stop = StopRecording(recording=SID)
        assert scene.do(stop) == [(W1, stop)]
        scene.host_ends(20.0)
        assert scene.told == [
            RecordingStarted(recording=SID, at=10.0),
            RecordingStopped(recording=SID, at=20.0, files=("p", "c"), duration_s=10.0),
        ]

    def test_a_new_side_that_is_encrypted_makes_the_host_take_over(self) -> None:
        scene = Scene()
        scene.described(C, False)
        scene.start()
        scene.tapped(10.0)
        change = RecordLegs(recording=SID, parent=A, child=C)
        order = StartRecording(recording=SID, stem="/raw/RE1.worker", parent=A, child=C)
        assert scene.do(change) == [(W1, order), tap(AudioSide(leg=A), AudioSide(leg=C))]

    def test_it_happens_once(self) -> None:
        scene = Scene()
        scene.start()
        scene.tapped()
        assert scene.described(B, False) == [self.ORDER]
        assert scene.described(B, True) == []
        assert scene.described(A, False) == []
        assert scene.host_begins(11.0) == [UNTAP]
        assert scene.described(B, False) == []

    def test_a_change_of_sides_after_it_is_the_hosts(self) -> None:
        """The relay, told to end its part, must not begin another one."""
        scene = Scene()
        scene.start()
        scene.tapped()
        scene.described(B, False)
        scene.host_begins(11.0)
        change = RecordLegs(recording=SID, parent=A, child=C)
        assert scene.do(change) == [(W1, change)]

    def test_the_host_may_begin_before_the_relay_has_said_that_it_did(self) -> None:
        scene = Scene()
        scene.start()
        scene.described(B, False)
        assert scene.host_begins(10.02) == []
        assert scene.told == []
        assert scene.tapped(10.0) == [UNTAP]
        assert [part.at_s for part in scene.recordings.take_parts()] == [pytest.approx(0.02)]
        assert scene.told == [RecordingStarted(recording=SID, at=10.0)]

    def test_both_are_stopped_when_the_host_has_not_begun(self) -> None:
        scene = Scene()
        scene.start()
        scene.tapped(10.0)
        scene.described(B, False)
        stop = StopRecording(recording=SID)
        assert scene.do(stop) == [(W1, stop), UNTAP]
        scene.host_begins(11.0)
        scene.untapped(11.0)
        assert len(scene.told) == 1
        scene.host_ends(11.1)
        assert scene.told[-1] == RecordingStopped(
            recording=SID, at=11.1, files=("p", "c"), duration_s=pytest.approx(1.1)
        )

    def test_a_host_that_cannot_leaves_it_to_the_relay(self) -> None:
        scene = Scene()
        scene.start()
        scene.tapped(10.0)
        scene.described(B, False)
        assert scene.host_ends(10.1, reason="disk full") == []
        assert len(scene.told) == 1
        scene.stop()
        scene.untapped(15.0)
        assert scene.told[-1].reason == "disk full"  # type: ignore[union-attr]

    def test_a_lost_host_ends_it(self) -> None:
        scene = Scene()
        scene.start()
        scene.tapped(10.0)
        scene.described(B, False)
        scene.host_begins(11.0)
        scene.untapped(11.1)
        assert scene.recordings.lost(W2, 12.0) == []
        lost = RecordingStopped(recording=SID, at=12.0, files=(), duration_s=2.0, reason="worker died")
        assert scene.recordings.lost(W1, 12.0) == [lost]
        assert scene.recordings.lost(W1, 13.0) == []


def test_a_lost_host_does_not_end_what_the_relay_records() -> None:
    scene = Scene()
    scene.start()
    scene.tapped(10.0)
    assert scene.recordings.lost(W1, 12.0) == []
    assert scene.stop() == [UNTAP]


def test_a_restarted_relay_goes_on() -> None:
    scene = Scene()
    scene.start()
    scene.tapped(10.0)
    scene.tapped(10.0)
    assert scene.told == [RecordingStarted(recording=SID, at=10.0)]
    scene.stop()
    scene.tapped(10.0)
    scene.untapped(13.0)
    assert scene.told[1:] == [RecordingStopped(recording=SID, at=13.0, files=(), duration_s=3.0)]


def test_what_the_relays_file_lacks_is_told() -> None:
    scene = Scene()
    scene.start()
    scene.tapped(10.0)
    scene.stop()
    scene.untapped(12.0, reason="No space left on device")
    assert scene.told[-1].reason == "could not be written: No space left on device"  # type: ignore[union-attr]


def test_the_end_of_the_session_ends_the_relays_parts() -> None:
    scene = Scene()
    scene.start()
    assert scene.recordings.end_all() == [UNTAP]
    assert scene.recordings.end_all() == []


# -- any order of things ----------------------------------------------------------------------------------

steps = st.lists(
    st.sampled_from(
        "start start2 stop stop2 child described-a described-b described-c plain-b "
        "tapped untapped host-begins host-ends lost-1 lost-2".split()
    ),
    max_size=30,
)


@settings(max_examples=examples(100), deadline=None)
@given(steps=steps, by_relay=st.booleans())
def test_each_recording_begins_and_ends_once(steps: list[str], by_relay: bool) -> None:
    """Hosts and relay answer orders in any order; in the end every recording that was begun is over."""
    recordings = RecordingPlacement({A: W1, B: W1, C: W2}, W1, by_relay=by_relay)
    told: list[RecordingStarted | RecordingStopped] = []
    answers: list[RecordingStarted | RecordingStopped | AudioTapped | AudioUntapped] = []
    at_hosts: dict[tuple[HostId, str], bool] = {}
    at_relay: set[str] = set()
    begun: set[str] = set()
    lost = False
    now = 10.0

    def obey(commands: list[tuple[HostId, RecordingCommand]]) -> None:
        for host, command in commands:
            assert not lost
            key = host, command.recording
            match command:
                case StartRecording():
                    assert key not in at_hosts
                    at_hosts[key] = True
                    answers.append(RecordingStarted(recording=command.recording, at=now))
                case RecordLegs():
                    assert at_hosts[key]
                case StopRecording() if at_hosts.pop(key, False):
                    files = ("p", "c")
                    answers.append(
                        RecordingStopped(recording=command.recording, at=now, files=files, duration_s=1.0)
                    )
        for order in recordings.take_taps():
            if isinstance(order, TapAudio):
                if order.recording not in at_relay:
                    answers.append(AudioTapped(recording=order.recording, at=now))
                at_relay.add(order.recording)
            elif isinstance(order, UntapAudio):
                assert order.recording in at_relay, "ended twice"
                at_relay.discard(order.recording)
                answers.append(AudioUntapped(recording=order.recording, at=now))

    def answer(one: int) -> None:
        nonlocal told
        if answers:
            told += recordings.handle(answers.pop(one % len(answers)))
            obey([])

    for step in steps:
        now += 0.25
        match step:
            case "start" | "start2":
                sid = "RE1" if step == "start" else "RE2"
                if sid not in begun and not lost:
                    begun.add(sid)
                    child = B if step == "start" else heard_by(A)
                    obey(
                        recordings.order(
                            StartRecording(recording=sid, stem=f"/raw/{sid}", parent=A, child=child)
                        )
                    )
            case "stop" | "stop2":
                obey(recordings.order(StopRecording(recording="RE1" if step == "stop" else "RE2")))
            case "child":
                obey(recordings.order(RecordLegs(recording="RE1", parent=A, child=C)))
            case "described-a" | "described-b" | "described-c":
                obey(recordings.described(LegId(step[-1]), recordable=False))
            case "plain-b":
                obey(recordings.described(B, recordable=True))
            case "lost-1" | "lost-2":
                if step == "lost-1":  # the host of all these recordings
                    lost = True
                    answers = [each for each in answers if isinstance(each, AudioTapped | AudioUntapped)]
                    at_hosts.clear()
                told += recordings.lost(W1 if step == "lost-1" else W2, now)
                obey([])
            case _:
                # A host's own answers keep their order, and so do the relay's.
                answer(0)
    for sid in begun:
        obey(recordings.order(StopRecording(recording=sid)))
    while answers:
        answer(0)
    for sid in begun:
        kinds = [type(each).__name__ for each in told if each.recording == sid]
        assert kinds.count("RecordingStopped") == 1
        assert kinds.count("RecordingStarted") <= 1
        assert kinds[-1] == "RecordingStopped"
    assert not recordings.hosts
    assert not at_relay
