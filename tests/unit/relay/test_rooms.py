"""Legs in conference rooms: who hears whom, as one stream, whatever is changed."""

import itertools

import pytest

from b2bua.relay.control import (
    CloseLeg,
    KeyPressed,
    LegReplaced,
    LegSilent,
    LegsJoined,
    LegsParted,
    PlayInRoom,
    PrepareRooms,
    RecordRoom,
    RoomEntered,
    RoomLeft,
    RoomSoundEnded,
    SendKeys,
    SetRoom,
    StopInRoom,
    StopTaps,
    VoiceHeard,
)
from tests.unit.media.relay_files import read_records
from tests.unit.relay.relay_scene import G711, PCMA, PCMU, Rtp, is_contiguous
from tests.unit.relay.room_scene import HZ, LEVEL, SILENT, Room, level_of, member, wav_frames

pytestmark = pytest.mark.unit

G722 = ((9, "G722/8000"), (101, "telephone-event/8000"))


def is_even(heard: list[Rtp]) -> bool:
    """A packet each 20 ms of the stream's time."""
    return is_contiguous(heard) and all(
        (b.ts - a.ts) & 0xFFFFFFFF == 160 for a, b in itertools.pairwise(heard)
    )


@pytest.mark.parametrize("formats", [PCMA, PCMU, G711])
def test_three_hear_each_other_and_not_themselves(formats: tuple[tuple[int, str], ...]) -> None:
    room = Room(3, formats=formats)
    room.bring_all()

    room.talk(50)

    for n in range(3):
        assert room.hears(n) == {0, 1, 2} - {n}
        assert abs(room.level(n, HZ[(n + 1) % 3]) - LEVEL) < 1
        assert is_even(room.parties[n].heard)
        assert len(room.parties[n].heard) == 50
    assert {told.leg for told in room.scene.told(RoomEntered)} == {party.key for party in room.parties}


def test_both_laws_in_one_room() -> None:
    room = Room(3)
    room.parties[1].describe(PCMU)
    room.bring_all()
    room.talk(50)
    assert [room.hears(n) for n in range(3)] == [{1, 2}, {0, 2}, {0, 1}]
    assert {packet.kind for packet in room.parties[1].heard} == {0}
    room.parties[1].describe(PCMA)
    room.talk(50)
    assert [room.hears(n) for n in range(3)] == [{1, 2}, {0, 2}, {0, 1}]
    assert {packet.kind for packet in room.parties[1].heard[-40:]} == {8}


@pytest.mark.parametrize("formats", [PCMA, PCMU])
def test_one_is_louder_and_one_hears_less(formats: tuple[tuple[int, str], ...]) -> None:
    room = Room(3, formats=formats)
    one, two, three = room.parties
    room.bring(member(one, gain_in_db=10), member(two, gain_out_db=-20), member(three))
    room.talk(50)
    assert abs(room.level(2, HZ[0]) - (LEVEL + 10)) < 1
    assert abs(room.level(2, HZ[1]) - LEVEL) < 1
    assert abs(room.level(1, HZ[0]) - (LEVEL - 10)) < 1
    assert abs(room.level(1, HZ[2]) - (LEVEL - 20)) < 1
    room.bring_all()  # it is taken back while they talk
    room.talk(50)
    assert all(abs(room.level(n, HZ[(n + 1) % 3]) - LEVEL) < 1 for n in range(3))
    assert is_even(one.heard)


def test_silence_is_sent_at_the_same_pace() -> None:
    room = Room(2)
    room.bring_all()
    room.scene.passes(2)
    assert [len(party.heard) for party in room.parties] == [100, 100]
    assert is_even(room.parties[0].heard)
    assert {packet.payload for packet in room.parties[0].heard} == {b"\xd5" * 160}


def test_a_muted_one_hears_and_is_not_heard() -> None:
    room = Room(3)
    room.bring(member(room.parties[0], talks=False), member(room.parties[1]), member(room.parties[2]))
    room.talk(40)
    assert [room.hears(n) for n in range(3)] == [{1, 2}, {2}, {1}]
    room.bring_all()
    room.talk(30)
    assert [room.hears(n) for n in range(3)] == [{1, 2}, {0, 2}, {0, 1}]


