"""Where a session's recordings are made: by the relay if it can, else by the parent leg's host. Sans I/O.

The relay records legs whose media it can decode, wherever they are and whoever hears them, without waking a
host. A leg counts as recordable until its media have been described otherwise; then the host takes over, and
the relay ends its part as soon as the host has begun. It does not change back. To the session it remains one
recording: it begins with the first part and ends with the last one.

::

    relay:  starting ──AudioTapped──> running ──the host has begun, stop──> ending ──AudioUntapped──> over
    host:   none ──not recordable──> starting ──RecordingStarted──> running ──RecordingStopped──> over

A host's part that is not the first is placed by the time at which it began (``HostPart``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from b2bua.calls.recordings import leg_heard
from b2bua.core.commands import RecordingCommand, RecordLegs, StartRecording, StopRecording
from b2bua.core.events import RecordingStarted, RecordingStopped
from b2bua.core.ids import HostId, LegId, RecordingSid
from b2bua.core.relay_orders import AudioSide, AudioTapped, AudioUntapped, TapAudio, UntapAudio

__all__ = ["HostPart", "RecordingPlacement"]

RELAY_FILE = ".rtp"
"""What the relay's raw file has after the stem of the recording."""
HOST_PART = ".worker"
"""What the stem of a host's part that follows the relay's has in addition."""

HostOrder = tuple[HostId, RecordingCommand]
TapOrder = TapAudio | UntapAudio
RecordingFact = RecordingStarted | RecordingStopped


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPart:
    """A host has taken over a recording that the relay began."""

    recording: RecordingSid
    at_s: float
    """Seconds since the recording's start; negative if the relay was late."""


class _Part(StrEnum):
    NONE = "none"
    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"
    OVER = "over"


_NO_HOSTS: frozenset[HostId] = frozenset()
_GOING_ON = (_Part.STARTING, _Part.RUNNING)
_OPEN = (*_GOING_ON, _Part.ENDING)


@dataclass(slots=True)
class _Recording:
    order: StartRecording
    relay: _Part = _Part.NONE
    host: _Part = _Part.NONE
    at_host: HostId | None = None
    began_at: float | None = None
    """None: no part has begun."""
    host_began_at: float | None = None
    is_stopping: bool = False
    reasons: list[str] = field(default_factory=list)
    files: tuple[str, ...] = ()

    @property
    def legs(self) -> set[LegId]:
        """The legs of both sides."""
        sides = (self.order.parent, self.order.child)
        return {leg_heard(side) or side for side in sides if side is not None}

    @property
    def is_over(self) -> bool:
        """Whether no part can grow any more."""
        return self.relay not in _OPEN and self.host not in _OPEN


