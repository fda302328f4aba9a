"""What is heard in a conference room, and the orders that change it."""

import pytest

from b2bua.core.room_announcements import MAX_ANNOUNCEMENTS
from b2bua.core.room_inputs import (
    Announce,
    AnnouncementEnded,
    Document,
    EndRoom,
    Exit,
    VoiceChanged,
    WatchSpeakers,
)
from b2bua.core.room_outputs import (
    Hears,
    PlayAnnouncement,
    RoomEvent,
    SetHearing,
    SetRoomMix,
    StartDocument,
    StopAnnouncement,
    StopDocument,
)
from b2bua.core.room_speech import Speech
from tests.unit.core.room_scene import MUSIC, A, B, C, D, Scene, find, names, refused, talking

pytestmark = pytest.mark.unit

HOLD = Document("https://app.example/hold", "GET")
NEWS = Document("https://app.example/news")
MORE = Document("https://app.example/more")


# -- mute and hold ----------------------------------------------------------------------------------


def test_a_muted_one_hears_and_is_not_heard():
    scene = talking(A)
    scene.enter(B, muted=True)
    assert (scene.witness.mix.talkers, scene.witness.mix.listeners) == ((A,), (A, B))

    assert names(scene.update(B, muted=False)) == ["participant-unmute b"]
    assert scene.witness.mix.talkers == (A, B)
    assert scene.update(B, muted=False) == []
    assert names(scene.update(B, muted=True)) == ["participant-mute b"]


def test_a_held_one_hears_its_document_alone_and_stays_muted_after_it():
    scene = talking(A, B)
    scene.update(B, muted=True)

    output = scene.update(B, hold=True, hold_document=HOLD)
    assert names(output) == ["participant-hold b"]
    assert find(output, StartDocument) == [
        StartDocument(call=B, kind=Hears.HOLD, document=HOLD, entering=False)
    ]
    assert (scene.hears(B), scene.hears(A)) == (Hears.HOLD, Hears.MIX)
    assert scene.update(B, hold=True) == []

    output = scene.update(B, hold=False)
    assert names(output) == ["participant-unhold b"]
    assert find(output, StopDocument) == [StopDocument(call=B)]
    assert (scene.witness.mix.talkers, scene.witness.mix.listeners) == ((A,), (A, B))


def test_a_hold_without_a_document_is_our_music_again():
    scene = talking(A, B)
    scene.update(B, hold=True, hold_document=HOLD)
    scene.update(B, hold=False)

    output = scene.update(B, hold=True)
    assert find(output, StartDocument)[0].document == Document(method="GET")

    output = scene.update(B, hold=True, hold_document=HOLD)
    assert [type(each) for each in output] == [StopDocument, StartDocument]


def test_a_held_one_that_is_left_alone_waits_after_its_hold():
    scene = talking(A, B, wait=MUSIC)
    scene.update(A, hold=True)
    assert find(scene.leaves(B), StartDocument) == []

    output = scene.update(A, hold=False)

    assert find(output, StartDocument)[0].document == MUSIC
    assert scene.hears(A) is Hears.WAIT


def test_a_flag_of_a_held_one_counts_at_once():
    scene = Scene()
    scene.enter(A, end_on_exit=True)
    scene.enter(B)
    scene.enter(C)
    scene.update(A, hold=True)

    assert names(scene.update(A, end_on_exit=False)) == ["participant-modify a"]
    assert names(scene.leaves(A)) == ["participant-leave a"]


def test_one_request_is_told_in_one_order_and_modifications_once():
    scene = talking(A, B)

    output = scene.update(B, muted=True, hold=True, end_on_exit=True, beep_on_exit=False, wait=MUSIC)

    assert names(output) == ["participant-mute b", "participant-hold b", "participant-modify b"]
    assert all(dict(event.fields)["Hold"] == "true" for event in find(output, RoomEvent))


