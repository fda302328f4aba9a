"""``<Dial><Conference>`` on a call: what it tells its room, hears, runs and reports."""

import pytest

from b2bua.calls.orders import FetchDocument, FromRoom, Redirected, ToRoom
from b2bua.core.commands import Connection, ListenForKeys, SetMedia, room_party
from b2bua.core.ids import CallSid, LegId
from b2bua.core.room_inputs import Document, Entrant, Exit, MemberEntered, MemberGone, WaitReady, WaitRefused
from b2bua.core.room_outputs import (
    Hears,
    LeaveReason,
    MemberAdmitted,
    MemberDone,
    RoomOutput,
    SetHearing,
    StartDocument,
    StopDocument,
)
from tests.unit.calls.scene import Scene

pytestmark = pytest.mark.unit

CALL = CallSid("CA1")
MIX = (Connection(room_party(LegId("a")), "a"), Connection("a", room_party(LegId("a"))))
WAIT = Document("http://app.test/wait")


class Member(Scene):
    """A call in a room."""

    def says(self, *outputs: RoomOutput) -> "Member":
        entry = self.all(ToRoom)[0].entry
        for output in outputs:
            told = FromRoom(
                call_sid=CALL, entry=entry, conference_sid="CF1", friendly_name="x", output=output
            )
            self.bring(told)
        return self

    def told(self) -> list[object]:
        return [order.event for order in self.all(ToRoom)]

    def hears(self) -> tuple[Connection, ...]:
        graphs = self.all(SetMedia)
        return graphs[-1].connections if graphs else ()


def member(noun: str = 'waitUrl="/wait"', dial: str = 'action="/done"', after: str = "") -> Member:
    scene = Member()
    twiml = f"<Response><Dial {dial}><Conference {noun}>x</Conference></Dial>{after}</Response>"
    scene.document(twiml).confirms()
    return scene


def waits(scene: Member, document: Document = WAIT, *, entering: bool = True) -> Member:
    wait = StartDocument(call=CALL, kind=Hears.WAIT, document=document, entering=entering)
    return scene.says(SetHearing(call=CALL, hears=Hears.WAIT), wait)


def test_the_attributes_of_the_noun() -> None:
    scene = member(
        'muted="true" beep="onExit" startConferenceOnEnter="false" endConferenceOnExit="true"'
        ' participantLabel="ann" maxParticipants="7" waitUrl="" jitterBufferSize="small"'
    )
    entrant = Entrant(
        call=CALL,
        label="ann",
        muted=True,
        beep_on_enter=False,
        beep_on_exit=True,
        start_on_enter=False,
        end_on_exit=True,
        wait=Document(""),
        max_participants=7,
    )
    assert scene.told() == [MemberEntered(entrant=entrant)]
    assert [(order.room, order.jitter_ms) for order in scene.all(ToRoom)] == [("x", 20)]


def test_our_extensions_of_the_noun() -> None:
    scene = member('endConferenceOnExit="last" exitGrace="20" waitUrl=""')
    entrant = Entrant(call=CALL, end_on_exit=True, end_as_last=True, exit_grace_s=20, wait=Document(""))
    assert scene.told() == [MemberEntered(entrant=entrant)]


def test_the_wait_document_is_run_once() -> None:
    scene = waits(member())
    assert scene.last_fetch().url == "http://app.test/wait"
    assert dict(scene.last_fetch().params)["ConferenceSid"] == "CF1"
    scene.document("<Response><Pause length='2'/></Response>")
    assert scene.told()[1:] == [WaitReady(call=CALL)]
    scene.says(MemberAdmitted(call=CALL))
    scene.at(10)
    assert len(scene.all(FetchDocument)) == 2


def test_a_wait_document_that_cannot_be_had_refuses_who_enters() -> None:
    scene = waits(member())
    scene.no_document(11205)
    assert scene.told()[1:] == [WaitRefused(call=CALL, number=11205)]
    scene.says(MemberDone(call=CALL, number=11205))
    assert dict(scene.last_fetch().params)["DialCallStatus"] == "failed"


def test_a_later_one_that_cannot_be_had_is_replaced_by_music() -> None:
    scene = member('waitUrl=""').says(MemberAdmitted(call=CALL))
    waits(scene, entering=False).no_document()
    assert scene.hears() == (Connection("tone:music", "a"),)
    assert scene.told()[1:] == []


@pytest.mark.parametrize(("url", "heard"), [(None, (Connection("tone:music", "a"),)), ("", ())])
def test_music_and_silence_need_no_request(url: str | None, heard: tuple[Connection, ...]) -> None:
    scene = waits(member(), Document(url))
    assert scene.hears() == heard
    assert scene.told()[1:] == [WaitReady(call=CALL)]


def test_the_mix_replaces_the_document() -> None:
    scene = waits(member(), Document(None))
    scene.says(StopDocument(call=CALL), SetHearing(call=CALL, hears=Hears.MIX))
    assert scene.hears() == MIX


def test_star_leaves_only_if_it_is_to() -> None:
    scene = member(dial='hangupOnStar="true" action="/done"').says(SetHearing(call=CALL, hears=Hears.MIX))
    assert ListenForKeys(leg=LegId("a"), wanted=True) in scene.orders
    scene.presses("*")
    assert scene.told()[1:] == [MemberGone(call=CALL, exit=Exit.STAR)]
    assert scene.hears() == ()
    other = member()
    other.presses("*")
    assert len(other.told()) == 1


def test_the_time_limit_counts_from_entering() -> None:
    scene = member(dial='timeLimit="10"')
    scene.at(11)
    assert scene.told()[1:] == [MemberGone(call=CALL, exit=Exit.TIME_LIMIT)]


def test_the_action_is_requested_when_the_call_goes_on_or_has_ended() -> None:
    scene = member().says(MemberAdmitted(call=CALL))
    scene.ends("a")
    assert scene.told()[1:] == [MemberGone(call=CALL, exit=Exit.HUNG_UP)]
    scene.says(MemberDone(call=CALL, admitted=True, reason=LeaveReason.HUNG_UP))
    params = dict(scene.last_fetch().params)
    assert (params["DialCallStatus"], params["ConferenceSid"]) == ("answered", "CF1")
    assert params["ReasonParticipantLeft"] == "participant_hung_up"
    assert scene.kinds()[-1] == "EndSession"


def test_a_redirected_member_leaves_and_no_action_is_requested() -> None:
    scene = member().says(MemberAdmitted(call=CALL))
    scene.bring(Redirected(url="http://app.test/new"))
    assert scene.told()[1:] == [MemberGone(call=CALL, exit=Exit.REDIRECTED)]
    scene.says(MemberDone(call=CALL, admitted=True, reason=LeaveReason.UPDATED))
    assert scene.last_fetch().url == "http://app.test/new"


def test_one_who_was_called_for_the_room_is_hung_up() -> None:
    scene = member(dial="", after="<Redirect>/next</Redirect>").says(MemberAdmitted(call=CALL))
    scene.says(MemberDone(call=CALL, admitted=True, reason=LeaveReason.ENDED_BY_API, hang_up=True))
    assert "HangupLeg" in scene.kinds()
    assert len(scene.all(FetchDocument)) == 1


def test_other_verbs_are_skipped_in_wait_documents() -> None:
    scene = waits(member())
    scene.document("<Response><Gather/><Hangup/><Pause length='1'/></Response>")
    assert "HangupLeg" not in scene.kinds()
