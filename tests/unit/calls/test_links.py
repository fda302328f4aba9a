"""Calls between two hosts: when there is one, what it carries, how it ends."""

import pytest

from b2bua.calls.placement import Placement
from b2bua.core.commands import (
    AnswerLeg,
    Connection,
    EndSession,
    HangupLeg,
    HostCommand,
    InviteLeg,
    ListenForKeys,
    RecordLegs,
    SetMedia,
    StartRecording,
)
from b2bua.core.events import LegAnswered, LegEnded, LegIncoming
from b2bua.core.ids import HostId, LegId, SipCallId
from b2bua.core.relay_orders import AudioJoined, AudioParted, JoinAudio, MediaDescribed

pytestmark = pytest.mark.unit

A, B = LegId("a"), LegId("b")
H1, H2 = HostId("h1"), HostId("h2")
NEAR, FAR = LegId("link-1"), LegId("h2-in1")
BOTH = (Connection(A, B), Connection(B, A))
EARLY = (Connection(B, A),)


def invite(leg: str) -> InviteLeg:
    return InviteLeg(
        leg=LegId(leg), sip_call_id=SipCallId(leg), uri="sip:x@192.0.2.9", from_header="<sip:y@node.test>"
    )


def ended(leg: str, at: float = 1.0) -> LegEnded:
    return LegEnded(leg=LegId(leg), at=at, cause="peer", sip_code=200, reason="", headers=())


def described(leg: LegId) -> MediaDescribed:
    return MediaDescribed(leg=leg, recordable=True, takes_keys=True)


class Two:
    """A session on two hosts: the caller on one, its callee on the other."""

    def __init__(self) -> None:
        self.placement = Placement(H1, 1, A, SipCallId("a"))
        self.now = 10.0
        self.placement.place([invite("b")], self.now)
        assert self.placement.take_wanted() == 1
        self.placement.add(H2, 3)
        assert self.place() == {H2: [invite("b")]}

    def place(self, *commands: HostCommand) -> dict[HostId, list[HostCommand]]:
        return self.placement.place(list(commands), self.now)  # type: ignore[arg-type]

    def linked(self, *graph: Connection) -> SipCallId:
        """Want this; a link is made for it. Returns its Call-ID."""
        placed = self.place(SetMedia(connections=graph))
        orders = [each for each in placed[H1] if isinstance(each, InviteLeg)]
        assert [(each.leg, each.link_to, each.uri) for each in orders] == [(NEAR, H2, "sip:h2@link.invalid")]
        return orders[0].sip_call_id

    def comes(self, call_id: SipCallId) -> None:
        assert not self.placement.notice(
            LegIncoming(
                leg=FAR,
                at=self.now,
                sip_call_id=call_id,
                request_uri="",
                from_header="",
                to_header="",
                headers=(),
            )
        )