def test_a_new_wait_document_is_heard_at_once_by_one_who_waits():
    scene = talking(A)

    output = scene.update(A, wait=MUSIC)

    assert [type(each) for each in output] == [RoomEvent, StopDocument, StartDocument]
    assert find(output, StartDocument)[0].document == MUSIC
    assert scene.update(A, wait=MUSIC) == []


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"hold": True, "announce": NEWS}, (400, 20001)),
        ({"hold": True, "coaching": True, "coach": A}, (400, 20001)),
        ({"hold": True, "coach": A}, (400, 20001)),
        ({"coaching": True}, (400, 20001)),
        ({"coach": D}, (400, 16028)),
        ({"coach": B}, (400, 16028)),
        ({"coach": C}, (400, 16027)),
        ({"hold": False, "announce": NEWS}, None),
        ({"hold": True, "coaching": False}, None),
    ],
)
def test_orders_that_contradict_themselves_change_nothing(fields, refusal):
    scene = talking(A, B, C)
    scene.update(C, hold=True)
    before = scene.witness.mix

    output = scene.update(B, muted=True, **fields)

    assert refused(output) == refusal
    assert (scene.witness.mix == before) == (refusal is not None)
    assert refused(scene.update(D, muted=True)) == (404, 20404)


def test_a_call_that_rings_cannot_be_held_and_the_rest_is_kept_for_the_join():
    scene = talking(A, B)
    scene.add(C)
    assert refused(scene.update(C, hold=True)) == (400, 16099)
    assert refused(scene.update(C, announce=NEWS)) == (400, 16099)

    assert scene.update(C, muted=True, end_on_exit=True) == []
    output = scene.answers(C)

    assert names(output) == ["participant-join c"]
    assert dict(find(output, RoomEvent)[0].fields)["EndConferenceOnExit"] == "true"
    assert scene.witness.mix.talkers == (A, B)


# -- coaching ---------------------------------------------------------------------------------------


def test_a_coach_is_heard_by_its_participant_only_and_barges_in_by_order():
    scene = talking(A, B)
    scene.enter(C, coach=A)
    mix = scene.witness.mix
    assert (mix.talkers, mix.listeners, mix.coaches) == ((A, B), (A, B, C), ((C, A),))

    output = scene.update(C, coach=B)
    assert names(output) == ["participant-modify c"]
    assert dict(find(output, RoomEvent)[0].fields)["CallSidToCoach"] == B
    assert scene.witness.mix.coaches == ((C, B),)

    scene.leaves(B)
    assert scene.witness.mix.coaches == ()
    assert C not in scene.witness.mix.talkers

    assert names(scene.update(C, coaching=False)) == ["participant-modify c"]
    assert scene.witness.mix.talkers == (A, C)
    assert refused(scene.update(C, coaching=True)) == (400, 16028)


@pytest.mark.parametrize("fields", [{"muted": True}, {"hold": True}])
def test_a_coach_that_is_muted_or_held_is_heard_by_nobody(fields):
    scene = talking(A, B)
    scene.enter(C, coach=A)

    scene.update(C, **fields)
    assert scene.witness.mix.coaches == ()


def test_a_held_participant_does_not_hear_its_coach():
    scene = talking(A, B)
    scene.enter(C, coach=A)

    scene.update(A, hold=True)
    assert scene.witness.mix.coaches == ()
    scene.update(A, hold=False)
    assert scene.witness.mix.coaches == ((C, A),)


# -- announcements ----------------------------------------------------------------------------------


def test_announcements_to_a_room_follow_one_another():
    scene = talking(A)
    assert refused(scene.send(Announce(document=NEWS))) == (400, 16001)
    assert refused(scene.update(A, announce=NEWS)) == (400, 16001)
    scene.enter(B)

    assert scene.send(Announce(document=NEWS)) == [PlayAnnouncement(announcement=1, call=None, document=NEWS)]
    assert scene.send(Announce(document=MORE)) == []
    output = scene.send(AnnouncementEnded(announcement=1))
    assert dict(find(output, RoomEvent)[0].fields) == {"AnnounceUrl": NEWS.url}
    assert names(output) == ["announcement-end"]
    assert output[-1] == PlayAnnouncement(announcement=2, call=None, document=MORE)
    output = scene.send(AnnouncementEnded(announcement=2, failure="HTTP 404"))
    assert names(output) == ["announcement-fail"]
    assert dict(find(output, RoomEvent)[0].fields)["ReasonAnnouncementFailed"] == "HTTP 404"
    assert scene.send(AnnouncementEnded(announcement=2)) == []
    scene.send(EndRoom())
    assert refused(scene.send(Announce(document=NEWS))) == (400, 16022)


def test_announcements_to_one_are_apart_from_those_to_the_room():
    scene = talking(A, B)
    scene.send(Announce(document=NEWS))

    output = scene.update(B, announce=MORE)

    assert output == [PlayAnnouncement(announcement=2, call=B, document=MORE)]
    assert scene.send(AnnouncementEnded(announcement=9)) == []
    output = scene.send(AnnouncementEnded(announcement=2))
    assert names(output) == ["announcement-end b"]


