"""How members leave a conference room, and what becomes of calls that REST makes for it."""

import pytest

from b2bua.core.ids import CallSid
from b2bua.core.room_inputs import (
    EndRoom,
    Exit,
    KickMember,
    MemberFailed,
    MemberProgressed,
    RecordRoom,
    RoomRecording,
    WaitRefused,
)
from b2bua.core.room_outputs import (
    EndReason,
    Hears,
    LeaveReason,
    MemberDone,
    PlayBeep,
    RoomEnded,
    RoomEvent,
    SetRoomMix,
    StartDocument,
    StopDocument,
    StopRecording,
)
from b2bua.core.room_table import MemberState, RoomState
from tests.unit.core.room_scene import (
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


# -- leaving ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "reason", "status"),
    [
        (Exit.HUNG_UP, "participant_hung_up", "completed"),
        (Exit.STAR, "participant_hung_up", "in-progress"),
        (Exit.TIME_LIMIT, "participant_hung_up", "in-progress"),
        (Exit.CRASHED, "participant_hung_up", "failed"),
        (Exit.REDIRECTED, "participant_updated_via_api", "in-progress"),
        (Exit.COMPLETED, "participant_updated_via_api", "completed"),
    ],
)
def test_each_way_of_leaving_is_told(way, reason, status):
    scene = talking(A, B, C)

    output = scene.leaves(B, way)

    (event,) = find(output, RoomEvent)
    fields = dict(event.fields)
    assert (event.name, fields["CallSid"]) == ("participant-leave", B)
    assert (fields["ParticipantCallStatus"], fields["ReasonParticipantLeft"]) == (status, reason)
    (done,) = find(output, MemberDone)
    assert (done.call, done.admitted, done.reason, done.hang_up) == (B, True, LeaveReason(reason), False)


def test_the_one_that_remains_waits_again_and_the_next_ends_that_without_a_start():
    scene = talking(A, B, wait=MUSIC)

    output = scene.leaves(B)
    assert find(output, StartDocument) == [
        StartDocument(call=A, kind=Hears.WAIT, document=MUSIC, entering=False)
    ]
    assert find(output, PlayBeep) == []
    assert scene.room.state is RoomState.IN_PROGRESS

    output = scene.enter(C, start_on_enter=False, wait=MUSIC)
    assert names(output) == ["participant-join c"]
    assert scene.witness.mix.talkers == (A, C)


def test_the_last_one_ends_the_room():
    scene = talking(A, B)
    scene.leaves(A)

    output = scene.leaves(B)

    assert names(output) == ["participant-leave b", "conference-end"]
    fields = dict(find(output, RoomEvent)[-1].fields)
    assert fields == {
        "ReasonConferenceEnded": "last-participant-left",
        "Reason": f"The last participant {B} left.",
        "CallSidEndingConference": B,
    }


def test_a_moderator_leaves_first_then_the_others_in_the_order_of_joining_then_the_end():
    scene = Scene()
    scene.add(D)
    scene.enter(B)
    scene.enter(A, end_on_exit=True, label="boss", recording=RECORDING)
    scene.enter(C)
    scene.answers(D)
    scene.add(E)

    output = scene.leaves(A)

    assert names(output) == [
        "participant-leave a",
        "participant-leave b",
        "participant-leave c",
        "participant-leave d",
        "participant-leave e",
        "conference-end",
    ]
    reasons = [dict(event.fields).get("ReasonParticipantLeft") for event in find(output, RoomEvent)]
    assert reasons == [
        "participant_hung_up",
        *["moderator_ended_conference"] * 3,
        "participant_add_failed",
        None,
    ]
    statuses = [dict(event.fields).get("ParticipantCallStatus") for event in find(output, RoomEvent)]
    assert statuses == ["completed", "in-progress", "in-progress", "completed", "canceled", None]
    assert [done.hang_up for done in find(output, MemberDone)] == [False, False, False, True, True]
    end = dict(find(output, RoomEvent)[-1].fields)
    assert end["ReasonConferenceEnded"] == "participant-with-end-conference-on-exit-left"
    assert (end["CallSidEndingConference"], end["ParticipantLabelEndingConference"]) == (A, "boss")
    assert end["Reason"] == f"Participant {A} (boss) with endConferenceOnExit left."
    assert [type(each) for each in output[-2:]] == [SetRoomMix, RoomEnded]
    assert find(output, StopRecording) == [StopRecording()]


