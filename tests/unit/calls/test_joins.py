"""Which legs the relay is ordered to join, and when the clock of a host may rest."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from b2bua.calls.orders import Command
from b2bua.calls.placement import Placement
from b2bua.core.commands import (
    AnswerLeg,
    Connection,
    HangupLeg,
    HostCommand,
    InviteLeg,
    ListenForKeys,
    RestClock,
    SendDtmf,
    SetMedia,
    StartPrompt,
    StartRecording,
    StopPrompt,
    StopRecording,
    WatchForMachine,
    WatchSilence,
    away,
)
from b2bua.core.events import (
    LegEnded,
    MachineJudged,
    PromptEnded,
    RecordingStopped,
    SessionEvent,
    SilenceReached,
)
from b2bua.core.ids import HostId, LegId, SipCallId
from b2bua.core.relay_orders import (
    AudioEvent,
    AudioJoined,
    AudioParted,
    CloseAudio,
    JoinAudio,
    MediaDescribed,
    PartAudio,
    PassKeys,
    WithholdKeys,
)
from tests.effort import examples

pytestmark = pytest.mark.unit

A, B, C = LegId("a"), LegId("b"), LegId("c")
H = HostId("h")
BRIDGE = SetMedia(connections=(Connection("a", "b"), Connection("b", "a")))
NOTHING = SetMedia(connections=())
JOIN, PART = JoinAudio(one=A, other=B), PartAudio(one=A, other=B)
JOINED, PARTED = AudioJoined(one=A, other=B), AudioParted(one=A, other=B)
REST, RUN = RestClock(resting=True), RestClock(resting=False)
PROMPT = StartPrompt(prompt="p", leg=A, file="/p.wav")


def invite(leg: str) -> InviteLeg:
    return InviteLeg(
        leg=LegId(leg), sip_call_id=SipCallId(f"id-{leg}"), uri="sip:x@h.test", from_header="<sip:y@h.test>"
    )


def ended(leg: str) -> LegEnded:
    return LegEnded(leg=LegId(leg), at=1.0, cause="peer", sip_code=200, reason="", headers=())


class Scene:
    """A caller and legs that it is connected with; ``do`` and ``see`` return what follows."""

    def __init__(self, *callees: str) -> None:
        self.placement = Placement(H, 8, A, SipCallId("id-a"))
        self.now = 100.0
        self.do(*(invite(leg) for leg in callees))

    def do(self, *commands: Command) -> tuple[list[Any], list[HostCommand]]:
        """Orders to the relay, and commands to the host."""
        placed = self.placement.place(commands, self.now)
        return list(self.placement.take_audio()), placed.get(H, [])

    def see(self, event: SessionEvent) -> tuple[list[Any], list[HostCommand]]:
        self.placement.notice(event)
        return self.do()

    def hear(self, *events: AudioEvent) -> tuple[list[Any], list[HostCommand]]:
        for event in events:
            self.placement.relayed(event)
        return self.do()

    @classmethod
    def joined(cls, *more: str) -> "Scene":
        scene = cls("b", *more)
        for leg in more:
            scene.do(HangupLeg(leg=LegId(leg)))
        for leg in (A, B):
            scene.hear(MediaDescribed(leg=leg, recordable=True, takes_keys=True))
        scene.do(BRIDGE)
        assert scene.hear(JOINED) == ([], [REST])
        return scene


class TestOrder:
    def test_two_that_hear_each_other_are_joined(self) -> None:
        assert Scene("b").do(BRIDGE) == ([JOIN], [BRIDGE])

    def test_a_party_that_hears_ringback_or_early_media_is_not(self) -> None:
        scene = Scene("b")
        assert scene.do(SetMedia(connections=(Connection("tone:us", "a"),)))[0] == []
        assert scene.do(SetMedia(connections=(Connection("b", "a"),)))[0] == []

    def test_one_that_hears_itself_is_not(self) -> None:
        assert Scene().do(SetMedia(connections=(Connection("a", "a"),)))[0] == []

    def test_three_are_not(self) -> None:
        legs = ("a", "b", "c")
        graph = SetMedia(connections=tuple(Connection(x, y) for x in legs for y in legs if x != y))
        assert Scene("b", "c").do(graph)[0] == []

    def test_one_that_somebody_else_hears_too_is_not(self) -> None:
        graph = SetMedia(connections=(*BRIDGE.connections, Connection("a", "c")))
        assert Scene("b", "c").do(graph)[0] == []

    @pytest.mark.parametrize(
        "command",
        [
            NOTHING,
            PROMPT,
            WatchSilence(leg=B, timeout_s=5.0),
            WatchForMachine(leg=B),
            StartRecording(recording="RE1", stem="/raw/RE1", parent=A),
            HangupLeg(leg=B),
        ],
    )
    def test_it_is_withdrawn_before_the_host_does_what_needs_it(self, command: Command) -> None:
        assert Scene.joined().do(command) == ([PART], [RUN, command])

    def test_the_hang_up_of_a_losing_branch_changes_nothing(self) -> None:
        scene = Scene("b", "c")
        hangup = HangupLeg(leg=C)
        assert scene.do(BRIDGE, hangup) == ([JOIN], [BRIDGE, hangup])
        assert scene.hear(JOINED) == ([], [REST])
        assert scene.see(ended("c")) == ([CloseAudio(leg=C)], [])

    def test_it_is_given_again_when_a_prompt_or_a_watch_is_over(self) -> None:
        scene = Scene.joined()
        scene.do(PROMPT)
        assert scene.see(PromptEnded(prompt="p", at=1.0, complete=True))[0] == [JOIN]
        scene.do(WatchSilence(leg=A, timeout_s=2.0))
        assert scene.see(SilenceReached(leg=A, at=2.0, heard=False))[0] == [JOIN]
        scene.do(WatchSilence(leg=A, timeout_s=2.0))
        assert scene.do(WatchSilence(leg=A, timeout_s=0.0))[0] == [JOIN]
        scene.do(WatchForMachine(leg=B))
        judged = MachineJudged(leg=B, at=2.0, answered_by="human", duration_ms=2000)
        assert scene.see(judged)[0] == [JOIN]

    def test_it_is_given_again_when_a_recording_of_the_host_is_complete(self) -> None:
        scene = Scene("b")
        scene.do(BRIDGE)
        scene.do(StartRecording(recording="RE1", stem="/raw/RE1", parent=A))
        assert scene.do(StopRecording(recording="RE1"))[0] == []
        stopped = RecordingStopped(recording="RE1", at=1.0, files=(), duration_s=1.0)
        assert scene.see(stopped) == ([JOIN], [])

    def test_a_leg_that_ends_is_closed_after_it(self) -> None:
        assert Scene.joined().see(ended("b")) == ([PART, CloseAudio(leg=B)], [RUN])

    def test_legs_of_a_lost_host_are_closed(self) -> None:
        scene = Scene.joined()
        scene.placement.lost(H, 5.0)
        assert scene.do()[0] == [PART, CloseAudio(leg=A), CloseAudio(leg=B)]
        assert not scene.placement.is_joined(A)


class TestKeys:
    def test_a_leg_that_may_send_tones_only_is_left_to_its_host(self) -> None:
        scene = Scene("b")
        listen = ListenForKeys(leg=A, wanted=True)
        assert scene.do(BRIDGE, listen) == ([WithholdKeys(leg=A, digits="*")], [BRIDGE, listen])
        described = MediaDescribed(leg=A, recordable=True, takes_keys=True)
        assert scene.hear(described) == ([JOIN], [])
        assert scene.hear(MediaDescribed(leg=A, recordable=True, takes_keys=False)) == ([PART], [])

    def test_all_keys_are_passed_on_again(self) -> None:
        scene = Scene.joined()
        scene.do(ListenForKeys(leg=A, wanted=True))
        assert scene.do(ListenForKeys(leg=A, wanted=False))[0] == [WithholdKeys(leg=A, digits="")]

    def test_the_relay_sends_keys_to_a_joined_leg_that_takes_them(self) -> None:
        keys = SendDtmf(leg=B, digits="12")
        assert Scene.joined().do(keys) == ([PassKeys(leg=B, digits="12")], [])

    def test_the_host_sends_them_to_others_and_goes_on_resting(self) -> None:
        scene = Scene.joined()
        scene.hear(MediaDescribed(leg=B, recordable=True, takes_keys=False))
        keys = SendDtmf(leg=B, digits="12")
        assert scene.do(keys) == ([], [keys])

    def test_keys_for_another_sessions_leg_are_for_that_session(self) -> None:
        there = away(LegId("p"))
        assert Scene().do(SendDtmf(leg=there, digits="5")) == ([PassKeys(leg=there, digits="5")], [])

    def test_legs_are_not_joined_while_the_host_sends_keys(self) -> None:
        scene = Scene("b")
        keys = SendDtmf(leg=B, digits="12")
        assert scene.do(keys, BRIDGE) == ([], [keys, BRIDGE])
        due = scene.placement.next_deadline()
        assert due is not None and 0.5 <= due - scene.now <= 1.0
        scene.now = due
        assert scene.do() == ([JOIN], [])
        assert scene.placement.next_deadline() is None


class TestRest:
    def test_it_ends_with_the_joining(self) -> None:
        scene = Scene.joined()
        assert scene.hear(PARTED) == ([], [RUN])
        assert scene.hear(JOINED) == ([], [REST])
        assert scene.hear(JOINED) == ([], [])

    def test_a_report_that_crosses_the_withdrawal_does_not_count(self) -> None:
        scene = Scene("b")
        scene.do(BRIDGE)
        scene.do(NOTHING)
        assert scene.hear(JOINED) == ([], [])

    def test_a_third_leg_keeps_the_clock_running(self) -> None:
        scene = Scene("b", "c")
        scene.do(BRIDGE)
        assert scene.hear(JOINED) == ([], [])
        assert scene.see(ended("c"))[1] == [REST]
        assert scene.do(invite("d"))[1] == [RUN, invite("d")]

    def test_the_end_of_a_watch_does_not_start_it(self) -> None:
        end = WatchSilence(leg=A, timeout_s=0.0)
        assert Scene.joined().do(end) == ([], [end])

    def test_names_are_those_of_the_invites(self) -> None:
        scene = Scene("b")
        assert scene.placement.name_of(A) == ("id-a", H)
        assert scene.placement.name_of(B) == ("id-b", H)
        assert scene.placement.name_of(C) is None


LEGS = ("a", "b", "c")
leg_ids = st.sampled_from(LEGS).map(LegId)
GRAPHS = st.lists(
    st.sampled_from([Connection(x, y) for x in (*LEGS, "tone:us") for y in LEGS]), max_size=4, unique=True
).map(lambda graph: SetMedia(connections=tuple(graph)))
BRIDGES = st.sampled_from([("a", "b"), ("a", "c"), ("b", "c")]).map(
    lambda pair: SetMedia(connections=(Connection(*pair), Connection(*reversed(pair))))
)
COMMANDS = st.one_of(
    BRIDGES,
    GRAPHS,
    st.builds(StartPrompt, prompt=st.sampled_from("pq"), leg=leg_ids, file=st.just("/f.wav")),
    st.builds(StopPrompt, prompt=st.sampled_from("pq")),
    st.builds(ListenForKeys, leg=leg_ids, wanted=st.booleans()),
    st.builds(WatchSilence, leg=leg_ids, timeout_s=st.sampled_from([0.0, 5.0])),
    st.builds(WatchForMachine, leg=leg_ids),
    st.builds(SendDtmf, leg=leg_ids, digits=st.sampled_from(["1", "123"])),
    st.builds(StartRecording, recording=st.sampled_from("RS"), stem=st.just("/r"), parent=leg_ids),
    st.builds(HangupLeg, leg=leg_ids),
    st.builds(AnswerLeg, leg=leg_ids),
)
FACTS = st.one_of(
    leg_ids.map(ended),
    st.builds(PromptEnded, prompt=st.sampled_from("pq"), at=st.just(1.0), complete=st.booleans()),
    st.builds(SilenceReached, leg=leg_ids, at=st.just(1.0), heard=st.booleans()),
    st.builds(
        MachineJudged, leg=leg_ids, at=st.just(1.0), answered_by=st.just("human"), duration_ms=st.just(2000)
    ),
    st.sampled_from("RS").map(lambda sid: RecordingStopped(recording=sid, at=1.0, files=(), duration_s=1.0)),
)
PAIRS = st.tuples(leg_ids, leg_ids).filter(lambda pair: pair[0] != pair[1])
REPORTS = st.one_of(
    PAIRS.map(lambda pair: AudioJoined(one=pair[0], other=pair[1])),
    PAIRS.map(lambda pair: AudioParted(one=pair[0], other=pair[1])),
    st.builds(MediaDescribed, leg=leg_ids, recordable=st.booleans(), takes_keys=st.booleans()),
)
STEPS = st.lists(st.one_of(COMMANDS, FACTS, REPORTS, st.just("wait")), max_size=40)


class Witness:
    """Notes what relay and host were told, and what is wanted of the host."""

    def __init__(self) -> None:
        self.joins: set[frozenset[str]] = set()
        self.rests = False
        self.prompts: dict[str, str] = {}
        self.watched: set[str] = set()
        self.judged: set[str] = set()
        self.listened: set[str] = set()
        self.takes_keys: dict[str, bool] = {}
        self.recordings: set[str] = set()
        self.over: set[str] = set()

    def told(self, audio: list[Any], host: list[HostCommand]) -> None:
        for order in audio:
            match order:
                case JoinAudio():
                    assert frozenset((order.one, order.other)) not in self.joins, "joined twice"
                    self.joins.add(frozenset((order.one, order.other)))
                case PartAudio():
                    self.joins.remove(frozenset((order.one, order.other)))
                case CloseAudio():
                    assert not any(order.leg in pair for pair in self.joins), "closed before it was parted"
                case PassKeys():
                    assert self.takes_keys.get(order.leg)
        for command in host:
            if isinstance(command, RestClock):
                assert command.resting != self.rests, "told twice"
                self.rests = command.resting
            elif self.rests:  # nothing that needs the clock is told to a host that rests
                assert not isinstance(command, StartPrompt | StartRecording), command
                if isinstance(command, WatchSilence):  # the end of a watch, or of a leg, needs none
                    assert not command.timeout_s or command.leg in self.over, command

    def done(self, command: Command) -> None:
        match command:
            case StartPrompt():
                self.prompts[command.prompt] = command.leg
            case ListenForKeys():
                (self.listened.add if command.wanted else self.listened.discard)(command.leg)
            case WatchSilence():
                (self.watched.add if command.timeout_s else self.watched.discard)(command.leg)
            case WatchForMachine():
                self.judged.add(command.leg)
            case StartRecording():
                self.recordings.add(command.recording)
            case HangupLeg():
                self.over.add(command.leg)

    def seen(self, fact: Any) -> None:
        match fact:
            case LegEnded():
                self.over.add(fact.leg)
                self.watched.discard(fact.leg)
                self.judged.discard(fact.leg)
                self.listened.discard(fact.leg)
            case PromptEnded():
                self.prompts.pop(fact.prompt, None)
            case SilenceReached():
                self.watched.discard(fact.leg)
            case MachineJudged():
                self.judged.discard(fact.leg)
            case RecordingStopped():
                self.recordings.discard(fact.recording)
            case MediaDescribed():
                self.takes_keys[fact.leg] = fact.takes_keys

    def check(self, placement: Placement) -> None:
        deaf = {leg for leg in self.listened if not self.takes_keys.get(leg)}
        for pair in self.joins:
            assert not self.recordings
            assert not pair & self.over
            assert not pair & {*self.watched, *self.judged, *deaf, *self.prompts.values()}
        assert sum(map(len, self.joins)) == len({leg for pair in self.joins for leg in pair}), "two partners"
        for leg in LEGS:
            assert not placement.is_joined(LegId(leg)) or any(leg in pair for pair in self.joins)
        if self.rests:
            assert not self.recordings and not self.prompts
            assert not (self.watched | self.judged) - self.over and not deaf - self.over
            assert all(placement.is_joined(LegId(leg)) for leg in LEGS if leg not in self.over)


@settings(database=None, max_examples=examples(100))
@example([HangupLeg(leg=C), BRIDGE, JOINED, WatchSilence(leg=A, timeout_s=0.0)])
@example([HangupLeg(leg=C), BRIDGE, JOINED, WatchSilence(leg=C, timeout_s=5.0)])
@given(STEPS)
def test_nothing_that_is_wanted_of_a_host_waits_for_a_clock_that_rests(steps: list[Any]) -> None:
    scene, witness = Scene("b", "c"), Witness()
    for step in steps:
        if step == "wait":
            scene.now += 1.0
            told = scene.do()
        elif isinstance(step, AudioEvent):
            witness.seen(step)
            told = scene.hear(step)
        elif isinstance(step, SessionEvent):
            witness.seen(step)
            told = scene.see(step)
        else:
            witness.done(step)
            told = scene.do(step)
        witness.told(*told)
        witness.check(scene.placement)