class TestWhetherThereIsOne:
    def test_early_media_cannot_be_joined_and_is_linked_at_once(self) -> None:
        two = Two()
        call_id = two.linked(*EARLY)
        two.comes(call_id)
        assert two.place() == {H2: [AnswerLeg(leg=FAR), SetMedia(connections=(Connection(B, FAR),))]}
        assert not two.placement.notice(LegAnswered(leg=NEAR, at=two.now, headers=()))

    def test_the_relay_has_a_moment_to_join_two_legs(self) -> None:
        two = Two()
        assert two.place(SetMedia(connections=BOTH)) == {}
        assert JoinAudio(one=A, other=B) in two.placement.take_audio()
        assert two.placement.next_deadline() == 10.06
        two.placement.relayed(AudioJoined(one=A, other=B))
        assert {host: [type(each).__name__ for each in orders] for host, orders in two.place().items()} == {
            H1: ["RestClock"],
            H2: ["RestClock"],
        }
        assert two.placement.next_deadline() is None
        two.now = 11.0
        assert two.place() == {}

    def test_after_that_moment_they_are_linked(self) -> None:
        two = Two()
        two.place(SetMedia(connections=BOTH))
        two.now = 10.06
        placed = two.place()
        assert [type(each) for each in placed[H1]] == [InviteLeg, SetMedia]
        assert placed[H1][1] == SetMedia(connections=(Connection(A, NEAR), Connection(NEAR, A)))

    def test_what_the_relay_has_refused_is_linked_at_once(self) -> None:
        two = Two()
        two.place(SetMedia(connections=BOTH))
        two.placement.relayed(AudioParted(one=A, other=B))
        assert InviteLeg in [type(each) for each in two.place()[H1]]

    def test_keys_in_the_audio_need_a_link_once_that_is_known(self) -> None:
        two = Two()
        assert two.place(SetMedia(connections=BOTH), ListenForKeys(leg=A, wanted=True)) == {
            H1: [ListenForKeys(leg=A, wanted=True)]
        }
        two.placement.relayed(MediaDescribed(leg=A, recordable=True, takes_keys=False))
        two.placement.relayed(described(B))
        assert InviteLeg in [type(each) for each in two.place()[H1]]

    def test_a_caller_that_signals_its_keys_needs_none(self) -> None:
        two = Two()
        two.place(SetMedia(connections=BOTH), ListenForKeys(leg=A, wanted=True))
        two.placement.relayed(described(A))
        assert two.place() == {}
        assert JoinAudio(one=A, other=B) in two.placement.take_audio()

    def test_it_ends_when_the_relay_joins_the_legs(self) -> None:
        two = Two()
        two.comes(two.linked(*EARLY))
        two.place(SetMedia(connections=BOTH))
        two.placement.relayed(AudioJoined(one=A, other=B))
        placed = two.place()
        assert HangupLeg(leg=NEAR, sip_code=487) in placed[H1]
        assert SetMedia(connections=()) in placed[H1]
        assert HangupLeg(leg=FAR, sip_code=487) in placed[H2]
        assert not two.placement.notice(ended(NEAR))
        assert not two.placement.notice(ended(FAR))

    def test_another_one_follows_when_they_are_parted(self) -> None:
        two = Two()
        two.place(SetMedia(connections=BOTH))
        two.placement.relayed(AudioJoined(one=A, other=B))
        two.place()
        two.placement.relayed(AudioParted(one=A, other=B))
        assert InviteLeg in [type(each) for each in two.place()[H1]]


class TestWhatBecomesOfIt:
    def test_one_that_fails_is_tried_again_after_a_pause(self) -> None:
        two = Two()
        two.linked(*EARLY)
        assert not two.placement.notice(ended(NEAR, two.now))
        assert two.place() == {H1: [SetMedia(connections=())]}
        assert two.placement.next_deadline() == 10.5
        two.now = 10.5
        assert [each.leg for each in two.place()[H1] if isinstance(each, InviteLeg)] == ["link-2"]

    def test_a_lost_host_costs_its_leg_and_the_link(self) -> None:
        two = Two()
        two.comes(two.linked(*EARLY))
        two.place()
        assert [event.leg for event in two.placement.lost(H2, 11.0) if isinstance(event, LegEnded)] == [B]
        placed = two.place(SetMedia(connections=()))
        assert HangupLeg(leg=NEAR, sip_code=487) in placed[H1]
        assert H2 not in placed

    def test_an_invite_that_comes_after_its_end_is_hung_up(self) -> None:
        two = Two()
        call_id = two.linked(*EARLY)
        two.place(SetMedia(connections=()))
        assert not two.placement.notice(ended(NEAR))
        two.comes(call_id)
        assert two.place() == {H2: [HangupLeg(leg=FAR, sip_code=487)]}

    def test_its_host_stays_until_it_has_ended(self) -> None:
        two = Two()
        two.comes(two.linked(*EARLY))
        two.place()
        two.placement.notice(ended(B))
        placed = two.place(SetMedia(connections=()))
        assert EndSession() not in placed[H2]
        two.placement.notice(ended(FAR))
        assert two.place() == {H2: [EndSession()]}

    def test_a_session_that_fails_hangs_it_up(self) -> None:
        two = Two()
        two.comes(two.linked(*EARLY))
        assert two.placement.last_words(H1) == [HangupLeg(leg=NEAR)]
        assert two.placement.last_words(H2) == [HangupLeg(leg=FAR)]


def test_a_recording_takes_a_leg_on_another_host_by_the_link() -> None:
    two = Two()
    start = StartRecording(recording="RE1", stem="/raw/RE1", parent=A)
    assert two.place(start) == {H1: [start]}
    two.placement.relayed(described(A))
    two.placement.relayed(described(B))
    two.linked(*BOTH)
    sides = RecordLegs(recording="RE1", parent=A, child=B)
    assert two.place(sides) == {H1: [RecordLegs(recording="RE1", parent=A, child=NEAR)]}
    two.placement.notice(ended(NEAR, two.now))
    assert sides in two.place()[H1]
