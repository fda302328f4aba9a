"""A conference room: who comes in, beeps, recordings, callbacks, and the table."""

import pytest

from b2bua.core.ids import CallSid
from b2bua.core.room import Room
from b2bua.core.room_inputs import (
    AnnouncementEnded,
    Document,
    EndRoom,
    Entrant,
    MemberAdded,
    MemberAnswered,
    MemberEntered,
    MemberFailed,
    MemberProgressed,
    RecordRoom,
    RoomRecording,
    StopRoomRecording,
    VoiceChanged,
    WaitReady,
    WaitRefused,
)
from b2bua.core.room_outputs import (
    EndReason,
    Hears,
    LeaveReason,
    MemberAdmitted,
    MemberDone,
    PlayBeep,
    RoomEnded,
    RoomEvent,
    SetRoomMix,
    StartDocument,
    StartRoomRecording,
    StopDocument,
    StopRecording,
)
from b2bua.core.room_table import MEMBER_STATES, TRANSITIONS, RoomState
from tests.unit.core.room_scene import (
    CALLBACK,
    MUSIC,
    A,
    B,
    C,
    D,
    Scene,
    find,
    names,
    refused,
    talking,
)

pytestmark = pytest.mark.unit

E = CallSid("CA-e")
RECORDING = RoomRecording(callback_url="https://app.example/recorded")


# -- starting ---------------------------------------------------------------------------------------


def test_one_alone_joins_and_waits():
    scene = Scene()

    output = scene.enter(A)

    assert names(output) == ["participant-join a"]
    assert scene.room.state is RoomState.INIT
    assert scene.hears(A) is Hears.WAIT
    assert find(output, StartDocument)[0].document == Document()


def test_the_second_starts_the_room_join_first_then_start():
    scene = talking(A)

    output = scene.enter(B)

    assert [(e.name, e.sequence) for e in find(scene.output, RoomEvent)] == [
        ("participant-join", 1),
        ("participant-join", 2),
        ("conference-start", 3),
    ]
    assert find(output, StopDocument)[0].call == A
    assert scene.witness.mix == SetRoomMix(talkers=(A, B), listeners=(A, B), voices=True)
    assert [type(each) for each in output[-2:]] == [SetRoomMix, PlayBeep]


def test_without_one_who_starts_it_a_room_waits():
    scene = talking(A, B, start_on_enter=False)
    assert scene.room.state is RoomState.INIT
    assert (scene.hears(A), scene.hears(B)) == (Hears.WAIT, Hears.WAIT)

    assert names(scene.enter(C)) == ["participant-join c", "conference-start"]
    assert scene.witness.mix.talkers == (A, B, C)


def test_a_wait_document_is_fetched_before_its_member_joins():
    scene = Scene()

    output = scene.enter(A, wait=MUSIC)

    assert names(output) == []
    assert find(output, StartDocument) == [
        StartDocument(call=A, kind=Hears.WAIT, document=MUSIC, entering=True)
    ]
    output = scene.send(WaitReady(call=A))
    assert names(output) == ["participant-join a"]
    assert find(output, MemberAdmitted) == [MemberAdmitted(call=A)]
    assert scene.send(WaitReady(call=A)) == []


def test_a_wait_document_that_cannot_be_had_keeps_its_member_out():
    scene = Scene()
    scene.enter(A, wait=MUSIC)

    output = scene.send(WaitRefused(call=A, number=11200))

    assert find(output, MemberDone) == [
        MemberDone(call=A, number=11200, reason=LeaveReason.HUNG_UP, hang_up=False)
    ]
    assert names(output) == []  # nothing was ever told of this room
    assert find(output, RoomEnded) == [RoomEnded(reason=EndReason.LAST_LEFT)]


def test_one_whose_wait_document_is_on_its_way_joins_when_another_starts_the_room():
    scene = Scene()
    scene.enter(A, wait=MUSIC)

    output = scene.enter(B, wait=MUSIC)

    assert names(output) == ["participant-join a", "participant-join b", "conference-start"]
    assert [each.call for each in find(output, StopDocument)] == [A]
    assert find(output, StartDocument) == []
    assert scene.send(WaitRefused(call=A, number=11200)) == []
    assert scene.send(WaitReady(call=B)) == []


def test_one_who_waits_in_a_room_ignores_a_late_refusal_of_its_document():
    scene = Scene()
    scene.enter(A, wait=MUSIC)
    scene.send(WaitReady(call=A))

    assert scene.send(WaitRefused(call=A, number=11200)) == []
    assert scene.room.find(A) is not None


# -- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [2, 250])
def test_a_full_room_admits_nobody_by_the_first_ones_number(most):
    scene = Scene()
    scene.enter(A, max_participants=2)
    scene.enter(B)

    assert scene.enter(C, max_participants=most) == [MemberDone(call=C, number=16020)]
    assert refused(scene.add(D, max_participants=most)) == (400, 16020)


def test_a_label_is_unique_while_its_member_is_there():
    scene = talking(A, B)
    scene.enter(C, label="agent")

    assert scene.enter(D, label="agent") == [MemberDone(call=D, number=16025)]
    assert refused(scene.add(D, label="agent")) == (400, 16026)
    assert names(scene.enter(D, label="Agent")) == ["participant-join d"]
    assert scene.room.find("agent").call == C
    scene.leaves(C)
    assert scene.room.find("agent") is None
    assert scene.room.find("") is None
    assert names(scene.add(C, label="agent")) == []


@pytest.mark.parametrize("added", [False, True])
def test_a_coach_needs_its_participant_in_a_room_that_has_started(added):
    scene = talking(A)

    def refusal_of(target):
        output = scene.add(C, coach=target) if added else scene.enter(C, coach=target)
        return refused(output) or find(output, MemberDone)[0].number

    missing = (400, 16028) if added else 13240
    assert refusal_of(A) == missing
    scene.enter(B)
    assert refusal_of(D) == missing
    scene.update(A, hold=True)
    assert refusal_of(A) == ((400, 16027) if added else 16027)


