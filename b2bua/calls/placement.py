"""The placement of a session's legs: which host carries each leg, and which commands each host receives.

A host (currently a worker process) carries a few legs with their media. A session knows its legs and a
single media graph. The placement turns these into commands for hosts and orders to the relay (``joins``),
asks for more hosts (``hosts``), splits the graph (``host_graphs``), connects legs on different hosts
(``links``), and knows what is lost with a host. Sans I/O; the layers above do not know about hosts, and the
placement does not depend on how one is reached.
"""

from collections.abc import Callable, Iterable
from itertools import count

from b2bua.calls.host_graphs import HostGraphs
from b2bua.calls.hosts import Hosts
from b2bua.calls.joins import Joins, own
from b2bua.calls.links import Links
from b2bua.calls.orders import Command
from b2bua.calls.recording_placement import HostPart, RecordingPlacement
from b2bua.calls.recording_sides import RecordingSides
from b2bua.core.commands import (
    AWAY,
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
    WatchForMachine,
    WatchSilence,
)
from b2bua.core.deadlines import earliest
from b2bua.core.events import (
    DtmfReceived,
    LegEnded,
    MachineJudged,
    PromptEnded,
    RecordingStarted,
    RecordingStopped,
    SessionEvent,
    SilenceReached,
)
from b2bua.core.ids import HostId, LegId, SipCallId
from b2bua.core.relay_orders import (
    AudioEvent,
    AudioOrder,
    AudioTapped,
    AudioUntapped,
    CloseAudio,
    MediaDescribed,
    PassKeys,
)

__all__ = ["Placement"]


_NONE = SipCallId("")


def _counted() -> Callable[[], SipCallId]:
    numbers = count(1)
    return lambda: SipCallId(f"link-{next(numbers)}")


