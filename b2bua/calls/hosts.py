"""The hosts of one session: room for its legs, INVITEs that wait for another host, hosts no longer needed.

The session begins on one host. If its legs do not fit there, it asks for *helpers*, as many at once as it
needs; an INVITE without a host waits here. A helper is released as soon as nothing of the session is left on
it. Where there are several hosts, each keeps a slot free for a link to another (``links``). Sans I/O.
"""

from collections.abc import Iterable, Iterator

from b2bua.core.commands import Connection, HangupLeg, InviteLeg, LegCommand, NotifyTransfer
from b2bua.core.events import (
    EndCause,
    LegEnded,
    LegReferred,
    PromptEnded,
    SessionEvent,
)
from b2bua.core.ids import HostId, LegId

__all__ = ["Host", "Hosts"]

_LAST_NOTIFY = 200
"""A NOTIFY with this status or a higher one is the last about a transfer."""
_LEAST_WITH_SPARE = 3
"""A host that holds fewer legs keeps none of its slots free."""


class Host:
    """The state of one host.

    Args:
        capacity: the number of legs that it can carry.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.legs: set[LegId] = set()
        """Legs of the session whose end has not been reported."""
        self.links: set[LegId] = set()
        """Legs of links whose end has not been reported."""
        self.closing: set[LegId] = set()
        """Those of ``legs`` that were hung up."""
        self.prompts: set[str] = set()
        """Prompts whose end has not been reported."""
        self.transferors: set[LegId] = set()
        """Legs, even ended ones, that will be sent a NOTIFY about their transfer."""
        self.records = False
        """Files of recordings may still grow."""
        self.graph: tuple[Connection, ...] = ()
        """The media graph last sent to the host."""

    def obeys(self, command: LegCommand) -> None:
        """Take a command that is about to be given to the host of its leg."""
        if isinstance(command, HangupLeg) and command.leg in self.legs:
            self.closing.add(command.leg)
        elif isinstance(command, NotifyTransfer) and command.sip_code >= _LAST_NOTIFY:
            self.transferors.discard(command.leg)

    def notice(self, event: SessionEvent) -> None:
        """Take a fact, which may be another host's."""
        match event:
            case LegEnded():
                self.legs.discard(event.leg)
                self.closing.discard(event.leg)
            case LegReferred(accepted=True, quiet=False) if event.leg in self.legs:
                self.transferors.add(event.leg)
            case PromptEnded():
                self.prompts.discard(event.prompt)
            case _:
                pass

    @property
    def needed(self) -> bool:
        """Whether something of the session is on the host."""
        return bool(self.legs or self.links or self.prompts or self.transferors or self.records)

    def room(self, *, spare: bool) -> int:
        """Return how many further legs fit; ``spare``: without the slot for a link."""
        left = self.capacity - len(self.legs)
        if spare and self.capacity >= _LEAST_WITH_SPARE:
            return left - max(1, len(self.links))
        return left - len(self.links)


