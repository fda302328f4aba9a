"""Whatever happens to a room: nobody is lost or told twice, all hear one thing, and it ends once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.core.ids import CallSid
from b2bua.core.room_inputs import (
    Announce,
    AnnouncementEnded,
    Document,
    EndRoom,
    Entrant,
    Exit,
    KickMember,
    MemberAdded,
    MemberAnswered,
    MemberEntered,
    MemberFailed,
    MemberGone,
    MemberProgressed,
    RecordRoom,
    RoomInput,
    RoomRecording,
    StopRoomRecording,
    UpdateMember,
    VoiceChanged,
    WaitReady,
    WaitRefused,
    WatchSpeakers,
)
from b2bua.core.room_table import RoomState
from tests.effort import examples
from tests.unit.core.room_scene import CALLBACK, Scene

pytestmark = [pytest.mark.unit, pytest.mark.no_cover]

CALLS = [CallSid(f"CA{number}") for number in range(6)]
calls = st.sampled_from(CALLS)
documents = st.sampled_from([Document(), Document(""), Document("https://app.example/x")])
maybe = st.none() | st.booleans()
ENTRANTS = st.builds(
    Entrant,
    call=calls,
    label=st.sampled_from(["", "", "agent"]),
    muted=st.booleans(),
    beep_on_enter=st.booleans(),
    beep_on_exit=st.booleans(),
    start_on_enter=st.booleans(),
    end_on_exit=st.sampled_from([False, False, False, True]),
    wait=documents,
    coach=st.none() | st.none() | calls,
    early_media=st.booleans(),
    max_participants=st.sampled_from([2, 5, 250]),
    callback=st.sampled_from([None, CALLBACK, CALLBACK]),
    recording=st.none() | st.builds(RoomRecording),
)
STEPS = st.lists(
    st.one_of(
        st.builds(MemberEntered, entrant=ENTRANTS),
        st.builds(MemberEntered, entrant=ENTRANTS),
        st.builds(MemberAdded, entrant=ENTRANTS),
        st.builds(MemberProgressed, call=calls, ringing=st.booleans()),
        st.builds(MemberAnswered, call=calls),
        st.builds(MemberFailed, call=calls, status=st.sampled_from(["no-answer", "busy"])),
        st.builds(WaitReady, call=calls),
        st.builds(WaitRefused, call=calls, number=st.just(11200)),
        st.builds(MemberGone, call=calls, exit=st.sampled_from(Exit)),
        st.builds(VoiceChanged, call=calls, voice=st.booleans()),
        st.builds(AnnouncementEnded, announcement=st.integers(1, 4), failure=st.sampled_from(["", "no"])),
        st.builds(
            UpdateMember,
            call=calls,
            muted=maybe,
            hold=maybe,
            hold_document=st.none() | documents,
            announce=st.none() | documents,
            wait=st.none() | documents,
            beep_on_exit=maybe,
            end_on_exit=st.none() | st.just(False),
            coaching=maybe,
            coach=st.none() | calls,
        ),
        st.builds(
            MemberEntered,
            entrant=st.builds(
                Entrant,
                call=calls,
                end_on_exit=st.just(True),
                end_as_last=st.booleans(),
                exit_grace_s=st.sampled_from([0.0, 3.0]),
            ),
        ),
        st.builds(UpdateMember, call=calls, volume_in_db=st.just(5), volume_out_db=st.just(-5)),
        st.just(WatchSpeakers()),
        st.builds(KickMember, call=calls),
        st.builds(Announce, document=documents),
        st.builds(RecordRoom, recording=st.builds(RoomRecording)),
        st.just(StopRoomRecording()),
        st.sampled_from(["tick", "due"]),
        st.sampled_from(["tick", EndRoom(), "due", "tick"]),
    ),
    max_size=40,
)


@settings(database=None, max_examples=examples(120))
@given(first=ENTRANTS, steps=STEPS)
def test_nobody_is_lost_or_told_twice_and_a_room_ends_once(
    first: Entrant, steps: list[RoomInput | str]
) -> None:
    scene = Scene()
    scene.send(MemberEntered(entrant=first))
    for step in steps:
        if isinstance(step, str):
            due = scene.room.next_deadline() if step == "due" else None
            scene.tick(max(scene.now + 0.1, due or 0.0))
        else:
            scene.send(step)
    # Whoever is still there can always be told to leave, and then the room is over.
    for member in scene.room.members:
        scene.send(MemberGone(call=member.call, exit=Exit.HUNG_UP))

    assert scene.room.state is RoomState.COMPLETED
    assert scene.witness.ended == 1
    assert not any(scene.witness.expected.values())
    for call in CALLS:
        assert scene.send(MemberAnswered(call=call)) == []