def test_a_kicked_moderator_ends_the_room_as_kicked_and_is_gone():
    scene = talking(A)
    scene.enter(B, end_on_exit=True)

    output = scene.send(KickMember(call=B))

    assert find(output, RoomEnded) == [RoomEnded(reason=EndReason.MODERATOR_KICKED, by=B)]
    assert dict(find(output, RoomEvent)[0].fields)["ParticipantCallStatus"] == "in-progress"
    assert refused(scene.send(KickMember(call=B))) == (404, 20404)


def test_a_kicked_member_leaves_and_the_room_goes_on():
    scene = talking(A, B)
    scene.add(C)
    scene.answers(C)

    output = scene.send(KickMember(call=C))

    assert find(output, MemberDone)[0].hang_up
    assert dict(find(output, RoomEvent)[0].fields)["ParticipantCallStatus"] == "completed"
    assert refused(scene.send(KickMember(call=C))) == (404, 20404)
    scene.leaves(A)
    assert find(scene.send(KickMember(call=B)), RoomEnded)[0].reason is EndReason.LAST_KICKED


def test_the_api_ends_a_room_once():
    scene = talking(A, B)

    output = scene.send(EndRoom())

    assert names(output) == ["participant-leave a", "participant-leave b", "conference-end"]
    fields = dict(find(output, RoomEvent)[-1].fields)
    assert fields["ReasonConferenceEnded"] == "conference-ended-via-api"
    assert "CallSidEndingConference" not in fields
    assert {done.reason for done in find(output, MemberDone)} == {LeaveReason.ENDED_BY_API}
    assert scene.send(EndRoom()) == []
    assert scene.enter(C) == [MemberDone(call=C, number=13236)]
    assert refused(scene.add(C)) == (400, 16022)
    assert refused(scene.update(A, muted=True)) == (404, 20404)
    assert refused(scene.send(RecordRoom(recording=RECORDING))) == (400, 21220)


def test_the_api_ends_a_room_before_it_starts():
    scene = Scene()
    scene.enter(A, wait=MUSIC)
    scene.add(B)

    output = scene.send(EndRoom())

    assert names(output) == ["participant-leave b", "conference-end"]
    assert [(done.call, done.admitted) for done in find(output, MemberDone)] == [(A, False), (B, False)]


# -- calls made by REST -----------------------------------------------------------------------------


def test_a_call_made_by_rest_joins_when_it_is_answered():
    scene = talking(A)

    assert scene.add(B, label="agent") == []
    states = [scene.room.find(B).state]
    for ringing in (False, True, False):
        assert scene.send(MemberProgressed(call=B, ringing=ringing)) == []
        states.append(scene.room.find("agent").state)
    output = scene.answers(B)

    assert states == [
        MemberState.QUEUED,
        MemberState.CONNECTING,
        MemberState.RINGING,
        MemberState.RINGING,
    ]
    assert names(output) == ["participant-join b", "conference-start"]
    assert dict(find(output, RoomEvent)[0].fields)["ParticipantLabel"] == "agent"


def test_a_call_made_by_rest_that_nobody_answers_leaves_though_it_never_joined():
    scene = Scene()
    scene.add(A)
    scene.add(B)

    output = scene.send(MemberFailed(call=A, status="busy"))
    assert names(output) == ["participant-leave a"]
    fields = dict(find(output, RoomEvent)[0].fields)
    assert fields["ParticipantCallStatus"] == "busy"
    assert fields["ReasonParticipantLeft"] == "participant_add_failed"
    assert scene.room.state is RoomState.INIT

    output = scene.send(MemberFailed(call=B, status="no-answer"))
    assert names(output) == ["participant-leave b", "conference-end"]
    end = dict(find(output, RoomEvent)[-1].fields)
    assert end == {
        "ReasonConferenceEnded": "last-participant-left",
        "Reason": "The last participant left.",
    }


def test_a_call_made_by_rest_whose_wait_document_fails_is_hung_up():
    scene = Scene()
    scene.add(A, wait=MUSIC)
    scene.answers(A)

    output = scene.send(WaitRefused(call=A, number=11205))

    assert find(output, MemberDone) == [
        MemberDone(call=A, number=11205, reason=LeaveReason.ADD_FAILED, hang_up=True)
    ]
    assert dict(find(output, RoomEvent)[0].fields)["ParticipantCallStatus"] == "failed"


def test_a_call_made_by_rest_that_is_ended_while_it_rings_was_never_there():
    scene = talking(A, B)
    scene.add(C)
    scene.rings(C)

    output = scene.leaves(C, Exit.COMPLETED)

    fields = dict(find(output, RoomEvent)[0].fields)
    assert fields["ReasonParticipantLeft"] == "participant_add_failed"
    assert fields["ParticipantCallStatus"] == "canceled"