def test_a_coach_is_heard_by_one_and_a_coach_of_nobody_by_none() -> None:
    room = Room(3)
    a, b, c = room.parties
    room.bring(member(a), member(b), member(c, coaches=a.key))
    room.talk(40)
    assert [room.hears(n) for n in range(3)] == [{1, 2}, {0}, {0, 1}]
    room.bring(member(b), member(c, coaches=a.key))
    room.talk(40)
    assert room.hears(1) == set()
    room.bring(member(b), member(c))
    room.talk(40)
    assert room.hears(1) == {2}


def test_a_held_one_hears_its_worker_without_a_hole() -> None:
    room = Room(3)
    room.bring_all()
    room.talk(20)
    held = room.parties[0]
    room.bring(member(room.parties[1]), member(room.parties[2]))
    room.talk(2)  # its worker's clock needs a while to run again
    room.talk(20, workers=True)
    assert held.heard[-1].payload == b"\xd5" * 160
    assert held.worker_heard
    assert room.hears(1) == {2}
    room.bring_all()
    room.talk(40)
    assert room.hears(0) == {1, 2}
    assert is_even(held.heard)
    assert len(held.heard) in (81, 82, 83)


def test_the_worker_is_heard_until_the_room_speaks_and_no_longer() -> None:
    room = Room(2)
    room.talk(5, workers=True)
    heard = len(room.parties[0].heard)
    assert heard == 5
    room.bring_all()
    room.talk(10, workers=True)
    assert len(room.parties[0].heard) in (15, 16)
    assert is_contiguous(room.parties[0].heard)
    worker_heard = len(room.parties[0].worker_heard)
    room.talk(10, workers=True)
    assert len(room.parties[0].worker_heard) == worker_heard


def test_one_that_does_not_listen_talks_and_hears_its_worker() -> None:
    room = Room(2)
    room.bring(member(room.parties[0]), member(room.parties[1], listens=False, recorded=False))
    room.talk(40, workers=True)
    assert room.hears(0) == {1}
    assert len(room.parties[1].heard) == 40
    assert {packet.payload for packet in room.parties[1].heard} == {b"\xd5" * 160}
    assert room.parties[1].worker_heard


def test_a_leg_that_cannot_be_decoded_is_reported_and_one_that_can_again_enters() -> None:
    room = Room(3)
    room.parties[0].describe(G722)
    room.parties[1].describe(plain=False)
    room.bring_all()
    left = [told.leg for told in room.scene.told(RoomLeft)]
    assert left == [room.parties[0].key, room.parties[1].key]
    room.bring_all()
    assert len(room.scene.told(RoomLeft)) == 2
    room.parties[0].describe(PCMA)
    assert room.scene.told(RoomEntered)[-1] == RoomEntered(room="r", leg=room.parties[0].key)
    room.talk(40)
    assert room.hears(0) == {2}
    room.parties[0].describe(direction="sendonly")
    assert room.scene.told(RoomLeft)[-1] == RoomLeft(room="r", leg=room.parties[0].key)


def test_a_room_may_be_set_before_its_legs_and_before_the_desk() -> None:
    room = Room(2)
    room.scene.loader.ready = False
    room.bring_all()
    room.talk(10, workers=True)
    assert not room.scene.told(RoomEntered)
    assert len(room.parties[0].heard) == 10
    room.scene.loader.ready = True
    room.talk(40)
    assert room.hears(0) == {1}
    assert len(room.scene.told(RoomEntered)) == 2


def test_the_desk_is_made_before_the_first_room_begins() -> None:
    room = Room(2)
    room.scene.order(PrepareRooms())
    assert room.scene.loader.asked == 1
    room.scene.order(PrepareRooms())
    room.bring_all()
    assert room.scene.loader.asked == 1
    assert len(room.scene.told(RoomEntered)) == 2


def test_keys_are_reported_and_neither_mixed_nor_passed_on() -> None:
    room = Room(2)
    room.bring_all()
    room.talk(20)
    room.parties[0].presses("5")
    room.talk(20)
    (key,) = room.scene.told(KeyPressed)
    assert (key.leg, key.digit, key.passed) == (room.parties[0].key, "5", False)
    assert {packet.kind for party in room.parties for packet in party.heard} == {8}
    assert not room.parties[0].worker_heard