class RecordingPlacement:
    """The recordings of one session.

    Args:
        hosts: the host of each leg that was ever placed; owned and changed by the placement.
        first: the host of recordings whose parent was never placed.
        by_relay: whether there is a relay that records at the node's clock rate.
    """

    def __init__(self, hosts: Mapping[LegId, HostId], first: HostId, *, by_relay: bool) -> None:
        self._hosts = hosts
        self._first = first
        self._by_relay = by_relay
        self._recordings: dict[RecordingSid, _Recording] = {}
        self._not_recordable: set[LegId] = set()
        self._lost: set[HostId] = set()
        self._taps: list[TapOrder] = []
        self._parts: list[HostPart] = []

    # -- commands -----------------------------------------------------------------------------------

    def order(self, order: RecordingCommand) -> list[HostOrder]:
        """Take a command of the session; returns the commands for hosts."""
        sid = RecordingSid(order.recording)
        if isinstance(order, StartRecording):
            recording = self._recordings[sid] = _Recording(order)
            if not self._by_relay or recording.legs & self._not_recordable:
                return self._begin_at_host(recording)
            recording.relay = _Part.STARTING
            self._tap(recording)
            return []
        found = self._recordings.get(sid)
        if found is None or found.is_stopping:
            return []
        return self._set_legs(found, order) if isinstance(order, RecordLegs) else self._stop(found, order)

    def take_taps(self) -> list[TapOrder]:
        """Return the orders to the relay that have arisen, in their order."""
        taps, self._taps = self._taps, []
        return taps

    def take_parts(self) -> list[HostPart]:
        """Return the hosts' parts that have begun, each once."""
        parts, self._parts = self._parts, []
        return parts

    @property
    def hosts(self) -> frozenset[HostId]:
        """The hosts that record now."""
        if not self._recordings:
            return _NO_HOSTS
        at_hosts = (each for each in self._recordings.values() if each.host in _OPEN)
        return frozenset(each.at_host for each in at_hosts if each.at_host is not None)

    # -- facts --------------------------------------------------------------------------------------

    def described(self, leg: LegId, *, recordable: bool) -> list[HostOrder]:
        """Take what the relay can do with a leg; returns the commands for hosts."""
        if recordable:
            self._not_recordable.discard(leg)
            return []
        self._not_recordable.add(leg)
        return [
            command
            for each in self._recordings.values()
            if leg in each.legs and each.host is _Part.NONE and not each.is_stopping
            for command in self._begin_at_host(each)
        ]

    def handle(
        self, event: RecordingStarted | RecordingStopped | AudioTapped | AudioUntapped
    ) -> list[RecordingFact]:
        """Take a report about a part; returns what the session is told."""
        found = self._recordings.get(RecordingSid(event.recording))
        if found is None:
            return []
        match event:
            case AudioTapped():
                return self._tapped(found, event.at)
            case RecordingStarted():
                return self._started(found, event)
            case AudioUntapped():
                found.relay = _Part.OVER
                if event.reason:
                    found.reasons.append(f"could not be written: {event.reason}")
            case RecordingStopped():
                found.host, found.files = _Part.OVER, event.files
                if found.relay is _Part.NONE:
                    del self._recordings[RecordingSid(event.recording)]
                    return [event]
                if event.reason:
                    found.reasons.append(event.reason)
        return self._concluded(found, event.at)

    def lost(self, host: HostId, now: float) -> list[RecordingFact]:
        """Return what the session is told about recordings on a host that is lost."""
        self._lost.add(host)
        told: list[RecordingFact] = []
        for sid, each in sorted(self._recordings.items()):
            if each.at_host == host and each.host in _OPEN:
                gone = RecordingStopped(recording=sid, at=now, files=(), duration_s=0.0, reason="worker died")
                told += self.handle(gone)
        return told

    def end_all(self) -> list[TapOrder]:
        """Return the orders that end the relay's parts when the session is over, after those not taken."""
        for each in self._recordings.values():
            self._untap(each)
        return self.take_taps()

    # -- one recording ------------------------------------------------------------------------------

    def _begin_at_host(self, recording: _Recording) -> list[HostOrder]:
        order = recording.order
        host = self._hosts.get(order.parent, self._first)
        if host in self._lost:
            return []  # the parent's end, which stops the recording, follows
        if recording.relay is not _Part.NONE:
            order = StartRecording(
                recording=order.recording,
                stem=order.stem + HOST_PART,
                parent=order.parent,
                child=order.child,
            )
        recording.host, recording.at_host = _Part.STARTING, host
        return [(host, order)]

    def _set_legs(self, recording: _Recording, order: RecordLegs) -> list[HostOrder]:
        before = recording.order
        recording.order = StartRecording(
            recording=before.recording, stem=before.stem, parent=order.parent, child=order.child
        )
        if recording.relay in _GOING_ON:
            self._tap(recording)
        if recording.host in _OPEN and recording.at_host is not None:
            return [(recording.at_host, order)]
        if recording.host is _Part.NONE and recording.legs & self._not_recordable:
            return self._begin_at_host(recording)
        return []

    def _stop(self, recording: _Recording, order: StopRecording) -> list[HostOrder]:
        recording.is_stopping = True
        self._untap(recording)
        if recording.host in _OPEN and recording.at_host is not None:
            return [(recording.at_host, order)]
        return []

    def _tap(self, recording: _Recording) -> None:
        order = recording.order
        self._taps.append(
            TapAudio(
                recording=order.recording,
                path=order.stem + RELAY_FILE,
                parent=_side(order.parent),
                child=None if order.child is None else _side(order.child),
            )
        )

    def _untap(self, recording: _Recording) -> None:
        if recording.relay in _GOING_ON:
            recording.relay = _Part.ENDING
            self._taps.append(UntapAudio(recording=recording.order.recording))

    def _tapped(self, recording: _Recording, at: float) -> list[RecordingFact]:
        if recording.began_at is not None:
            return []  # by a relay that was restarted, into the same file
        if recording.relay is _Part.STARTING:
            recording.relay = _Part.RUNNING
        recording.began_at = at
        self._place_host_part(recording)
        return [RecordingStarted(recording=recording.order.recording, at=at)]

    def _started(self, recording: _Recording, event: RecordingStarted) -> list[RecordingFact]:
        if recording.host is not _Part.STARTING:
            return []
        recording.host = _Part.RUNNING
        recording.host_began_at = event.at
        if recording.relay is _Part.NONE:
            recording.began_at = event.at
            return [event]
        self._place_host_part(recording)
        return []

    def _place_host_part(self, recording: _Recording) -> None:
        """Once both parts have begun: say where the host's is, and let the relay end its own."""
        began_at, host_began_at = recording.began_at, recording.host_began_at
        if began_at is None or host_began_at is None:
            return
        sid = RecordingSid(recording.order.recording)
        self._parts.append(HostPart(recording=sid, at_s=host_began_at - began_at))
        self._untap(recording)

    def _concluded(self, recording: _Recording, at: float) -> list[RecordingFact]:
        """Return the end of a recording whose last part has ended."""
        if not recording.is_over:
            return []
        sid = RecordingSid(recording.order.recording)
        del self._recordings[sid]
        began_at = at if recording.began_at is None else recording.began_at
        return [
            RecordingStopped(
                recording=sid,
                at=at,
                files=recording.files,
                duration_s=max(0.0, at - began_at),
                reason="; ".join(recording.reasons),
            )
        ]


def _side(name: LegId) -> AudioSide:
    heard = leg_heard(name)
    return AudioSide(leg=name) if heard is None else AudioSide(leg=heard, heard=True)