def test_the_time_limit_of_a_call_made_by_rest_hangs_it_up():
    scene = talking(A, B)
    scene.add(C)
    scene.answers(C)

    output = scene.leaves(C, Exit.TIME_LIMIT)

    assert find(output, MemberDone)[0].hang_up
    assert dict(find(output, RoomEvent)[0].fields)["ParticipantCallStatus"] == "completed"


def test_the_last_one_there_ends_the_room_though_another_call_rings():
    scene = talking(A)
    scene.add(B)
    scene.rings(B)

    output = scene.leaves(A)

    assert names(output) == ["participant-leave a", "participant-leave b", "conference-end"]
    assert find(output, MemberDone)[1].hang_up


def test_early_media_is_heard_by_those_who_wait_and_pauses_their_document():
    scene = Scene()
    scene.enter(A)
    scene.enter(D, wait=MUSIC, start_on_enter=False, muted=True)
    scene.add(B, early_media=True)
    scene.add(C)
    scene.rings(C)
    assert scene.hears(A) is Hears.MIX  # A and D talk

    scene = talking(A)
    scene.add(B, early_media=True)
    output = scene.rings(B)
    assert scene.witness.mix == SetRoomMix(listeners=(A,), ringing=(B,))
    assert scene.hears(A) is Hears.MIX
    assert find(output, StopDocument) == []

    output = scene.send(MemberFailed(call=B, status="no-answer"))
    assert scene.witness.mix == SetRoomMix()
    assert scene.hears(A) is Hears.WAIT
    assert find(output, StartDocument) == []


# -- our extensions ---------------------------------------------------------------------------------


def test_the_last_of_those_whose_exit_ends_the_room_ends_it():
    scene = Scene()
    for call in (A, B):
        scene.enter(call, end_on_exit=True, end_as_last=True)
    scene.enter(C)
    assert find(scene.leaves(A), RoomEnded) == []
    assert scene.room.state is RoomState.IN_PROGRESS
    assert find(scene.leaves(B), RoomEnded) == [RoomEnded(reason=EndReason.MODERATOR_LEFT, by=B)]


def test_rest_makes_one_the_last_and_takes_it_back():
    scene = talking(A, B, C)
    scene.update(A, end_on_exit=True, end_as_last=True)
    scene.update(B, end_on_exit=True)
    assert find(scene.leaves(A), RoomEnded) == []  # B would end it
    scene.update(C, end_on_exit=True, end_as_last=True)
    scene.update(C, end_on_exit=True)
    scene.enter(D, end_on_exit=True)
    assert find(scene.leaves(C), RoomEnded) == [RoomEnded(reason=EndReason.MODERATOR_LEFT, by=C)]


@pytest.mark.parametrize("way", [Exit.LOST, Exit.CRASHED])
def test_the_room_goes_on_for_the_time_of_grace_after_a_loss(way):
    scene = Scene()
    scene.enter(A, end_on_exit=True, exit_grace_s=30.0)
    scene.enter(B)
    scene.enter(C)
    assert find(scene.leaves(A, way), RoomEnded) == []
    due = scene.room.next_deadline()
    assert due == scene.now + 30.0
    assert scene.tick(due - 0.1) == []
    output = scene.tick(due)
    assert [each.call for each in find(output, MemberDone)] == [B, C]
    assert find(output, RoomEnded) == [RoomEnded(reason=EndReason.MODERATOR_LEFT, by=A)]
    assert find(output, SetRoomMix) == [SetRoomMix()]
    assert scene.room.next_deadline() is None


def test_whoever_comes_back_in_time_keeps_the_room():
    scene = Scene()
    scene.enter(A, end_on_exit=True, exit_grace_s=30.0)
    scene.enter(B)
    scene.leaves(A, Exit.LOST)
    scene.enter(D, end_on_exit=True, exit_grace_s=30.0)
    assert scene.room.next_deadline() is None
    assert find(scene.leaves(D, Exit.HUNG_UP), RoomEnded) != []  # who hangs up has no grace


def test_a_room_that_is_empty_does_not_wait_for_a_lost_one():
    scene = Scene()
    scene.enter(A, end_on_exit=True, exit_grace_s=30.0)
    assert find(scene.leaves(A, Exit.LOST), RoomEnded) != []
    assert scene.room.next_deadline() is None