class Placement:
    """Assigns the legs of one session to hosts, and splits its commands by host.

    Args:
        host: the host on which the session begins.
        capacity: the number of legs that the host can carry.
        leg: the caller's leg, which is already on the host; None for a call that we make.
        sip_call_id: the Call-ID of that leg.
        new_call_id: makes Call-IDs of calls between hosts.
        relay_records: whether there is a relay that records at the node's clock rate.
    """

    def __init__(
        self,
        host: HostId,
        capacity: int,
        leg: LegId | None = None,
        sip_call_id: SipCallId = _NONE,
        new_call_id: Callable[[], SipCallId] | None = None,
        *,
        relay_records: bool = False,
    ) -> None:
        self._hosts = Hosts(host, capacity)
        self._of_legs: dict[LegId, HostId] = {}
        """Kept after a leg has ended: a transferor receives NOTIFYs about its transfer even after its BYE."""
        self._of_prompts: dict[str, HostId] = {}
        self._call_ids: dict[LegId, SipCallId] = {}
        self._joins = Joins(self._of_legs)
        self._links = Links(new_call_id or _counted())
        self._recordings = RecordingPlacement(self._of_legs, host, by_relay=relay_records)
        self._graphs = HostGraphs(self._of_legs, self._hosts, self._links, self._joins)
        self._sides = RecordingSides(self._of_legs, self._links)
        self._audio: list[AudioOrder] = []
        self._due: list[tuple[HostId, HostCommand]] = []
        """Commands that follow from what was noticed."""
        if leg is not None:
            self._put(leg, host, sip_call_id)

    # -- hosts --------------------------------------------------------------------------------------

    def add(self, host: HostId, capacity: int) -> None:
        """Add a host that the session may use as well."""
        self._hosts.add(host, capacity)

    def take_wanted(self) -> int:
        """Return how many further hosts the session needs now; for each, ``add`` or ``refuse`` follows."""
        return self._hosts.take_wanted()

    def refuse(self) -> None:
        """Note that a host cannot be had; ``place`` is due."""
        self._hosts.refuse()

    def take_short(self) -> int:
        """Return how many legs have ended (``take_ended``) because there is no host for them."""
        return self._hosts.take_short()

    def take_ended(self) -> list[LegEnded]:
        """Return the ends of legs that never had a host, in the order in which they happened."""
        return self._hosts.take_ended()

    def host_of(self, leg: LegId) -> HostId | None:
        """Return the host that carries or carried a leg; None if the leg was never placed."""
        return self._of_legs.get(leg)

    def name_of(self, leg: LegId) -> tuple[SipCallId, HostId] | None:
        """Return what a leg, or a link leg, is called outside of the session; None if it was never placed."""
        host = self._of_legs.get(leg)
        return self._links.name_of(leg) if host is None else (self._call_ids[leg], host)

    def is_joined(self, leg: LegId) -> bool:
        """Return whether a leg hears another by the relay, without its host."""
        return self._joins.is_joined(leg)

    # -- commands -----------------------------------------------------------------------------------

    def place(self, commands: Iterable[Command], now: float = 0.0) -> dict[HostId, list[HostCommand]]:
        """Return the commands for each host, in the order of ``commands``; drop those without a host.

        Among them are also those that follow from what was noticed since; ``take_audio`` has what the relay
        is to be told before they are sent. A host that is told ``EndSession`` is a host no longer.
        """
        commands = list(commands)
        due, self._due = self._due, []
        placed: dict[HostId, list[HostCommand]] = {}

        def put(parts: Iterable[tuple[HostId, HostCommand]]) -> None:
            for host, part in parts:
                if host in self._hosts:
                    placed.setdefault(host, []).append(part)

        put(self._sides.told(due))
        self._hosts.expect(sum([isinstance(command, InviteLeg) for command in commands]))
        for command in commands:
            put(self._place(command, now))
        put(self._place_held())
        self._hosts.give_up(now)
        put(self._place_held())
        recording = self._recordings.hosts
        self._joins.record(recording)
        self._joins.face(self._links.faces)
        self._audio += self._joins.take_orders(now)
        self._audio += [CloseAudio(leg=leg) for leg in self._links.take_ended()]
        self._audio += self._recordings.take_taps()
        put(self._links.want(*self._graphs.linked(), now))
        put(self._graphs.changes())
        put(self._sides.changes())
        for host, resting in self._joins.clocks().items():
            # It runs before anything is done that needs it, and rests after everything else.
            if host in self._hosts:
                placed.setdefault(host, []).insert(
                    len(placed.get(host, ())) if resting else 0, RestClock(resting=resting)
                )
        for name, state in self._hosts.items():
            state.links = self._links.legs_on(name)
            state.records = name in recording
        if EndSession() not in commands:
            for name in self._hosts.take_needless():
                placed.setdefault(name, []).append(EndSession())
                self._recordings.lost(name, now)
        return placed

    def take_audio(self) -> list[AudioOrder]:
        """Return the orders to the relay that have arisen, in their order."""
        audio, self._audio = self._audio, []
        return audio

    def next_deadline(self) -> float | None:
        """Return when ``place`` is due even without commands, in monotonic seconds; None: never."""
        return earliest(self._joins.next_deadline(), self._links.next_deadline())

    def last_words(self, host: HostId) -> list[HostCommand]:
        """Return what a host is told before the end of a session that cannot place anything any more."""
        return [HangupLeg(leg=leg) for leg in self._links.legs_on(host)]

    def _place(self, command: Command, now: float) -> list[tuple[HostId, HostCommand]]:
        match command:
            case InviteLeg():
                host = self._hosts.host_with_room()
                if host is None:
                    self._hosts.hold(command)
                    return []
                return [(self._put(command.leg, host, command.sip_call_id), command)]
            case SetMedia():
                self._graphs.want(command.connections)
                self._joins.connect(command.connections)
                return self._graphs.changes()
            case SendDtmf() if command.leg.startswith(AWAY):
                self._audio.append(PassKeys(leg=command.leg, digits=command.digits))
                return []
            case SendDtmf() if command.leg in self._of_legs and not self._joins.send_keys(command, now):
                return []
            case StartRecording() | RecordLegs() | StopRecording():
                return self._sides.told(self._recordings.order(command))
            case StartPrompt():
                host = self._of_prompts[command.prompt] = self._of_legs.get(command.leg, self._hosts.first)
                if host in self._hosts:
                    self._hosts[host].prompts.add(command.prompt)
                self._joins.order(command)
                return [(host, command)]
            case StopPrompt():
                known = self._of_prompts.get(command.prompt)
                return [] if known is None else [(known, command)]
            case EndSession():
                return [(host, command) for host in self._hosts]
            case HangupLeg() if self._hosts.withdraw(command.leg, now):
                return []
            case _:  # all other commands concern one leg
                if isinstance(command, HangupLeg | ListenForKeys | WatchSilence | WatchForMachine):
                    self._joins.order(command)
                known = self._of_legs.get(command.leg)
                if known is None or known not in self._hosts:
                    return []
                self._hosts[known].obeys(command)
                return [(known, command)]

    def _place_held(self) -> list[tuple[HostId, HostCommand]]:
        placed: list[tuple[HostId, HostCommand]] = []
        while (held := self._hosts.take_held()) is not None:
            invite, host = held
            placed.append((self._put(invite.leg, host, invite.sip_call_id), invite))
        return placed

    def _put(self, leg: LegId, host: HostId, sip_call_id: SipCallId) -> HostId:
        self._of_legs[leg] = host
        self._call_ids[leg] = sip_call_id
        self._hosts[host].legs.add(leg)
        return host

    # -- facts --------------------------------------------------------------------------------------

    def notice(self, event: SessionEvent) -> list[SessionEvent]:
        """Take a fact of a host: what has ended is removed from it. Return what the session is to be told."""
        if isinstance(event, DtmfReceived):
            self._pass_key(event)
        of_link = self._links.notice(event, event.at)
        if of_link is not None:
            self._due += of_link
            return []
        if isinstance(event, LegEnded | PromptEnded | SilenceReached | MachineJudged):
            self._joins.notice(event)
        for each in self._hosts.all:
            each.notice(event)
        if isinstance(event, RecordingStarted | RecordingStopped):
            if isinstance(event, RecordingStopped):
                self._sides.stopped(event.recording)
            return [told for told in self._recordings.handle(event)]
        return [event]

    def _pass_key(self, event: DtmfReceived) -> None:
        """Pass a key that has come by a link leg on to the leg, which hears only the audio of that one."""
        for pair, face in self._links.faces.items():
            if event.leg == face:
                self._due.append((self._of_legs[own(pair)], SendDtmf(leg=own(pair), digits=event.digit)))

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
        gone = self._hosts.lose(host)
        if gone is None:
            return []
        self._due += self._links.lose(host, now)
        self._sides.lose(host)
        stopped = self._recordings.lost(host, now)
        ended = [
            LegEnded(leg=leg, at=now, cause="worker", sip_code=503, reason="worker died", headers=())
            for leg in self._of_legs
            if leg in gone.legs  # the caller's first: with it everything ends
        ]
        for event in ended:
            self._joins.notice(event)
        return [*stopped, *ended]