def test_no_more_than_ten_announcements_wait_for_one_target():
    scene = talking(A, B)
    for _ in range(MAX_ANNOUNCEMENTS):
        assert refused(scene.update(B, announce=NEWS)) is None

    assert refused(scene.update(B, announce=NEWS)) == (400, 20001)
    assert refused(scene.send(Announce(document=NEWS))) is None


def test_the_announcements_of_one_who_leaves_fail():
    scene = talking(A, B, C)
    scene.update(C, announce=NEWS)
    scene.update(C, announce=MORE)

    output = scene.leaves(C, Exit.STAR)

    assert find(output, StopAnnouncement) == [StopAnnouncement(announcement=1)]
    assert names(output) == ["participant-leave c", "announcement-fail", "announcement-fail"]
    assert "CallSid" not in dict(find(output, RoomEvent)[1].fields)


def test_the_announcement_to_a_room_that_ends_fails_before_the_end():
    scene = talking(A, B)
    scene.send(Announce(document=Document()))

    output = scene.send(EndRoom())

    assert names(output)[-2:] == ["announcement-fail", "conference-end"]


# -- speech -----------------------------------------------------------------------------------------


def test_bursts_of_a_second_with_gaps_of_half_a_second_are_one_speech():
    scene = talking(A, B)
    events = []
    for start in (10.0, 11.5, 13.0):
        for at, voice in ((start, True), (start + 1.0, False)):
            while (due := scene.room.next_deadline()) is not None and due <= at:
                events += [(event.name, event.at) for event in find(scene.tick(due), RoomEvent)]
            scene.send(VoiceChanged(call=A, voice=voice), at=at)
    assert scene.tick(15.4) == []
    events += [(event.name, event.at) for event in find(scene.tick(15.5), RoomEvent)]

    assert events == [("participant-speech-start", 10.3), ("participant-speech-stop", 15.5)]
    assert scene.room.next_deadline() is None


def test_a_cough_is_no_speech():
    speech = Speech()
    speech.hear(True, 1.0)
    speech.hear(True, 1.2)  # a repetition does not begin anew
    assert speech.deadline == 1.3
    speech.hear(False, 1.25)

    assert speech.deadline is None
    assert not speech.tick(9.0)


@pytest.mark.parametrize("fields", [{"muted": True}, {"hold": True}])
def test_one_who_is_no_longer_heard_ceases_to_speak(fields):
    scene = talking(A, B)
    scene.send(VoiceChanged(call=B, voice=True), at=5.0)
    scene.tick(5.3)

    output = scene.update(B, **fields)

    assert names(output)[-1] == "participant-speech-stop b"
    assert scene.send(VoiceChanged(call=B, voice=True)) == []
    assert scene.room.next_deadline() is None


def test_one_who_is_alone_speaks_to_nobody():
    scene = talking(A, B)
    scene.send(VoiceChanged(call=A, voice=True), at=5.0)
    scene.tick(5.3)

    output = scene.leaves(B)

    assert names(output) == ["participant-leave b", "participant-speech-stop a"]
    assert scene.witness.mix.talkers == ()
    scene.send(VoiceChanged(call=A, voice=True))
    assert scene.room.next_deadline() is None


def test_hearing_is_said_once():
    scene = talking(A, B)

    assert find(scene.enter(C), SetHearing) == [SetHearing(call=C, hears=Hears.MIX)]
    assert find(scene.update(C, muted=True), SetHearing) == []


def test_a_volume_is_part_of_the_mix():
    scene = talking(A, B)
    [mix] = find(scene.update(A, volume_in_db=-20, volume_out_db=10), SetRoomMix)
    assert mix.volumes == ((A, -20, 10),)
    assert mix.talkers == (A, B)
    [mix] = find(scene.update(A, volume_in_db=0, volume_out_db=0), SetRoomMix)
    assert mix.volumes == ()


def test_who_speaks_is_known_once_somebody_asks():
    scene = talking(A, B, callback=None)
    assert not scene.room.watched
    [mix] = find(scene.send(WatchSpeakers()), SetRoomMix)
    assert mix.voices
    scene.send(VoiceChanged(call=A, voice=True), 50.0)
    assert scene.tick(50.3) == []
    assert [member.call for member in scene.room.members if member.speech.speaking] == [A]