@pytest.mark.parametrize("added", [False, True])
def test_a_room_whose_first_entrant_is_refused_is_over(added):
    scene = Scene()

    output = scene.add(A, coach=B) if added else scene.enter(A, coach=B)

    assert output[-1] == RoomEnded(reason=EndReason.LAST_LEFT)
    assert names(output) == []


def test_a_call_that_is_in_the_room_does_not_enter_twice():
    scene = talking(A)

    assert scene.enter(A) == []
    assert scene.add(A) == []
    assert scene.room.unexpected == {"init MemberEntered": 1, "init MemberAdded": 1}


# -- beeps ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_enter", "on_exit"), [(True, True), (True, False), (False, True), (False, False)]
)
def test_beeps_are_the_members_own(on_enter, on_exit):
    scene = talking(A, B, beep_on_enter=False, beep_on_exit=False)

    entered = scene.enter(C, beep_on_enter=on_enter, beep_on_exit=on_exit)
    left = scene.leaves(C)

    assert find(entered, PlayBeep) == ([PlayBeep(entering=True)] if on_enter else [])
    assert find(left, PlayBeep) == ([PlayBeep(entering=False)] if on_exit else [])


def test_the_last_word_of_rest_decides_the_beep_at_the_exit():
    scene = talking(A, B, C, beep_on_exit=False)

    output = scene.update(C, beep_on_exit=True)

    assert names(output) == ["participant-modify c"]
    assert find(scene.leaves(C), PlayBeep) == [PlayBeep(entering=False)]


def test_nobody_waits_for_a_beep():
    scene = Scene()
    assert find(scene.enter(A), PlayBeep) == []
    assert find(scene.enter(B, beep_on_enter=False), PlayBeep) == []
    assert find(scene.send(EndRoom()), PlayBeep) == []


# -- recording --------------------------------------------------------------------------------------


def test_a_recording_starts_with_the_room_and_the_first_wish_decides():
    scene = Scene()
    scene.enter(A, recording=RECORDING)

    output = scene.enter(B, recording=RoomRecording(trim=False))

    assert find(output, StartRoomRecording) == [StartRoomRecording(recording=RECORDING, by=A)]
    assert scene.room.recorded
    assert find(scene.enter(C, recording=RECORDING), StartRoomRecording) == []
    assert find(scene.send(StopRoomRecording()), StopRecording) == [StopRecording()]
    assert refused(scene.send(StopRoomRecording())) == (400, 21220)
    assert find(scene.enter(D, recording=RECORDING), StartRoomRecording) == []


def test_a_later_wish_starts_a_recording_then():
    scene = talking(A, B)

    output = scene.enter(C, recording=RECORDING)

    assert find(output, StartRoomRecording) == [StartRoomRecording(recording=RECORDING, by=C)]


def test_rest_starts_a_recording_of_a_room_that_runs():
    scene = talking(A)
    assert refused(scene.send(RecordRoom(recording=RECORDING))) == (400, 21220)
    assert refused(scene.send(StopRoomRecording())) == (400, 21220)
    scene.enter(B)

    output = scene.send(RecordRoom(recording=RECORDING))

    assert output == [StartRoomRecording(recording=RECORDING, by=None)]
    assert refused(scene.send(RecordRoom(recording=RECORDING))) == (400, 16108)
    assert find(scene.enter(C, recording=RECORDING), StartRoomRecording) == []


# -- callbacks --------------------------------------------------------------------------------------


def test_the_first_ones_callback_wins_and_only_its_events_count():
    scene = Scene()
    scene.enter(A, callback=None)
    assert scene.enter(B, callback=CALLBACK) and find(scene.output, RoomEvent) == []

    scene = Scene()
    only_leave = type(CALLBACK)(url="https://app.example/x", events=frozenset(("leave",)))
    scene.enter(A, callback=only_leave)
    scene.enter(B)
    assert [(e.name, e.sequence) for e in find(scene.leaves(B), RoomEvent)] == [("participant-leave", 1)]


def test_the_fields_of_a_member_are_those_after_the_change():
    scene = talking(A)

    (event,) = find(scene.enter(B, muted=True, end_on_exit=True, start_on_enter=False), RoomEvent)[:1]

    assert event.fields == (
        ("CallSid", B),
        ("Muted", "true"),
        ("Hold", "false"),
        ("Coaching", "false"),
        ("EndConferenceOnExit", "true"),
        ("StartConferenceOnEnter", "false"),
    )


# -- the table --------------------------------------------------------------------------------------


def test_every_handler_of_the_table_exists():
    handlers = {handler for handler in TRANSITIONS.values() if handler}

    assert handlers <= Room()._handlers.keys()


def test_facts_about_nobody_are_counted():
    scene = talking(A)

    for fact in (
        MemberAnswered(call=B),
        MemberFailed(call=B, status="busy"),
        MemberProgressed(call=A, ringing=True),
        WaitReady(call=B),
        AnnouncementEnded(announcement=1),
    ):
        assert scene.send(fact) == []
    assert sum(scene.room.unexpected.values()) == 5
    assert scene.send(VoiceChanged(call=B, voice=True)) == []
    assert VoiceChanged in MEMBER_STATES


@pytest.mark.parametrize("kind", [MemberEntered, MemberAdded])
def test_a_completed_room_is_not_opened_again(kind):
    scene = talking(A)
    scene.leaves(A)

    scene.send(kind(entrant=Entrant(call=A)))

    assert scene.room.state is RoomState.COMPLETED
