"""The placement of a session's legs: which host carries each leg, and which commands each host receives.

A host (currently a worker process) carries a few legs with their media. A session knows its legs and a
single media graph; the placement turns these into commands for hosts and orders to the relay (``joins``), and
knows what is lost with a host. Sans I/O; the layers above do not know about hosts, and the placement must not
depend on how a host is reached.
"""

from collections.abc import Iterable

from b2bua.calls.joins import Joins
from b2bua.calls.orders import Command
from b2bua.calls.recording_placement import HostPart, RecordingPlacement
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
from b2bua.core.events import (
    LegEnded,
    PromptEnded,
    RecordingStarted,
    RecordingStopped,
    SessionEvent,
    SilenceReached,
)
from b2bua.core.ids import HostId, LegId, SipCallId
from b2bua.core.relay_orders import AudioEvent, AudioOrder, AudioTapped, AudioUntapped, MediaDescribed

__all__ = ["Placement"]


_NONE = SipCallId("")


class _Host:
    """The state of one host."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.legs: set[LegId] = set()
        """Legs whose end has not been reported."""
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
        relay_records: whether there is a relay that records at the node's clock rate.
    """

    def __init__(
        self,
        host: HostId,
        capacity: int,
        leg: LegId | None = None,
        sip_call_id: SipCallId = _NONE,
        *,
        relay_records: bool = False,
    ) -> None:
        self._first = host
        self._hosts = {host: _Host(capacity)}
        self._of_legs: dict[LegId, HostId] = {}
        """Kept after a leg has ended: a transferor receives NOTIFYs about its transfer even after its BYE."""
        self._of_prompts: dict[str, HostId] = {}
        self._call_ids: dict[LegId, SipCallId] = {}
        self._joins = Joins(self._of_legs)
        self._recordings = RecordingPlacement(self._of_legs, host, by_relay=relay_records)
        self._due: list[tuple[HostId, HostCommand]] = []
        """Commands that follow from what was noticed."""
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
        due, self._due = self._due, []
        for host, part in due:
            placed.setdefault(host, []).append(part)
        for command in commands:
            for host, part in self._place(command, now):
                placed.setdefault(host, []).append(part)
        self._joins.record(self._recordings.hosts)
        self._audio += [*self._joins.take_orders(now), *self._recordings.take_taps()]
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
            case StartRecording() | RecordLegs() | StopRecording():
                return [(host, order) for host, order in self._recordings.order(command)]
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

    def notice(self, event: SessionEvent) -> list[SessionEvent]:
        """Take a fact of a host: what has ended is removed from it. Return what the session is to be told."""
        if isinstance(event, LegEnded | PromptEnded | SilenceReached):
            self._joins.notice(event)
        if isinstance(event, LegEnded):
            for each in self._hosts.values():
                each.legs.discard(event.leg)
        if isinstance(event, RecordingStarted | RecordingStopped):
            return [told for told in self._recordings.handle(event)]
        return [event]

    def relayed(self, event: AudioEvent) -> list[SessionEvent]:
        """Take a report of the relay; return what the session is to be told. ``place`` is due afterwards."""
        if isinstance(event, AudioTapped | AudioUntapped):
            return [told for told in self._recordings.handle(event)]
        if isinstance(event, MediaDescribed):
            self._due += self._recordings.described(event.leg, recordable=event.recordable)
        self._joins.relayed(event)
        return []

    def take_host_parts(self) -> list[HostPart]:
        """Return the recordings that hosts have taken over from the relay, each once."""
        return self._recordings.take_parts()

    def end_recordings(self) -> list[AudioOrder]:
        """Return what the relay is told about recordings when the session is over."""
        return [*self._recordings.end_all()]

    def lost(self, host: HostId, now: float) -> list[SessionEvent]:
        """Return, for a lost host, the ends of everything on it that it can no longer report."""
        gone = self._hosts[host]
        stopped = self._recordings.lost(host, now)
        ended = [
            LegEnded(leg=leg, at=now, cause="worker", sip_code=503, reason="worker died", headers=())
            for leg in self._of_legs
            if leg in gone.legs  # the caller's first: with it everything ends
        ]
        gone.legs.clear()
        for event in ended:
            self._joins.notice(event)
        return [*stopped, *ended]
