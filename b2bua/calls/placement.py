"""Where the legs of a session are: on which host each of them is, and what each host is to do.

A host (today a worker's process) carries a few legs with their media. A session knows its legs and one graph
of who hears whom; a placement turns that into commands for hosts, and knows what is lost with one of them.
Sans I/O; nothing above it knows of hosts, and it must never know how a host is reached.
"""

from collections.abc import Iterable

from b2bua.calls.orders import Command
from b2bua.core.commands import (
    Connection,
    EndSession,
    InviteLeg,
    RecordLegs,
    SetMedia,
    StartPrompt,
    StartRecording,
    StopPrompt,
    StopRecording,
)
from b2bua.core.errors import LocalStateError
from b2bua.core.events import LegEnded, RecordingStopped, SessionEvent
from b2bua.core.ids import HostId, LegId, RecordingSid

__all__ = ["Placement"]


class _Host:
    """What is on one host."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.legs: set[LegId] = set()
        """Those whose end has not been reported."""
        self.recordings: set[RecordingSid] = set()
        """Those whose files may still grow."""
        self.graph: tuple[Connection, ...] = ()
        """What it was told to connect."""

    @property
    def has_room(self) -> bool:
        """Another leg fits."""
        return len(self.legs) < self.capacity


class Placement:
    """See the module's docstring.

    Args:
        host: where the session begins.
        capacity: legs that it can hold.
        leg: the one that is there already: the caller's; None: we call.
    """

    def __init__(self, host: HostId, capacity: int, leg: LegId | None = None) -> None:
        self._first = host
        self._hosts = {host: _Host(capacity)}
        self._of_legs: dict[LegId, HostId] = {}
        """Kept when a leg has ended: a transferor is told how its transfer went after its BYE, too."""
        self._of_prompts: dict[str, HostId] = {}
        if leg is not None:
            self._put(leg, host)

    def add(self, host: HostId, capacity: int) -> None:
        """The session may use this host, too."""
        self._hosts[host] = _Host(capacity)

    def host_of(self, leg: LegId) -> HostId | None:
        """Where a leg is, or was; None where it never was anywhere."""
        return self._of_legs.get(leg)

    # -- commands -----------------------------------------------------------------------------------

    def place(self, commands: Iterable[Command]) -> dict[HostId, list[Command]]:
        """What each host is to do, in the order of ``commands``; what is for nobody is left out."""
        placed: dict[HostId, list[Command]] = {}
        for command in commands:
            for host, part in self._place(command):
                placed.setdefault(host, []).append(part)
        return placed

    def _place(self, command: Command) -> list[tuple[HostId, Command]]:
        match command:
            case InviteLeg():
                return [(self._put(command.leg, self._roomiest()), command)]
            case SetMedia():
                return self._connect(command.connections)
            case StartRecording():
                host = self._of_legs.get(command.parent, self._first)
                self._hosts[host].recordings.add(RecordingSid(command.recording))
                return [(host, command)]
            case RecordLegs() | StopRecording():
                sid = RecordingSid(command.recording)
                return [(host, command) for host, each in self._hosts.items() if sid in each.recordings]
            case StartPrompt():
                host = self._of_prompts[command.prompt] = self._of_legs.get(command.leg, self._first)
                return [(host, command)]
            case StopPrompt():
                known = self._of_prompts.get(command.prompt)
                return [] if known is None else [(known, command)]
            case EndSession():
                return [(host, command) for host in self._hosts]
            case _:  # all others are about one leg
                known = self._of_legs.get(command.leg)
                return [] if known is None else [(known, command)]

    def _connect(self, graph: tuple[Connection, ...]) -> list[tuple[HostId, Command]]:
        parts: dict[HostId, list[Connection]] = {host: [] for host in self._hosts}
        for connection in graph:
            parts[self._place_of(connection)].append(connection)
        placed: list[tuple[HostId, Command]] = []
        for host, part in parts.items():
            if self._hosts[host].graph != tuple(part):
                self._hosts[host].graph = tuple(part)
                placed.append((host, SetMedia(connections=tuple(part))))
        return placed

    def _place_of(self, connection: Connection) -> HostId:
        """The host of whoever hears it; a source that is no leg is at every host."""
        heard_at = self._of_legs.get(LegId(connection.sink), self._first)
        if self._of_legs.get(LegId(connection.source), heard_at) != heard_at:
            raise LocalStateError(f"{connection.source} and {connection.sink} are on two hosts")
        return heard_at

    def _roomiest(self) -> HostId:
        """The first host with room; without any the first, which refuses the leg when it has to."""
        return next((host for host, each in self._hosts.items() if each.has_room), self._first)

    def _put(self, leg: LegId, host: HostId) -> HostId:
        self._of_legs[leg] = host
        self._hosts[host].legs.add(leg)
        return host

    # -- facts --------------------------------------------------------------------------------------

    def notice(self, event: SessionEvent) -> None:
        """Take a fact: what has ended is on no host any more."""
        for each in self._hosts.values():
            if isinstance(event, LegEnded):
                each.legs.discard(event.leg)
            elif isinstance(event, RecordingStopped):
                each.recordings.discard(RecordingSid(event.recording))

    def lost(self, host: HostId, now: float) -> list[SessionEvent]:
        """A host is gone: what it would have reported of all that was on it."""
        gone = self._hosts[host]
        stopped = [
            RecordingStopped(recording=sid, at=now, files=(), duration_s=0.0, reason="worker died")
            for sid in sorted(gone.recordings)
        ]
        ended = [
            LegEnded(leg=leg, at=now, cause="worker", sip_code=503, reason="worker died", headers=())
            for leg in sorted(gone.legs)
        ]
        gone.legs.clear()
        gone.recordings.clear()
        return [*stopped, *ended]