def test_a_key_is_sent_in_place_of_the_mix() -> None:
    room = Room(2)
    room.bring_all()
    room.talk(10)
    room.scene.order(SendKeys(leg=room.parties[0].key, digits="1"))
    room.talk(30)
    kinds = [packet.kind for packet in room.parties[0].heard]
    assert kinds.count(101) >= 8
    assert is_contiguous(room.parties[0].heard)
    assert room.hears(0) == {1}


def test_a_beep_is_heard_by_all_and_a_private_sound_by_one_over_a_lower_mix() -> None:
    room = Room(3)
    room.scene.loader.sounds = {"beep": wav_frames(1500, -18, 40), "one": wav_frames(1500, -18, 80)}
    room.bring_all()
    room.talk(30)
    room.scene.order(PlayInRoom(room="r", sound="s1", path="beep"))
    room.talk(30)
    assert [abs(room.level(n, 1500) + 18) < 1 for n in range(3)] == [True] * 3
    room.talk(40)
    assert [room.level(n, 1500) < SILENT for n in range(3)] == [True] * 3
    assert room.scene.told(RoomSoundEnded) == [RoomSoundEnded(room="r", sound="s1")]
    room.scene.order(PlayInRoom(room="r", sound="s2", path="one", leg=room.parties[0].key))
    room.talk(30)
    assert abs(room.level(0, 1500) + 18) < 1
    assert abs(room.level(0, HZ[1]) - (LEVEL - 12)) < 1
    assert abs(room.level(1, HZ[0]) - LEVEL) < 1
    assert [room.level(n, 1500) < SILENT for n in (1, 2)] == [True, True]
    room.scene.order(StopInRoom(room="r", sound="s2"))
    room.talk(25)
    assert abs(room.level(0, HZ[1]) - LEVEL) < 1
    assert [told.sound for told in room.scene.told(RoomSoundEnded)] == ["s1", "s2"]


def test_a_sound_that_cannot_be_played_says_why() -> None:
    room = Room(2)
    room.scene.order(PlayInRoom(room="r", sound="s0", path="beep"))
    room.bring_all()
    room.scene.order(PlayInRoom(room="r", sound="s1", path="beep"))
    room.talk(2)
    ended = room.scene.told(RoomSoundEnded)
    assert [(told.sound, bool(told.failure)) for told in ended] == [("s0", True), ("s1", True)]


def test_a_recording_holds_talkers_and_sounds_but_no_coach_and_no_ringing_leg() -> None:
    room = Room(4)
    a, b, c, d = room.parties
    room.scene.loader.sounds = {"beep": wav_frames(1500, -18, 40)}
    room.bring(member(a), member(b, talks=False), member(c, coaches=a.key), member(d, recorded=False))
    room.scene.order(RecordRoom(room="r", recording="R", path="p"))
    room.talk(20)
    room.scene.order(PlayInRoom(room="r", sound="s1", path="beep"))
    room.talk(40)
    room.scene.order(StopTaps(recording="R"))
    room.talk(10)
    recorded = [
        Rtp(one.payload_type, False, one.sequence, one.timestamp, one.ssrc, one.payload)
        for one in read_records(room.scene.files.pieces["R"])
    ]
    assert len(recorded) == 60
    assert is_even(recorded)
    levels = [level_of(recorded[-25:], hz) for hz in (*HZ, 1500)]
    assert [level > SILENT for level in levels] == [True, False, False, False, True]
    assert room.scene.files.ended == ["R"]
    assert room.hears(1) == {0, 3}


def test_a_rooms_end_ends_its_sounds_and_its_recording() -> None:
    room = Room(2)
    room.scene.loader.sounds = {"beep": wav_frames(1500, -18, 40)}
    room.bring_all()
    room.scene.order(RecordRoom(room="r", recording="R", path="p"))
    room.scene.order(PlayInRoom(room="r", sound="s1", path="beep"))
    room.talk(5)
    room.bring()
    assert room.scene.told(RoomSoundEnded) == [RoomSoundEnded(room="r", sound="s1")]
    assert room.scene.files.ended == ["R"]
    room.talk(5, workers=True)
    sent = len(room.scene.sent)
    room.scene.passes(1)
    assert len(room.scene.sent) == sent


