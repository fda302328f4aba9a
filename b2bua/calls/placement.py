"""The placement of a session's legs: which host carries each leg, and which commands each host receives.

A host (currently a worker process) carries a few legs with their media. A session knows its legs and a
single media graph; the placement turns these into commands for hosts and orders to the relay (``joins``), and
knows what is lost with a host. Sans I/O; the layers above do not know about hosts, and the placement must not
depend on how a host is reached.
"""

from collections.abc import Iterable

from b2bua.calls.joins import Joins
from b2bua.calls.orders import Command
from b2bua.core.commands import (
    Connection,
    EndSession,
    HangupLeg,
    HostCommand,
    InviteLeg,
    ListenForKeys,
    RecordLegs,
    RestClock,
    SendDtmf,
    SetMedia,
    StartPrompt,
    StartRecording,
    StopPrompt,
    StopRecording,
    WatchSilence,
)
from b2bua.core.errors import LocalStateError
from b2bua.core.events import LegEnded, PromptEnded, RecordingStopped, SessionEvent, SilenceReached
from b2bua.core.ids import HostId, LegId, RecordingSid, SipCallId
from b2bua.core.relay_orders import AudioEvent, AudioOrder

__all__ = ["Placement"]


_NONE = SipCallId("")


class _Host:
    """The state of one host."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.legs: set[LegId] = set()
        """Legs whose end has not been reported."""
        self.recordings: set[RecordingSid] = set()
        """Recordings whose files may still grow."""
        self.graph: tuple[Connection, ...] = ()
        """The media graph last sent to the host."""

    @property
    def has_room(self) -> bool:
        """Whether the host has room for another leg."""
        return len(self.legs) < self.capacity


class Placement:
    """Assigns the legs of one session to hosts, and splits its commands by host.

    Args:
        host: the host on which the session begins.
        capacity: the number of legs that the host can carry.
        leg: the caller's leg, which is already on the host; None for a call that we make.
        sip_call_id: the Call-ID of that leg.
    """

    def __init__(
        self, host: HostId, capacity: int, leg: LegId | None = None, sip_call_id: SipCallId = _NONE
    ) -> None:
        self._first = host
        self._hosts = {host: _Host(capacity)}
        self._of_legs: dict[LegId, HostId] = {}
        """Kept after a leg has ended: a transferor receives NOTIFYs about its transfer even after its BYE."""
        self._of_prompts: dict[str, HostId] = {}
        self._call_ids: dict[LegId, SipCallId] = {}
        self._joins = Joins(self._of_legs)
        self._audio: list[AudioOrder] = []
        if leg is not None:
            self._put(leg, host, sip_call_id)

    def add(self, host: HostId, capacity: int) -> None:
        """Add a host that the session may use as well."""
        self._hosts[host] = _Host(capacity)

    def host_of(self, leg: LegId) -> HostId | None:
        """Return the host that carries or carried a leg; None if the leg was never placed."""
        return self._of_legs.get(leg)

    def name_of(self, leg: LegId) -> tuple[SipCallId, HostId] | None:
        """Return what a leg is called outside of the session; None if it was never placed."""
        host = self._of_legs.get(leg)
        return None if host is None else (self._call_ids[leg], host)

    def is_joined(self, leg: LegId) -> bool:
        """Return whether a leg hears another by the relay, without its host."""
        return self._joins.is_joined(leg)

    # -- commands -----------------------------------------------------------------------------------

    def place(self, commands: Iterable[Command], now: float = 0.0) -> dict[HostId, list[HostCommand]]:
        """Return the commands for each host, in the order of ``commands``; drop those without a host.

        Among them are also those that follow from what was noticed since; ``take_audio`` has what the relay
        is to be told before they are sent.
        """
        placed: dict[HostId, list[HostCommand]] = {}
        for command in commands:
            for host, part in self._place(command, now):
                placed.setdefault(host, []).append(part)
        self._joins.record(host for host, each in self._hosts.items() if each.recordings)
        self._audio += self._joins.take_orders(now)
        for host, resting in self._joins.clocks().items():
            # It runs before anything is done that needs it, and rests after everything else.
            placed.setdefault(host, []).insert(
                len(placed.get(host, ())) if resting else 0, RestClock(resting=resting)
            )
        return placed

    def take_audio(self) -> list[AudioOrder]:
        """Return the orders to the relay that have arisen, in their order."""
        audio, self._audio = self._audio, []
        return audio

    def next_deadline(self) -> float | None:
        """Return when ``place`` is due even without commands, in monotonic seconds; None: never."""
        return self._joins.next_deadline()

    def _place(self, command: Command, now: float) -> list[tuple[HostId, HostCommand]]:
        match command:
            case InviteLeg():
                return [(self._put(command.leg, self._roomiest(), command.sip_call_id), command)]
            case SetMedia():
                self._joins.connect(command.connections)
                return self._connect(command.connections)
            case SendDtmf() if command.leg in self._of_legs and not self._joins.send_keys(command, now):
                return []
            case StartRecording():
                host = self._of_legs.get(command.parent, self._first)
                self._hosts[host].recordings.add(RecordingSid(command.recording))
                return [(host, command)]
            case RecordLegs() | StopRecording():
                sid = RecordingSid(command.recording)
                return [(host, command) for host, each in self._hosts.items() if sid in each.recordings]
            case StartPrompt():
                host = self._of_prompts[command.prompt] = self._of_legs.get(command.leg, self._first)
                self._joins.order(command)
                return [(host, command)]
            case StopPrompt():
                known = self._of_prompts.get(command.prompt)
                return [] if known is None else [(known, command)]
            case EndSession():
                return [(host, command) for host in self._hosts]
            case _:  # all other commands concern one leg
                if isinstance(command, HangupLeg | ListenForKeys | WatchSilence):
                    self._joins.order(command)
                known = self._of_legs.get(command.leg)
                return [] if known is None else [(known, command)]

    def _connect(self, graph: tuple[Connection, ...]) -> list[tuple[HostId, HostCommand]]:
        parts: dict[HostId, list[Connection]] = {host: [] for host in self._hosts}
        for connection in graph:
            parts[self._place_of(connection)].append(connection)
        placed: list[tuple[HostId, HostCommand]] = []
        for host, part in parts.items():
            if self._hosts[host].graph != tuple(part):
                self._hosts[host].graph = tuple(part)
                placed.append((host, SetMedia(connections=tuple(part))))
        return placed

    def _place_of(self, connection: Connection) -> HostId:
        """Return the host of the sink; a source that is not a leg is available on every host."""
        heard_at = self._of_legs.get(LegId(connection.sink), self._first)
        if self._of_legs.get(LegId(connection.source), heard_at) != heard_at:
            raise LocalStateError(f"{connection.source} and {connection.sink} are on two hosts")
        return heard_at

    def _roomiest(self) -> HostId:
        """Return the first host with room; if none has, the first host, which refuses the leg if it must."""
        return next((host for host, each in self._hosts.items() if each.has_room), self._first)

    def _put(self, leg: LegId, host: HostId, sip_call_id: SipCallId) -> HostId:
        self._of_legs[leg] = host
        self._call_ids[leg] = sip_call_id
        self._hosts[host].legs.add(leg)
        return host

    # -- facts --------------------------------------------------------------------------------------

    def notice(self, event: SessionEvent) -> None:
        """Take a fact: a leg or recording that has ended is removed from its host."""
        if isinstance(event, LegEnded | PromptEnded | SilenceReached):
            self._joins.notice(event)
        for each in self._hosts.values():
            if isinstance(event, LegEnded):
                each.legs.discard(event.leg)
            elif isinstance(event, RecordingStopped):
                each.recordings.discard(RecordingSid(event.recording))

    def relayed(self, event: AudioEvent) -> None:
        """Take a report of the relay."""
        self._joins.relayed(event)

    def lost(self, host: HostId, now: float) -> list[SessionEvent]:
        """Return, for a lost host, the ends of everything on it that it can no longer report."""
        gone = self._hosts[host]
        stopped = [
            RecordingStopped(recording=sid, at=now, files=(), duration_s=0.0, reason="worker died")
            for sid in sorted(gone.recordings)
        ]
        ended = [
            LegEnded(leg=leg, at=now, cause="worker", sip_code=503, reason="worker died", headers=())
            for leg in self._of_legs
            if leg in gone.legs  # the caller's first: with it everything ends
        ]
        gone.legs.clear()
        gone.recordings.clear()
        for event in ended:
            self._joins.notice(event)
        return [*stopped, *ended]
