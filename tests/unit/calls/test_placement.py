"""Which commands each host receives, and what is lost with one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.calls.orders import Command
from b2bua.calls.placement import Placement
from b2bua.core.commands import (
    Connection,
    EndSession,
    HangupLeg,
    InviteLeg,
    NotifyTransfer,
    RecordLegs,
    SetMedia,
    StartPrompt,
    StartRecording,
    StopPrompt,
    StopRecording,
)
from b2bua.core.events import LegEnded, LegReferred, RecordingStopped
from b2bua.core.ids import HostId, LegId, SipCallId

pytestmark = pytest.mark.unit

A = LegId("a")
H1, H2 = HostId("h1"), HostId("h2")


def invite(leg: str) -> InviteLeg:
    return InviteLeg(
        leg=LegId(leg), sip_call_id=SipCallId(leg), uri="sip:x@192.0.2.9", from_header="<sip:y@node.test>"
    )


def ended(leg: str) -> LegEnded:
    return LegEnded(leg=LegId(leg), at=1.0, cause="peer", sip_code=200, reason="", headers=())


def recording(sid: str, parent: str = "a") -> StartRecording:
    return StartRecording(recording=sid, stem=f"/raw/{sid}", parent=LegId(parent))


class TestOneHost:
    def test_it_is_told_everything_in_order(self) -> None:
        placement = Placement(H1, 4, A)
        commands: list[Command] = [
            invite("b1"),
            SetMedia(connections=(Connection("a", "b1"), Connection("tone:us", "a"))),
            recording("RE1"),
            RecordLegs(recording="RE1", parent=A, child=LegId("b1")),
            StartPrompt(prompt="p", leg=A, file="/x.wav"),
            StopPrompt(prompt="p"),
            StopRecording(recording="RE1"),
            HangupLeg(leg=A),
            EndSession(),
        ]
        assert placement.place(commands) == {H1: commands}

    def test_nothing_is_sent_that_is_about_nobody(self) -> None:
        placement = Placement(H1, 4, A)
        unknown: list[Command] = [
            HangupLeg(leg=LegId("b9")),
            StopPrompt(prompt="p9"),
            StopRecording(recording="RE9"),
            RecordLegs(recording="RE9", parent=A, child=None),
        ]
        assert placement.place(unknown) == {}

    def test_a_graph_that_is_there_already_is_not_told_again(self) -> None:
        placement = Placement(H1, 4, A)
        graph = SetMedia(connections=(Connection("a", "a"),))
        assert placement.place([graph]) == {H1: [graph]}
        assert placement.place([graph]) == {}

    def test_a_transferor_is_told_after_its_leg_has_ended(self) -> None:
        placement = Placement(H1, 4, A)
        placement.place([invite("b1")])
        placement.notice(ended("b1"))
        notify = NotifyTransfer(leg=LegId("b1"), sip_code=200)
        assert placement.place([notify]) == {H1: [notify]}

    def test_a_call_of_ours_has_no_leg_before_its_invite(self) -> None:
        placement = Placement(H1, 4)
        assert placement.host_of(LegId("b1")) is None
        placement.place([invite("b1")])
        assert placement.host_of(LegId("b1")) == H1

    def test_a_leg_that_does_not_fit_waits_for_another_host(self) -> None:
        placement = Placement(H1, 1, A)
        assert placement.place([invite("b1")]) == {}
        assert (placement.take_wanted(), placement.take_wanted()) == (1, 0)
        placement.add(H2, 1)
        assert placement.place([]) == {H2: [invite("b1")]}

    def test_a_leg_that_waits_is_hung_up_at_once(self) -> None:
        placement = Placement(H1, 1, A)
        placement.place([invite("b1"), HangupLeg(leg=LegId("b1"))], 7.0)
        ended = LegEnded(leg=LegId("b1"), at=7.0, cause="local", sip_code=487, reason="", headers=())
        assert placement.take_ended() == [ended]
        assert placement.take_ended() == []
        assert placement.take_wanted() == 0

    def test_legs_for_which_there_is_no_host_end(self) -> None:
        placement = Placement(H1, 4, A)
        placement.place([invite(f"b{n}") for n in range(7)])
        assert placement.take_wanted() == 2
        placement.refuse()
        assert placement.place([], 7.0) == {}
        assert (placement.take_wanted(), placement.take_ended()) == (0, [])
        placement.add(H2, 4)
        assert placement.place([], 8.0) == {H2: [invite("b2"), invite("b3"), invite("b4")]}
        assert [(e.leg, e.cause, e.sip_code) for e in placement.take_ended()] == [
            ("b5", "capacity", 503),
            ("b6", "capacity", 503),
        ]
        assert (placement.take_short(), placement.take_short()) == (2, 0)
        assert placement.take_wanted() == 0

    def test_a_leg_waits_for_one_that_was_hung_up_where_no_other_host_can_be_had(self) -> None:
        placement = Placement(H1, 2, A)
        placement.place([invite("b1"), HangupLeg(leg=LegId("b1")), invite("b2")])
        assert placement.take_wanted() == 1
        placement.refuse()
        assert placement.place([]) == {H1: [invite("b2")]}
        assert placement.take_short() == 0


class TestSeveralHosts:
    def test_legs_go_where_there_is_room(self) -> None:
        placement = Placement(H1, 2, A)
        placement.add(H2, 2)
        placement.place([invite("b1"), invite("b2")])
        assert [placement.host_of(LegId(leg)) for leg in ("b1", "b2")] == [H1, H2]
        placement.notice(ended("b1"))
        placement.place([invite("b3")])
        assert placement.host_of(LegId("b3")) == H1

    def test_each_is_told_its_part_of_the_graph(self) -> None:
        placement = Placement(H1, 2, A)
        placement.add(H2, 2)
        placement.place([invite("b1"), invite("b2")])
        here, there = Connection("a", "b1"), Connection("tone:us", "b2")
        assert placement.place([SetMedia(connections=(here, there))]) == {
            H1: [SetMedia(connections=(here,))],
            H2: [SetMedia(connections=(there,))],
        }
        assert placement.place([SetMedia(connections=(here,))]) == {H2: [SetMedia(connections=())]}

    def test_a_host_with_nothing_of_the_session_is_one_no_longer(self) -> None:
        placement = Placement(H1, 1, A)
        placement.place([invite("b1"), invite("b2")])
        placement.add(H2, 3)
        placement.place([])
        placement.notice(ended("b1"))
        assert placement.place([]) == {}
        placement.notice(ended("b2"))
        assert placement.place([]) == {H2: [EndSession()]}
        assert placement.place([HangupLeg(leg=LegId("b2"))]) == {}

    def test_a_host_that_comes_too_late_is_told_at_once(self) -> None:
        placement = Placement(H1, 1, A)
        placement.place([invite("b1"), HangupLeg(leg=LegId("b1"))])
        placement.add(H2, 3)
        assert placement.place([]) == {H2: [EndSession()]}

    def test_a_transferor_keeps_its_host_until_the_last_notify(self) -> None:
        placement = Placement(H1, 1, A)
        placement.place([invite("b1")])
        placement.add(H2, 3)
        placement.place([])
        placement.notice(
            LegReferred(
                leg=LegId("b1"), at=1.0, refer_to="<sip:c@d>", referred_by="", replaces="", quiet=False
            )
        )
        placement.notice(ended("b1"))
        rang = NotifyTransfer(leg=LegId("b1"), sip_code=180)
        assert placement.place([rang]) == {H2: [rang]}
        last = NotifyTransfer(leg=LegId("b1"), sip_code=200)
        assert placement.place([last]) == {H2: [last, EndSession()]}

    def test_the_end_of_the_session_is_told_to_all(self) -> None:
        placement = Placement(H1, 1, A)
        placement.add(H2, 2)
        assert placement.place([EndSession()]) == {H1: [EndSession()], H2: [EndSession()]}

    def test_what_is_on_one_is_lost_with_it_once(self) -> None:
        placement = Placement(H1, 1, A)
        placement.add(H2, 4)
        placement.place([invite("b1"), invite("b2"), recording("RE1"), recording("RE2", "b1")])
        placement.notice(ended("b2"))
        lost = placement.lost(H2, 5.0)
        assert [event.leg for event in lost if isinstance(event, LegEnded)] == ["b1"]
        assert [event.recording for event in lost if isinstance(event, RecordingStopped)] == ["RE2"]
        assert placement.lost(H2, 6.0) == []


def test_the_callers_leg_is_lost_before_its_callees() -> None:
    placement = Placement(H1, 4, LegId("w1-in1"))
    placement.place([invite("out-1"), invite("out-2")])
    lost = placement.lost(H1, 5.0)
    assert [event.leg for event in lost if isinstance(event, LegEnded)] == ["w1-in1", "out-1", "out-2"]


STEPS = st.lists(st.tuples(st.sampled_from(["invite", "end", "record", "stopped"]), st.integers(0, 5)))


@settings(database=None)
@given(STEPS)
def test_every_leg_and_recording_is_on_one_host_until_it_ends_or_is_lost(
    steps: list[tuple[str, int]],
) -> None:
    placement = Placement(H1, 3, A)
    placement.add(H2, 3)

    def told(command: Command) -> list[HostId]:
        placed = placement.place([command])
        return [host for host, orders in placed.items() if orders != [EndSession()]]

    legs, waiting, recordings = [A], list[LegId](), list[str]()
    for number, (what, n) in enumerate(steps):
        match what:
            case "invite":
                hosts, leg = told(invite(f"b{number}")), LegId(f"b{number}")
                host = placement.host_of(leg)
                assert hosts == ([] if host is None else [host])
                (waiting if host is None else legs).append(leg)
            case "end" if legs:
                placement.notice(ended(legs.pop(n % len(legs))))
            case "record" if legs:
                sid, parent = f"RE{number}", legs[n % len(legs)]
                assert told(recording(sid, parent)) == [placement.host_of(parent)]
                recordings.append(sid)
            case "stopped" if recordings:
                sid = recordings.pop(n % len(recordings))
                stopped = RecordingStopped(recording=sid, at=1.0, files=(), duration_s=1.0, reason="")
                placement.notice(stopped)
        legs += [leg for leg in waiting if placement.host_of(leg) is not None]
        waiting = [leg for leg in waiting if placement.host_of(leg) is None]
    lost = [*placement.lost(H1, 9.0), *placement.lost(H2, 9.0)]
    assert sorted(event.leg for event in lost if isinstance(event, LegEnded)) == sorted(legs)
    stopped_ones = sorted(event.recording for event in lost if isinstance(event, RecordingStopped))
    assert stopped_ones == sorted(recordings)