class Hosts:
    """All hosts of one session.

    Args:
        first: the host on which the session begins.
        capacity: the number of legs that it can carry.
    """

    def __init__(self, first: HostId, capacity: int) -> None:
        self.first = first
        self._hosts = {first: Host(capacity)}
        self._usual = capacity
        """Capacity that a helper is assumed to have."""
        self._held: dict[LegId, InviteLeg] = {}
        """INVITEs without a host, in their order."""
        self._patient: list[tuple[InviteLeg, HostId]] = []
        """INVITEs whose host lets them wait for the end of another leg."""
        self._asked = 0
        """Helpers that are on their way."""
        self._is_short = False
        """Fewer helpers come than were wanted."""
        self._short = 0
        self._spare = False
        """Whether legs may need a link, so that a slot is kept for it."""
        self._ended: list[LegEnded] = []

    def __contains__(self, host: object) -> bool:
        return host in self._hosts

    def __len__(self) -> int:
        return len(self._hosts)

    def __iter__(self) -> Iterator[HostId]:
        return iter(self._hosts)

    def items(self) -> Iterable[tuple[HostId, Host]]:
        """The hosts' names and states."""
        return self._hosts.items()

    def __getitem__(self, host: HostId) -> Host:
        return self._hosts[host]

    @property
    def all(self) -> Iterable[Host]:
        """The hosts' states."""
        return self._hosts.values()

    # -- room ---------------------------------------------------------------------------------------

    def expect(self, invites: int) -> None:
        """Take the number of INVITEs that come together; if one host is too few, each spares a slot."""
        self._spare = len(self._hosts) > 1 or bool(self._held) or (invites > 0 and invites > self._room)

    @property
    def _room(self) -> int:
        return sum(host.room(spare=False) for host in self._hosts.values())

    def host_with_room(self) -> HostId | None:
        """Return the first host with room for another leg; None if none has."""
        return next((name for name, host in self._hosts.items() if host.room(spare=self._spare) > 0), None)

    # -- INVITEs that wait --------------------------------------------------------------------------

    def hold(self, invite: InviteLeg) -> None:
        """Let an INVITE wait for a host."""
        self._held[invite.leg] = invite

    def take_held(self) -> tuple[InviteLeg, HostId] | None:
        """Return the next INVITE for which there is a host; it waits no longer."""
        if self._patient:
            return self._patient.pop(0)
        if not self._held:
            return None
        host = self.host_with_room()
        return None if host is None else (self._held.pop(next(iter(self._held))), host)

    def withdraw(self, leg: LegId, now: float) -> bool:
        """End a leg that waits for a host, because it is hung up; returns whether it did."""
        if self._held.pop(leg, None) is None:
            return False
        self._end(leg, now, "local", 487)
        return True

    def take_ended(self) -> list[LegEnded]:
        """Return the ends of legs that never had a host."""
        ended, self._ended = self._ended, []
        return ended

    def _end(self, leg: LegId, now: float, cause: EndCause, code: int) -> None:
        self._ended.append(LegEnded(leg=leg, at=now, cause=cause, sip_code=code, reason="", headers=()))

    # -- helpers ------------------------------------------------------------------------------------

    def take_wanted(self) -> int:
        """Return how many helpers are to be taken now, beside those on their way."""
        if self._is_short or not self._held:
            return 0
        wanted = max(0, -(-len(self._held) // self._usual_room) - self._asked)
        self._asked += wanted
        return wanted

    @property
    def _usual_room(self) -> int:
        return max(1, Host(self._usual).room(spare=True))

    def add(self, host: HostId, capacity: int) -> None:
        """Add a helper."""
        self._hosts[host] = Host(capacity)
        self._asked = max(0, self._asked - 1)
        self._spare = True

    def refuse(self) -> None:
        """Note that one helper less will come; no further ones are asked for until it is known who comes."""
        self._asked = max(0, self._asked - 1)
        self._is_short = True

    def give_up(self, now: float) -> None:
        """Once all helpers have come that can be had, end the legs that still wait.

        A leg for which a host has only to see another leg end is given to that host: it lets it wait, and
        ends it if it waits in vain.
        """
        if not self._is_short or self._asked:
            return
        self._is_short = False
        slots = [name for name, host in self._hosts.items() for _ in host.closing]
        for leg, host in zip(list(self._held), slots, strict=False):
            self._patient.append((self._held.pop(leg), host))
        for leg in self._held:
            self._end(leg, now, "capacity", 503)
        self._short += len(self._held)
        self._held.clear()

    def take_short(self) -> int:
        """Return how many legs have ended for want of a host."""
        short, self._short = self._short, 0
        return short

    def take_needless(self) -> list[HostId]:
        """Return the helpers on which nothing of the session is left; they are hosts no longer."""
        if len(self._hosts) == 1 and self.first in self._hosts:
            return []
        needless = [name for name, host in self._hosts.items() if name != self.first and not host.needed]
        for name in needless:
            del self._hosts[name]
        return needless

    def lose(self, host: HostId) -> Host | None:
        """Remove a host that is lost; returns what it had, or None if it was a host no longer."""
        return self._hosts.pop(host, None)
