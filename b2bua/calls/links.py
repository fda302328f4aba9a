"""Calls from one host of a session to another or to the relay, for legs that the relay cannot join.

Two legs on different hosts hear each other by the relay where that is possible. Elsewhere each such pair gets
a *link*: a call from one host to the other, whose two legs stand for the absent party in the hosts' graphs.
The relay needs a moment to join two legs that have just been bridged, so a link for these waits for that. A
link that fails is tried again after a pause; one that is no longer wanted is hung up. The session knows
nothing of links: events of their legs end here.

Where the absent party is another session's leg, or a room, the link leads to the relay (``RELAY``), which
lets the party meet it in the place of the leg that it cannot read: a *link leg*. Sans I/O.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping

from b2bua.core.commands import RELAY, AnswerLeg, Connection, HangupLeg, HostCommand, InviteLeg
from b2bua.core.events import LegAnswered, LegEnded, LegIncoming, SessionEvent
from b2bua.core.ids import HostId, LegId, SipCallId

__all__ = ["Links", "Pair"]

_PATIENCE_S = 0.06
"""For the relay to join two legs that have just been bridged."""
_PAUSE_S = 0.5
"""Before another link takes the place of one that has failed; twice as long after each further failure."""
_LONGEST_PAUSE_S = 8.0
_FROM = "<sip:link@link.invalid>"
_OVER = 487
_REMEMBERED = 8
"""Links whose INVITE may still arrive although it was given up."""

Pair = frozenset[LegId]
Placed = list[tuple[HostId, HostCommand]]


class _Link:
    """One call between two hosts.

    Args:
        near: the leg that sends the INVITE.
        call_id: of both legs.
        caller: the host of ``near``.
        callee: the host of the other leg.
    """

    def __init__(self, near: LegId, call_id: SipCallId, caller: HostId, callee: HostId) -> None:
        self.near = near
        self.call_id = call_id
        self.caller, self.callee = caller, callee
        self.far: LegId | None = None
        """The leg that has received the INVITE."""
        self.answered = False
        self.open: dict[LegId, HostId] = {near: caller}
        """Legs whose end has not been reported."""

    def leg_on(self, host: HostId) -> LegId | None:
        """Return the leg on this host."""
        return self.near if host == self.caller else self.far

    def hang_up(self) -> Placed:
        """Return the commands to hang up the legs that are open."""
        return [(host, HangupLeg(leg=leg, sip_code=_OVER)) for leg, host in self.open.items()]


class Links:
    """The links of one session.

    Args:
        new_call_id: makes Call-IDs.
    """

    def __init__(self, new_call_id: Callable[[], SipCallId]) -> None:
        self._new_call_id = new_call_id
        self._links: dict[Pair, _Link] = {}
        """The link of each pair; a link that was hung up or has failed is that of no pair."""
        self._closing: list[_Link] = []
        self._closed: deque[_Link] = deque(maxlen=_REMEMBERED)
        self._since: dict[Pair, float] = {}
        """Since when each wanted pair needs a link, in monotonic seconds."""
        self._until: dict[Pair, float] = {}
        """Until when it gets none because one has failed."""
        self._pauses: dict[Pair, float] = {}
        """How long that was, in seconds."""
        self._due: float | None = None
        self._made = 0
        self._ended: list[LegId] = []
        """Link legs that have ended, which the relay is to be told."""

    # -- what is wanted -----------------------------------------------------------------------------

    def want(
        self, pairs: Mapping[Pair, tuple[HostId, HostId]], patient: Collection[Pair], now: float
    ) -> Placed:
        """Make the links that are missing, and hang up those that are no longer wanted.

        Args:
            pairs: pairs that need a link, with the hosts of their legs.
            patient: those of them that the relay may be about to join.
            now: monotonic seconds.
        """
        placed: Placed = []
        if not pairs and not self._links:
            self._since, self._until, self._pauses, self._due = {}, {}, {}, None
            return placed
        for pair, link in list(self._links.items()):
            if set(pairs.get(pair, ())) != {link.caller, link.callee}:
                placed += self._close(pair)
        self._since = {pair: self._since.get(pair, now) for pair in pairs}
        self._until = {pair: until for pair, until in self._until.items() if pair in pairs}
        self._pauses = {pair: pause for pair, pause in self._pauses.items() if pair in pairs}
        self._due = None
        for pair in [pair for pair in pairs if pair not in self._links]:
            due = self._since[pair] + (_PATIENCE_S if pair in patient else 0.0)
            due = max(due, self._until.get(pair, due))
            if due <= now:
                placed.append((pairs[pair][0], self._call(pair, pairs[pair])))
            else:
                self._due = min(due, self._due or due)
        return placed

    def next_deadline(self) -> float | None:
        """Return when ``want`` is due, in monotonic seconds."""
        return self._due

    def _call(self, pair: Pair, hosts: tuple[HostId, HostId]) -> InviteLeg:
        self._made += 1
        link = _Link(LegId(f"link-{self._made}"), self._new_call_id(), *hosts)
        self._links[pair] = link
        return InviteLeg(
            leg=link.near,
            sip_call_id=link.call_id,
            uri=f"sip:{link.callee}@link.invalid",
            from_header=_FROM,
            link_to=link.callee,
        )

    def _close(self, pair: Pair) -> Placed:
        link = self._links.pop(pair)
        self._closing.append(link)
        self._forget_ended()
        return link.hang_up()

    def _forget_ended(self) -> None:
        self._closed += [link for link in self._closing if not link.open]
        self._closing = [link for link in self._closing if link.open]

    # -- what they carry ----------------------------------------------------------------------------

    def carry(
        self, source: LegId, sink: LegId, hosts: tuple[HostId, HostId]
    ) -> list[tuple[HostId, Connection]]:
        """Return the connections, with their hosts, by which ``sink`` hears ``source``.

        ``hosts``: those of the two legs, in that order.
        """
        link = self._links.get(frozenset((source, sink)))
        if link is None:
            return []
        there, here = link.leg_on(hosts[0]), link.leg_on(hosts[1])
        connections: list[tuple[HostId, Connection]] = []
        if there is not None:
            connections.append((hosts[0], Connection(source, there)))
        if here is not None:
            connections.append((hosts[1], Connection(here, sink)))
        return connections

    def stand_in(self, leg: LegId, other: LegId, host: HostId) -> LegId | None:
        """Return the leg on ``host``, the host of ``other``, that stands for ``leg``; None if none does."""
        link = self._links.get(frozenset((leg, other)))
        return None if link is None else link.leg_on(host)

    @property
    def faces(self) -> dict[Pair, LegId]:
        """The link legs that the relay has answered, by the pairs that they are for."""
        links = self._links.items()
        return {pair: link.near for pair, link in links if link.answered and link.callee == RELAY}

    def name_of(self, leg: LegId) -> tuple[SipCallId, HostId] | None:
        """Return what a link leg is called outside of the session; None if it is none."""
        link = next((link for link in self._all() if link.near == leg), None)
        return None if link is None else (link.call_id, link.caller)

    def take_ended(self) -> list[LegId]:
        """Return the link legs that have ended, each once. An edge that was restarted does not know them."""
        ended, self._ended = self._ended, []
        return ended

    # -- facts --------------------------------------------------------------------------------------

    def legs_on(self, host: HostId) -> set[LegId]:
        """Return the links' legs on a host whose end has not been reported."""
        if not self._made:
            return set()
        return {leg for link in self._all() for leg, its_host in link.open.items() if its_host == host}

    def notice(self, event: SessionEvent, now: float) -> Placed | None:
        """Take an event of a leg; returns what follows from it, or None if it is not about a link."""
        if isinstance(event, LegIncoming):
            return self._came(event)
        if not self._made:
            return None
        leg = getattr(event, "leg", None)
        link = next((link for link in self._all() if leg in (link.near, link.far)), None)
        if link is None:
            return None
        if isinstance(event, LegAnswered):
            link.answered = True
        if not isinstance(event, LegEnded):
            return []
        link.open.pop(event.leg, None)
        if link.callee == RELAY:
            self._ended.append(event.leg)
        return self._end(link, now)

    def lose(self, host: HostId, now: float) -> Placed:
        """Forget the legs on a lost host, and hang up what they were connected with."""
        placed: Placed = []
        for link in list(self._all()):
            if host in (link.caller, link.callee):
                if link.callee == RELAY:
                    self._ended += link.open
                link.open = {leg: its_host for leg, its_host in link.open.items() if its_host != host}
                placed += self._end(link, now)
        return placed

    def _came(self, event: LegIncoming) -> Placed:
        link = next((link for link in self._all() if link.call_id == event.sip_call_id), None)
        if link is None or link.far is not None:
            return []  # none of ours: no other INVITE reaches a host within a session
        link.far = event.leg
        link.open[event.leg] = link.callee
        if link in self._links.values():
            return [(link.callee, AnswerLeg(leg=event.leg))]
        if link in self._closed:
            self._closed.remove(link)
            self._closing.append(link)
        return [(link.callee, HangupLeg(leg=event.leg, sip_code=_OVER))]

    def _end(self, link: _Link, now: float) -> Placed:
        """Hang up the rest of a link of which a leg has ended."""
        for pair, each in list(self._links.items()):
            if each is link:
                pause = min(2 * self._pauses.get(pair, _PAUSE_S / 2), _LONGEST_PAUSE_S)
                self._pauses[pair], self._until[pair] = pause, now + pause
                return self._close(pair)
        self._forget_ended()
        return []

    def _all(self) -> Iterator[_Link]:
        yield from self._links.values()
        yield from self._closing
        yield from self._closed
