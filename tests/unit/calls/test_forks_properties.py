"""Forks of ten targets over several hosts, whatever happens in whatever order."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.calls.placement import Placement
from b2bua.core.commands import (
    AnswerLeg,
    EndSession,
    HangupLeg,
    HostCommand,
    InviteLeg,
    LegCommand,
    SetMedia,
)
from b2bua.core.dial import Dial, DialState
from b2bua.core.dial_plan import BranchPlan, DialPlan
from b2bua.core.dial_report import Bridged, DialOutput, DialSettled
from b2bua.core.events import (
    EarlyMediaChanged,
    LegAnswered,
    LegEnded,
    LegIncoming,
    LegProgress,
    SessionEvent,
)
from b2bua.core.ids import CallSid, HostId, LegId, SipCallId
from b2bua.core.leg import Leg, Role
from b2bua.core.relay_orders import AudioJoined, AudioParted, JoinAudio, MediaDescribed, PartAudio
from tests.effort import examples

pytestmark = [pytest.mark.unit, pytest.mark.no_cover]

A = LegId("a")
FIRST = HostId("h1")
CAPACITY = 4
TARGETS = 10


def branch(number: int) -> BranchPlan:
    leg = LegId(f"b{number}")
    invite = InviteLeg(
        leg=leg,
        sip_call_id=SipCallId(leg),
        uri=f"sip:{number}@192.0.2.9",
        from_header="<sip:a@node.test>",
    )
    return BranchPlan(leg=leg, child=CallSid(f"CA{number}"), kind="sip", invite=invite)


class SimHost:
    """A worker: it has legs, and tells their ends."""

    def __init__(self) -> None:
        self.open: set[LegId] = set()
        self.hung_up: set[LegId] = set()
        self.graph: SetMedia = SetMedia(connections=())
        self.is_over = False
        self.came = 0


class World:
    """A Dial with its placement, hosts and relay."""

    def __init__(self, targets: int, helpers: int) -> None:
        self.now = 100.0
        self.placement = Placement(FIRST, CAPACITY, A, SipCallId("a"))
        self.hosts = {FIRST: SimHost()}
        self.hosts[FIRST].open.add(A)
        self.left = helpers
        """Workers that the pool can still give."""
        self.pending = 0
        """Helpers that were asked for and have neither come nor been refused."""
        self.links: dict[SipCallId, tuple[LegId, HostId]] = {}
        """INVITEs of links on their way: their near legs, and where they go."""
        self.wishes: set[frozenset[LegId]] = set()
        self.joined: set[frozenset[LegId]] = set()
        self.invited: Counter[LegId] = Counter()
        self.ends: Counter[LegId] = Counter()
        self.short = 0
        self.outputs: list[DialOutput] = []
        plan = DialPlan(
            branches=tuple(branch(number) for number in range(targets)),
            answer_on_bridge=True,
            ring_timeout_s=30.0,
            time_limit_s=600.0,
            default_ringtone="us",
        )
        self.a_leg = Leg(A, Role.UAS, self.now)
        self.dial = Dial(plan, self.a_leg)
        self.follow(self.dial.start(self.now))

    # -- orders -------------------------------------------------------------------------------------

    def follow(self, outputs: list[DialOutput]) -> None:
        self.outputs += outputs
        commands = [each for each in outputs if isinstance(each, LegCommand)]
        for command in commands:
            if isinstance(command, InviteLeg):
                self.invited[command.leg] += 1
        placed = self.placement.place(commands, self.now)
        for order in self.placement.take_audio():
            match order:
                case JoinAudio():
                    self.wishes.add(frozenset((order.one, order.other)))
                case PartAudio():
                    self.wishes.discard(frozenset((order.one, order.other)))
                    self.joined.discard(frozenset((order.one, order.other)))
        for host, orders in placed.items():
            for each in orders:
                self.obey(host, each)
        self.pending += self.placement.take_wanted()
        self.short += self.placement.take_short()
        for ended in self.placement.take_ended():
            self.bring(ended)
        self.check()

    def obey(self, host: HostId, order: HostCommand) -> None:
        at = self.hosts[host]
        assert not at.is_over, order
        match order:
            case InviteLeg():
                assert order.leg not in at.open
                at.open.add(order.leg)
                if order.link_to:
                    assert order.link_to != host
                    self.links[order.sip_call_id] = (order.leg, HostId(order.link_to))
                assert len(at.open - at.hung_up) <= CAPACITY
            case HangupLeg() if order.leg in at.open:
                at.hung_up.add(order.leg)
            case SetMedia():
                at.graph = order
            case EndSession():
                assert not at.open, "legs are left on a host that is told the end"
                at.is_over = True
            case _:
                pass

    # -- events -------------------------------------------------------------------------------------

    def bring(self, event: SessionEvent) -> None:
        for told in self.placement.notice(event):
            self.deliver(told)
        self.follow([])

    def deliver(self, event: SessionEvent) -> None:
        if isinstance(event, LegEnded):
            self.ends[event.leg] += 1
        if event.leg == A:  # type: ignore[union-attr]
            self.a_leg.handle(event, self.now)  # type: ignore[arg-type]
        if self.dial.state is not DialState.DONE:
            self.follow(self.dial.handle(event, self.now))  # type: ignore[arg-type]

    def end(self, leg: LegId, code: int = 487) -> None:
        for at in self.hosts.values():
            if leg in at.open:
                at.open.discard(leg)
                at.hung_up.discard(leg)
                cause = "local" if code == 487 else "peer"
                self.bring(
                    LegEnded(leg=leg, at=self.now, cause=cause, sip_code=code, reason="", headers=())  # type: ignore[arg-type]
                )
                return

    def branches(self) -> list[LegId]:
        """Those that have been invited and live."""
        return sorted(
            leg for at in self.hosts.values() for leg in at.open - at.hung_up if leg.startswith("b")
        )

    def act(self, what: str, n: int) -> None:
        self.now += 0.01
        live = self.branches()
        leg = live[n % len(live)] if live else None
        match what:
            case "ring" if leg:
                self.bring(LegProgress(leg=leg, at=self.now, status=180, early_media=False))
            case "progress" if leg:
                self.bring(LegProgress(leg=leg, at=self.now, status=183, early_media=True))
                self.bring(EarlyMediaChanged(leg=leg, at=self.now, coming=True))
            case "answer" if leg:
                self.bring(LegAnswered(leg=leg, at=self.now, headers=()))
            case "refuse" if leg and not self.has_answered(leg):
                self.end(leg, 486)
            case "bye" if leg and self.has_answered(leg):
                self.end(leg, 200)
            case "caller leaves" if n % 5 == 0 and A in self.hosts.get(FIRST, SimHost()).open:
                self.end(A, 487)
            case "ends":
                closing = sorted(leg for at in self.hosts.values() for leg in at.hung_up)
                if closing:
                    self.end(closing[n % len(closing)])
            case "helper" if self.pending:
                self.helper()
            case "host dies" if n % 3 == 0:
                self.lose(sorted(self.hosts)[n % len(self.hosts)])
            case "link" if self.links:
                self.link(sorted(self.links)[n % len(self.links)])
            case "relay" if self.wishes:
                self.relay(sorted(map(sorted, self.wishes))[n % len(self.wishes)], joins=n % 2 == 0)
            case "described":
                self.placement.relayed(MediaDescribed(leg=leg or A, recordable=True, takes_keys=True))
                self.follow([])
            case "time":
                self.pass_time(0.1 * (1 + n % 8))

    def has_answered(self, leg: LegId) -> bool:
        found = self.dial.leg(leg)
        return found is not None and found.answered_at is not None

    def helper(self) -> None:
        self.pending -= 1
        if self.left == 0:
            self.placement.refuse()
        else:
            self.left -= 1
            name = HostId(f"h{len(self.hosts) + 1}")
            self.hosts[name] = SimHost()
            self.placement.add(name, CAPACITY)
        self.follow([])

    def lose(self, host: HostId) -> None:
        at = self.hosts[host]
        if at.is_over:
            return
        at.is_over = True
        at.open.clear()
        at.hung_up.clear()
        for event in self.placement.lost(host, self.now):
            self.deliver(event)
        self.follow([])

    def link(self, call_id: SipCallId) -> None:
        near, to = self.links.pop(call_id)
        at = self.hosts[to]
        calls = [each for each in self.hosts.values() if near in each.open]
        if at.is_over or not calls:
            if calls:
                self.end(near)
            return
        at.came += 1
        far = LegId(f"{to}-in{at.came}")
        at.open.add(far)
        incoming = LegIncoming(
            leg=far,
            at=self.now,
            sip_call_id=call_id,
            request_uri="",
            from_header="",
            to_header="",
            headers=(),
        )
        assert self.placement.notice(incoming) == []
        self.follow([])
        self.bring(LegAnswered(leg=near, at=self.now, headers=()))

    def relay(self, pair: list[LegId], *, joins: bool) -> None:
        one, other = pair
        if joins:
            self.joined.add(frozenset(pair))
        else:
            self.joined.discard(frozenset(pair))
        kind = AudioJoined if joins else AudioParted
        self.placement.relayed(kind(one=one, other=other))
        self.follow([])

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.follow(self.dial.tick(self.now) if self.dial.state is not DialState.DONE else [])

    # -- what must hold -----------------------------------------------------------------------------

    def check(self) -> None:
        assert sum(isinstance(each, Bridged) for each in self.outputs) <= 1
        assert sum(isinstance(each, DialSettled) for each in self.outputs) <= 1
        for connection in next(
            (each.connections for each in reversed(self.outputs) if isinstance(each, SetMedia)), ()
        ):
            self.check_heard(connection.source, connection.sink)

    def check_heard(self, source: str, sink: str) -> None:
        """It is heard on one host, by the relay, by a link, or will be at a time that is known."""
        legs = (LegId(source), LegId(sink))
        there, here = map(self.placement.host_of, legs)
        if there is None or here is None or there == here or any(self.ends[leg] for leg in legs):
            return
        if self.hosts[there].is_over or self.hosts[here].is_over:
            return
        links = [c for c in self.hosts[there].graph.connections if c.source == source and c.sink != sink]
        joined = frozenset(legs) in self.joined
        is_coming = bool(self.links) or self.placement.next_deadline() is not None
        assert links or joined or is_coming, (source, sink)

    def settle(self) -> None:
        """Everything that can happen does, until nothing is left."""
        for _ in range(20):
            while self.pending:
                self.left = 0
                self.helper()
            for call_id in list(self.links):
                self.link(call_id)
            if A in self.hosts[FIRST].open:
                self.end(A, 487)
            for leg in [leg for at in self.hosts.values() for leg in sorted(at.hung_up)]:
                self.end(leg)
            self.pass_time(1.0)


ACTIONS = (
    "ring",
    "progress",
    "answer",
    "refuse",
    "bye",
    "caller leaves",
    "ends",
    "helper",
    "helper",
    "host dies",
    "link",
    "link",
    "relay",
    "described",
    "time",
)
STEPS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 30)), max_size=60)


def goes_well(world: World) -> None:
    """Let everything end, and see that nothing is left."""
    world.settle()
    assert world.dial.state is DialState.DONE
    assert set(world.invited) <= set(world.ends), "a leg is lost"
    assert all(count == 1 for count in world.ends.values())
    for name, at in world.hosts.items():
        assert not at.open, (name, at.open)
        assert name == FIRST or at.is_over, f"{name} was not given back"
    assert world.placement.next_deadline() is None
    won = [each.leg for each in world.outputs if isinstance(each, Bridged)]
    assert len(won) <= 1
    assert won or not any(isinstance(each, AnswerLeg) for each in world.outputs)


@settings(database=None, max_examples=examples(80), deadline=None)
@given(STEPS, st.integers(1, TARGETS), st.integers(0, 3))
def test_whatever_happens_one_wins_and_nothing_is_left(
    steps: list[tuple[str, int]], targets: int, helpers: int
) -> None:
    world = World(targets, helpers)
    for what, n in steps:
        world.act(what, n)
    goes_well(world)


def test_a_thousand_long_forks() -> None:
    """Long ones, which hypothesis seldom makes; how often the interesting things happen is counted."""
    seen: Counter[str] = Counter()
    for seed in range(1000):
        dice = random.Random(seed)
        world = World(dice.randint(4, TARGETS), dice.randint(0, 3))
        try:
            for _ in range(dice.randint(10, 60)):
                world.act(dice.choice(ACTIONS), dice.randint(0, 30))
            won = [each.leg for each in world.outputs if isinstance(each, Bridged)]
            seen["won"] += len(won)
            seen["won on another host"] += any(world.placement.host_of(leg) != FIRST for leg in won)
            seen["links"] += sum(at.came for at in world.hosts.values())
            seen["helpers"] += len(world.hosts) - 1
            seen["joined"] += bool(world.joined)
            goes_well(world)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        seen["without a host"] += world.short
    assert min(seen.values()) > 20 and len(seen) == 6, seen