def test_voices_are_told_when_they_are_wanted() -> None:
    room = Room(2)
    room.bring_all(voices=True)
    room.quiet = {1}
    room.talk(50)
    room.quiet = {0, 1}
    room.talk(50)
    told = [(each.leg, each.voice) for each in room.scene.told(VoiceHeard)]
    assert told == [(room.parties[0].key, True), (room.parties[0].key, False)]


def test_joined_legs_are_parted_by_a_room_and_joined_again_after_it() -> None:
    room = Room(2)
    a, b = room.parties
    room.scene.join(a, b)
    room.talk(5)
    room.bring_all()
    assert len(room.scene.told(LegsParted)) == 1
    room.talk(30)
    assert room.hears(0) == {1}
    room.scene.join(a, b)  # a leg in a room is not joined
    assert len(room.scene.told(LegsParted)) == 2
    room.bring()
    room.talk(30)
    assert len(room.scene.told(LegsJoined)) == 2
    assert room.hears(0) == {1}
    assert all(is_contiguous(party.heard) for party in room.parties)


def test_a_leg_moves_to_another_room() -> None:
    room = Room(3)
    a, b, c = room.parties
    room.bring(member(a), member(b))
    room.talk(20)
    room.scene.order(SetRoom(room="other", members=(member(a), member(c))))
    room.talk(30)
    assert [room.hears(n) for n in range(3)] == [{2}, set(), {0}]
    assert is_even(a.heard)


def test_a_closed_leg_leaves_and_its_replacement_takes_its_place() -> None:
    room = Room(2)
    b = room.parties[1]
    room.bring_all()
    room.talk(20)
    new = room.scene.party("new").describe()
    room.parties.append(new)
    room.scene.order(LegReplaced(leg=new.key, old=b.key))
    room.talk(30)
    assert room.hears(0) == {2}
    assert room.hears(2) == {0}
    room.scene.relay.obey(CloseLeg(leg=b.key), "edge", room.scene.now)
    room.scene.relay.obey(CloseLeg(leg=b.key), "controller", room.scene.now)
    assert room.scene.told(RoomLeft) == [RoomLeft(room="r", leg=b.key)]
    room.parties.pop()
    room.parties.pop()
    room.talk(40)
    assert room.level(0, HZ[2]) < SILENT


def test_a_controller_that_comes_back_is_told_who_is_in() -> None:
    room = Room(2)
    room.parties[0].describe(G722)
    room.bring_all()
    room.scene.relay.to_controller.clear()
    room.scene.relay.repeat()
    assert room.scene.told(RoomEntered) == [RoomEntered(room="r", leg=room.parties[1].key)]
    assert room.scene.told(RoomLeft) == [RoomLeft(room="r", leg=room.parties[0].key)]


def test_a_late_loop_makes_up_for_missed_ticks() -> None:
    room = Room(2)
    room.bring_all()
    room.talk(10)
    room.scene.now += 0.1
    room.scene.relay.tick(room.scene.now)
    assert len(room.parties[0].heard) == 15
    assert is_even(room.parties[0].heard)
    room.scene.now += 3.0
    room.scene.passes(0.1)
    assert len(room.parties[0].heard) < 25
    assert is_contiguous(room.parties[0].heard)


def test_a_silent_party_in_a_room_is_reported_once() -> None:
    room = Room(2)
    room.scene.relay.rtp_timeout_s = 5.0
    room.bring_all()
    room.quiet = {1}
    room.talk(350)
    assert [told.leg for told in room.scene.told(LegSilent)] == [room.parties[1].key]


def test_the_stream_goes_on_with_its_numbers_after_a_hold_in_the_old_form() -> None:
    room = Room(2)
    room.bring_all()
    room.talk(10)
    room.parties[0].describe(host="0.0.0.0")
    room.talk(10, workers=True)
    room.parties[0].describe()
    room.talk(10)
    assert is_contiguous(room.parties[0].heard)
    assert len(room.parties[0].heard) == 20
