"""Legs that meet a party that is away by a link leg: when there is one, what it carries, how it ends."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.calls.placement import Placement
from b2bua.core.commands import (
    RELAY,
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
    StopRecording,
    away,
    room_party,
)
from b2bua.core.events import DtmfReceived, LegAnswered, LegEnded, PromptEnded, RecordingStopped
from b2bua.core.ids import HostId, LegId, SipCallId
from b2bua.core.relay_orders import (
    AudioJoined,
    AudioParted,
    CloseAudio,
    JoinAudio,
    MediaDescribed,
    PartAudio,
)

pytestmark = pytest.mark.unit

A, X = LegId("a"), away(LegId("x"))
ROOM = room_party(A)
H = HostId("h")
LINK = LegId("link-1")
TALK = SetMedia(connections=(Connection(X, A), Connection(A, X)))
CONFER = SetMedia(connections=(Connection(ROOM, A), Connection(A, ROOM)))
NOTHING = SetMedia(connections=())
BY_LINK = SetMedia(connections=(Connection(LINK, A), Connection(A, LINK)))


def described(meets: Any, *, talks: bool = True, keys: bool = True) -> MediaDescribed:
    return MediaDescribed(leg=A, recordable=False, takes_keys=keys, meets=meets, talks=talks)


def ended(leg: str, at: float = 1.0) -> LegEnded:
    return LegEnded(leg=LegId(leg), at=at, cause="peer", sip_code=200, reason="", headers=())


def joins(*, by: LegId | None = None, other: LegId = X) -> JoinAudio:
    return JoinAudio(one=A, other=other, by=by)


def parts(other: LegId = X) -> PartAudio:
    return PartAudio(one=A, other=other)


class Scene:
    """A caller on its host; ``do`` and ``hear`` return the orders to the relay and to the host."""

    def __init__(self) -> None:
        self.placement = Placement(H, 4, A, SipCallId("id-a"))
        self.now = 100.0

    def do(self, *commands: Any) -> tuple[list[Any], list[HostCommand]]:
        placed = self.placement.place(commands, self.now)
        return list(self.placement.take_audio()), placed.get(H, [])

    def hear(self, *events: Any) -> tuple[list[Any], list[HostCommand]]:
        for event in events:
            self.placement.relayed(event)
        return self.do()

    def see(self, *events: Any) -> tuple[list[Any], list[HostCommand]]:
        for event in events:
            self.placement.notice(event)
        return self.do()

    def invites(self, told: list[HostCommand]) -> list[LegId]:
        found = [each for each in told if isinstance(each, InviteLeg)]
        assert all((each.link_to, each.uri) == (RELAY, "sip:relay@link.invalid") for each in found)
        return [each.leg for each in found]

    def answered(self, leg: LegId = LINK) -> tuple[list[Any], list[HostCommand]]:
        return self.see(LegAnswered(leg=leg, at=self.now, headers=()))

    @classmethod
    def linked(cls, graph: SetMedia = TALK) -> "Scene":
        scene = cls()
        scene.hear(described("none"))
        audio, told = scene.do(graph)
        assert (audio, scene.invites(told)) == ([], [LINK])
        assert BY_LINK in told
        other = LegId(graph.connections[0].source)
        assert scene.answered() == ([joins(by=LINK, other=other)], [])
        return scene


class TestWhetherThereIsOne:
    @pytest.mark.parametrize("graph", [TALK, CONFER])
    def test_of_a_leg_that_can_meet_nobody_at_once(self, graph: SetMedia) -> None:
        assert Scene.linked(graph).placement.name_of(LINK) == ("link-1", H)

    @pytest.mark.parametrize("graph", [TALK, CONFER])
    def test_none_of_one_that_can_meet_all_even_if_it_is_refused(self, graph: SetMedia) -> None:
        scene = Scene()
        other = LegId(graph.connections[0].source)
        scene.hear(described("all"))
        assert scene.do(graph)[0] == [joins(other=other)]
        assert scene.hear(AudioParted(one=A, other=other)) == ([], [])

    def test_of_one_that_meets_its_like_once_it_has_met_another(self) -> None:
        scene = Scene()
        scene.hear(described("alike"))
        assert scene.do(TALK) == ([joins()], [])
        assert scene.hear(AudioJoined(one=A, other=X)) == ([], [RestClock(resting=True)])
        audio, told = scene.hear(AudioParted(one=A, other=X))
        assert (audio, scene.invites(told)) == ([parts()], [LINK])

    def test_its_next_partner_may_be_alike(self) -> None:
        scene = Scene()
        scene.hear(described("alike"))
        scene.do(TALK)
        scene.hear(AudioParted(one=A, other=X))
        scene.do(NOTHING)
        assert scene.do(TALK)[0] == [joins()]

    def test_while_its_host_listens_for_tones(self) -> None:
        scene = Scene()
        scene.hear(described("all", keys=False))
        assert scene.do(TALK)[0] == [joins()]
        audio, told = scene.do(ListenForKeys(leg=A, wanted=True))
        assert parts() in audio and scene.invites(told) == [LINK]
        scene.answered()
        audio, told = scene.do(ListenForKeys(leg=A, wanted=False))
        assert [each for each in audio if isinstance(each, JoinAudio | PartAudio)] == [parts(), joins()]
        assert HangupLeg(leg=LINK, sip_code=487) in told

    def test_none_for_a_prompt(self) -> None:
        scene = Scene()
        scene.hear(described("all"))
        prompt = StartPrompt(prompt="p", leg=A, file="/p.wav")
        assert scene.do(TALK, prompt) == ([], [prompt])
        assert scene.see(PromptEnded(prompt="p", at=1.0, complete=True))[0] == [joins()]

    def test_none_in_a_room_for_one_on_hold(self) -> None:
        """The others would hear its music."""
        scene = Scene.linked(CONFER)
        audio, told = scene.hear(described("none", talks=False))
        assert audio == [parts(ROOM), joins(other=ROOM)]  # which the relay refuses
        assert HangupLeg(leg=LINK, sip_code=487) in told
        assert scene.invites(scene.hear(described("none"))[1]) == ["link-2"]

    def test_one_on_hold_is_heard_by_its_partner(self) -> None:
        scene = Scene()
        scene.hear(described("all"))
        scene.do(TALK)
        scene.hear(AudioJoined(one=A, other=X))
        audio, told = scene.hear(AudioParted(one=A, other=X), described("none", talks=False))
        assert (audio, scene.invites(told)) == ([parts()], [LINK])
        scene.answered()
        audio, told = scene.hear(described("all"))
        assert audio == [parts(), joins()]
        assert HangupLeg(leg=LINK, sip_code=487) in told


class TestWhatBecomesOfIt:
    def test_the_relay_is_told_when_it_has_ended(self) -> None:
        """An edge that was started again meanwhile does not know it."""
        scene = Scene.linked()
        scene.do(NOTHING)
        assert scene.see(ended(LINK)) == ([CloseAudio(leg=LINK)], [])
        assert scene.placement.name_of(LINK) == ("link-1", H)

    def test_it_is_withdrawn_before_it_is_hung_up(self) -> None:
        assert Scene.linked().do(NOTHING) == ([parts()], [NOTHING, HangupLeg(leg=LINK, sip_code=487)])

    def test_one_that_fails_is_tried_again_after_a_pause(self) -> None:
        scene = Scene.linked()
        gone = [parts(), CloseAudio(leg=LINK)]
        assert scene.see(ended(LINK, scene.now)) == (gone, [SetMedia(connections=())])
        assert scene.placement.next_deadline() == 100.5
        scene.now = 100.5
        assert scene.invites(scene.do()[1]) == ["link-2"]

    def test_a_node_without_g711_tries_seldom(self) -> None:
        scene, pauses = Scene.linked(), list[float]()
        for n in range(1, 8):
            scene.see(ended(f"link-{n}", scene.now))
            due = scene.placement.next_deadline()
            assert due is not None
            pauses.append(due - scene.now)
            scene.now = due
            assert scene.invites(scene.do()[1]) == [f"link-{n + 1}"]
        assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]

    def test_the_end_of_its_leg_ends_it(self) -> None:
        audio, told = Scene.linked().see(ended(A))
        assert audio == [parts(), CloseAudio(leg=A)]
        assert HangupLeg(leg=LINK, sip_code=487) in told

    def test_a_lost_host_takes_it_along(self) -> None:
        scene = Scene.linked()
        assert [event.leg for event in scene.placement.lost(H, 1.0) if isinstance(event, LegEnded)] == [A]
        audio, told = scene.do()
        assert audio[0] == parts() and told == []
        assert set(audio[1:]) == {CloseAudio(leg=A), CloseAudio(leg=LINK)}
        assert scene.placement.name_of(LINK) == ("link-1", H)

    def test_what_the_relay_reports_of_other_joins_is_not_about_it(self) -> None:
        scene = Scene.linked()
        assert scene.hear(AudioJoined(one=A, other=X), AudioParted(one=A, other=X)) == ([], [])
        assert not scene.placement.is_joined(A)

    def test_a_key_that_comes_by_it_is_sent_to_the_leg(self) -> None:
        key = DtmfReceived(leg=LINK, at=1.0, digit="5", method="rfc4733")
        scene = Scene.linked()
        assert scene.placement.notice(key) == []
        assert scene.do() == ([], [SendDtmf(leg=A, digits="5")])


GRAPHS = st.sampled_from([TALK, CONFER, NOTHING, TALK])
STEPS = st.lists(
    st.one_of(
        GRAPHS,
        st.builds(
            MediaDescribed,
            leg=st.just(A),
            recordable=st.booleans(),
            takes_keys=st.booleans(),
            meets=st.sampled_from(["all", "alike", "none"]),
            talks=st.booleans(),
        ),
        st.builds(ListenForKeys, leg=st.just(A), wanted=st.booleans()),
        st.just(StartRecording(recording="R", stem="/r", parent=A)),
        st.just(StopRecording(recording="R")),
        st.just(RecordingStopped(recording="R", at=1.0, files=(), duration_s=1.0)),
        st.just(StartPrompt(prompt="p", leg=A, file="/p.wav")),
        st.just(PromptEnded(prompt="p", at=1.0, complete=True)),
        st.sampled_from(["joined", "parted", "answered", "failed", "ends", "wait", "over"]),
    ),
    max_size=40,
)


class World:
    """Host and relay, which do what they are told, in any order and late."""

    def __init__(self) -> None:
        self.scene = Scene()
        self.wish: JoinAudio | None = None
        self.rests = self.is_over = False
        self.graph: tuple[Connection, ...] = ()
        self.links: dict[LegId, str] = {}
        """Those that have not ended: invited, up, or hung up."""

    def follow(self, told: tuple[list[Any], list[HostCommand]]) -> None:
        audio, commands = told
        for order in audio:
            match order:
                case JoinAudio():
                    assert self.wish is None, "two partners"
                    assert order.by is None or self.links[order.by] == "up"
                    self.wish = order
                case PartAudio():
                    assert self.wish is not None and order.other == self.wish.other
                    self.wish = None
        for command in commands:
            match command:
                case InviteLeg():
                    assert not any(state != "hung up" for state in self.links.values())
                    self.links[command.leg] = "invited"
                case HangupLeg() if command.leg in self.links:
                    assert self.wish is None or self.wish.by != command.leg
                    self.links[command.leg] = "hung up"
                case SetMedia():
                    self.graph = command.connections
                case RestClock():
                    self.rests = command.resting
        if self.rests:
            assert self.wish is not None and self.wish.by is None
            assert not any(state != "hung up" for state in self.links.values())

    def of(self, state: str) -> LegId | None:
        return next((leg for leg, its in self.links.items() if its == state), None)

    def step(self, step: Any) -> None:
        scene = self.scene
        match step:
            case "joined" | "parted":
                if self.wish is not None and self.wish.by is None:
                    kind = AudioJoined if step == "joined" else AudioParted
                    self.follow(scene.hear(kind(one=A, other=self.wish.other)))
            case "answered":
                if (leg := self.of("invited")) is not None:
                    self.links[leg] = "up"
                    self.follow(scene.answered(leg))
            case "failed" | "ends":
                leg = self.of("hung up" if step == "ends" else "up") or self.of("invited")
                if leg is not None and (step == "failed" or self.links[leg] == "hung up"):
                    del self.links[leg]
                    self.follow(scene.see(ended(leg, scene.now)))
            case "wait":
                scene.now += 1.0
                self.follow(scene.do())
            case "over":
                self.is_over = True
                self.follow(scene.see(ended(A)))
            case MediaDescribed():
                self.follow(scene.hear(step))
            case PromptEnded() | RecordingStopped():
                self.follow(scene.see(step))
            case _:
                self.follow(scene.do(step))


@settings(database=None, max_examples=400)
@given(STEPS)
def test_whatever_happens_a_leg_has_one_face_and_in_the_end_no_link(steps: list[Any]) -> None:
    world = World()
    for step in steps:
        world.step(step)
    # From here on nothing is wanted but talk, of a leg that the relay cannot read.
    for step in (StopRecording(recording="R"), "ends", "ends", described("none"), TALK, "wait", "answered"):
        world.step(step)
    if world.is_over:
        assert world.wish is None
    else:
        assert world.wish is not None and world.wish.by is not None
        assert set(world.graph) == {
            Connection(world.wish.by, A),
            Connection(A, world.wish.by),
        }
    world.step(NOTHING)
    assert world.wish is None
    assert all(state == "hung up" for state in world.links.values())
