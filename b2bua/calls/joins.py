"""Decides which legs the relay is to join, and which hosts' clocks may rest meanwhile. Sans I/O.

Two legs are to be joined when each of them hears exactly the other and nothing else is wanted of either: no
prompt, no recording by its host, no watch for silence or for a machine, no listening for tones. The order to
join them stands until one of these changes; whether they are joined meanwhile is for the relay to say,
because that depends on what the parties have negotiated. The order is withdrawn before a host is told what
needs its audio.

A leg that meets another session's leg, or a room, and that its host has to carry all the time, meets it by a
link leg (``links``): then that one is to be joined, and the host does not rest.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from b2bua.core.commands import (
    AWAY,
    Connection,
    HangupLeg,
    ListenForKeys,
    SendDtmf,
    StartPrompt,
    WatchForMachine,
    WatchSilence,
    room_party,
)
from b2bua.core.digits import KEY_S
from b2bua.core.events import LegEnded, MachineJudged, PromptEnded, SilenceReached
from b2bua.core.ids import HostId, LegId
from b2bua.core.relay_orders import (
    AudioEvent,
    AudioJoined,
    AudioOrder,
    AudioParted,
    CloseAudio,
    JoinAudio,
    MediaDescribed,
    PartAudio,
    PassKeys,
    WithholdKeys,
)

__all__ = ["Joins", "own"]

_OURS = "*"
"""The key that ends a bridge (``hangupOnStar``): nothing else is awaited from a leg that hears another."""

Pair = frozenset[LegId]


def own(pair: Pair) -> LegId:
    """Return the leg of the session in a pair with a party that is away."""
    return next(leg for leg in pair if not leg.startswith(AWAY))


class Joins:
    """The joined legs of one session.

    Args:
        hosts: the host of each leg that was ever placed; owned and changed by the placement.
    """

    def __init__(self, hosts: Mapping[LegId, HostId]) -> None:
        self._hosts = hosts
        self._over: set[LegId] = set()
        """Legs that have ended or were hung up."""
        self._graph: tuple[Connection, ...] = ()
        self._away: frozenset[Pair] = frozenset()
        self._prompts: dict[str, LegId] = {}
        self._watched: set[LegId] = set()
        self._judged: set[LegId] = set()
        """Legs that are being judged (``WatchForMachine``)."""
        self._listened: set[LegId] = set()
        self._recording: frozenset[HostId] = frozenset()
        """Hosts that record."""
        self._takes_keys: dict[LegId, bool] = {}
        self._keys_until: dict[LegId, float] = {}
        """When the host has sent the keys of a leg, in monotonic seconds."""
        self._meets: dict[LegId, Literal["all", "alike", "none"]] = {}
        """Of legs whose media have been described; see ``MediaDescribed``."""
        self._on_hold: set[LegId] = set()
        self._unlike: set[LegId] = set()
        """Legs that meet only their like and have met another one."""
        self._faces: Mapping[Pair, LegId] = {}
        """The link legs that are up."""
        self._wanted: dict[Pair, LegId | None] = {}
        """Pairs that the relay was ordered to join, and by which link leg."""
        self._joined: set[Pair] = set()
        """Those of them that it has joined."""
        self._refused: set[Pair] = set()
        """Those that it cannot join as they are."""
        self._resting: set[HostId] = set()
        self._orders: list[AudioOrder] = []

    # -- what happens -------------------------------------------------------------------------------

    def connect(self, graph: tuple[Connection, ...]) -> None:
        """Take the session's whole media graph."""
        self._graph = graph
        pairs = (frozenset((LegId(each.source), LegId(each.sink))) for each in graph)
        self._away = frozenset(
            pair for pair in pairs if sum(leg.startswith(AWAY) for leg in pair) == 1 and len(pair) == 2
        )
        self._unlike &= {leg for pair in self.away for leg in pair}

    def face(self, faces: Mapping[Pair, LegId]) -> None:
        """Take the link legs that are up, by the pairs that they are for."""
        self._faces = faces

    def order(self, order: StartPrompt | WatchSilence | WatchForMachine | ListenForKeys | HangupLeg) -> None:
        """Take a command that is about to be given to a leg's host."""
        leg = order.leg
        match order:
            case StartPrompt():
                self._prompts[order.prompt] = leg
            case WatchSilence():
                (self._watched.add if order.timeout_s > 0 else self._watched.discard)(leg)
            case WatchForMachine():
                self._judged.add(leg)
            case ListenForKeys():
                (self._listened.add if order.wanted else self._listened.discard)(leg)
                self._orders.append(WithholdKeys(leg=leg, digits=_OURS if order.wanted else ""))
            case HangupLeg():
                self._over.add(leg)

    def send_keys(self, order: SendDtmf, now: float) -> bool:
        """Take keys for a leg; returns whether its host has to send them."""
        if not self._is_joined(order.leg):
            until = max(now, self._keys_until.get(order.leg, now))
            self._keys_until[order.leg] = until + KEY_S * (len(order.digits) + 1)
            return True
        if self._takes_keys.get(order.leg, False):
            self._orders.append(PassKeys(leg=order.leg, digits=order.digits))
            return False
        return True  # by INFO, for which no clock has to run

    def record(self, hosts: Iterable[HostId]) -> None:
        """Take the hosts that record now."""
        self._recording = frozenset(hosts)

    def notice(self, event: LegEnded | PromptEnded | SilenceReached | MachineJudged) -> None:
        """Take a fact from a host."""
        match event:
            case LegEnded():
                self._over.add(event.leg)
                for state in (self._watched, self._judged, self._listened):
                    state.discard(event.leg)
                self._keys_until.pop(event.leg, None)
                # Withdrawn first: the other leg is to hear its host, and not to wait for this one.
                self._withdraw({pair for pair in self._wanted if event.leg in pair})
                self._orders.append(CloseAudio(leg=event.leg))
            case PromptEnded():
                self._prompts.pop(event.prompt, None)
            case SilenceReached():
                self._watched.discard(event.leg)
            case MachineJudged():
                self._judged.discard(event.leg)

    def relayed(self, event: AudioEvent) -> None:
        """Take a report of the relay."""
        match event:
            case AudioJoined():
                pair = frozenset((event.one, event.other))
                if self._wants(pair):  # else the order to part them is on its way
                    self._joined.add(pair)
                self._refused.discard(pair)
            case AudioParted():
                pair = frozenset((event.one, event.other))
                self._joined.discard(pair)
                if self._wants(pair):
                    self._refused.add(pair)
            case MediaDescribed():
                self._takes_keys[event.leg] = event.takes_keys
                self._meets[event.leg] = event.meets
                (self._on_hold.discard if event.talks else self._on_hold.add)(event.leg)
        for leg in {leg for pair in self._refused & self.away for leg in pair}:
            if self._meets.get(leg) == "alike":
                self._unlike.add(leg)
        self._unlike -= {leg for leg in self._unlike if self._meets[leg] == "all"}

    # -- what follows -------------------------------------------------------------------------------

    def take_orders(self, now: float) -> list[AudioOrder]:
        """Return what the relay is to be told now; at each step, before the hosts get their commands."""
        if self._keys_until:
            self._keys_until = {leg: until for leg, until in self._keys_until.items() if until > now}
        wanted: dict[Pair, LegId | None] = {}
        for pair in self._pairs():
            if not any(map(self._needs_host, pair)):
                wanted[pair] = None
        for pair in self.away:
            if self.needs_link(pair):
                wanted.pop(pair, None)
                if (face := self._faces.get(pair)) is not None:
                    wanted[pair] = face
        before = self._wanted
        if wanted != before:
            self._withdraw({pair for pair, by in before.items() if pair not in wanted or wanted[pair] != by})
            for pair in wanted.keys() - self._wanted.keys():
                one, other = sorted(pair)
                self._orders.append(JoinAudio(one=one, other=other, by=wanted[pair]))
            self._wanted = wanted
        orders, self._orders = self._orders, []
        return orders

    def clocks(self) -> dict[HostId, bool]:
        """Return the hosts whose clock is to rest or to run from now on (True: rest); each change once."""
        if not self._joined and not self._resting:
            return {}  # a host rests only while all of its legs are joined
        resting = {host for host in set(self._hosts.values()) if self._may_rest(host)}
        changes = {host: host in resting for host in resting ^ self._resting}
        self._resting = resting
        return changes

    def next_deadline(self) -> float | None:
        """Return when ``take_orders`` is due, in monotonic seconds."""
        return min(self._keys_until.values()) if self._keys_until else None

    def has_joined(self, pair: Pair) -> bool:
        """Return whether the relay has joined two legs."""
        return pair in self._joined

    def may_join(self, pair: Pair) -> bool:
        """Return whether the relay may be about to join two legs."""
        if pair in self._wanted:
            return pair not in self._refused
        # What they have negotiated can make the host dispensable.
        return pair in self._pairs() and not pair <= self._takes_keys.keys()

    @property
    def away(self) -> frozenset[Pair]:
        """The pairs of a leg of the session and a party that is away, of which one hears the other."""
        return self._away

    def needs_link(self, pair: Pair) -> bool:
        """Return whether a leg can meet a party that is away only by a link leg."""
        leg = own(pair)
        if leg not in self._meets or leg in self._over:
            return False
        if room_party(leg) in pair and leg in self._on_hold:
            return False  # the others are not to hear its music
        if self._always_needs_host(leg) or self._meets[leg] == "none":
            return True
        return leg in self._unlike

    def is_joined(self, leg: LegId) -> bool:
        """Return whether a leg hears another without its host."""
        return self._is_joined(leg)

    def _is_joined(self, leg: LegId) -> bool:
        return any(leg in pair for pair in self._joined)

    def _withdraw(self, pairs: set[Pair]) -> None:
        for pair in pairs:
            one, other = sorted(pair)
            self._orders.append(PartAudio(one=one, other=other))
        self._wanted = {pair: by for pair, by in self._wanted.items() if pair not in pairs}
        self._joined -= pairs
        self._refused -= pairs

    def _wants(self, pair: Pair) -> bool:
        """Return whether two legs themselves are to be joined."""
        return pair in self._wanted and self._wanted[pair] is None

    def _pairs(self) -> set[Pair]:
        """Return the pairs of live legs of which each hears exactly the other."""
        if len(self._graph) < 2:
            return set()
        hears: dict[str, set[str]] = {}
        heard_by: dict[str, set[str]] = {}
        for connection in self._graph:
            hears.setdefault(connection.sink, set()).add(connection.source)
            heard_by.setdefault(connection.source, set()).add(connection.sink)
        return {
            frozenset((LegId(leg), LegId(other)))
            for leg, sources in hears.items()
            for other in sources
            if leg != other
            and hears.get(other) == heard_by.get(other) == {leg}
            and sources == heard_by.get(leg) == {other}
            and self._is_live(LegId(leg))
            and self._is_live(LegId(other))
        }

    def _is_live(self, leg: LegId) -> bool:
        return leg.startswith(AWAY) or (leg in self._hosts and leg not in self._over)

    def _needs_host(self, leg: LegId) -> bool:
        """Return whether something is wanted of a leg that only its host does."""
        if leg.startswith(AWAY):
            return False  # its own session knows
        return (
            leg in self._watched
            or leg in self._keys_until
            or leg in self._prompts.values()
            or self._always_needs_host(leg)
        )

    def _always_needs_host(self, leg: LegId) -> bool:
        """Return whether that is so for longer than a moment."""
        by_tones = leg in self._listened and not self._takes_keys.get(leg, False)
        return by_tones or leg in self._judged or self._hosts[leg] in self._recording

    def _may_rest(self, host: HostId) -> bool:
        legs = [leg for leg, its_host in self._hosts.items() if its_host == host and leg not in self._over]
        if not legs or host in self._recording:
            return False
        playing = any(self._hosts.get(leg) == host for leg in self._prompts.values())
        return not playing and all(map(self._is_joined, legs))
