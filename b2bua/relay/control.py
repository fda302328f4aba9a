"""Messages between the relay and its two clients, the edge and the controller.

The relay listens on a Unix stream socket. Each client's first message says which of the two it is. Both keep
what they have said, and say it again to a relay that has been restarted.

The messages about legs between edge and relay are in ``control_legs``, those about rooms in
``control_rooms``; all can be imported from here.
"""

import msgspec

from b2bua.relay.control_legs import (
    CloseLeg,
    DescribeLeg,
    EdgeHello,
    LegClosed,
    LegKey,
    LegReplaced,
    MediaDescription,
    Meets,
    OpenLeg,
    Pair,
    PairsGranted,
)
from b2bua.relay.control_rooms import (
    PlayInRoom,
    PrepareRooms,
    RecordRoom,
    RoomEntered,
    RoomLeft,
    RoomMember,
    RoomSoundEnded,
    SetRoom,
    StopInRoom,
    VoiceHeard,
)

__all__ = [
    "CloseLeg",
    "DescribeLeg",
    "EdgeHello",
    "ForeignPackets",
    "FromRelay",
    "HoldKeys",
    "JoinLegs",
    "KeyPressed",
    "LegClosed",
    "LegDescribed",
    "LegKey",
    "LegLost",
    "LegMeasured",
    "LegReplaced",
    "LegSilent",
    "LegsJoined",
    "LegsParted",
    "MediaDescription",
    "Meets",
    "OpenLeg",
    "Pair",
    "PairsGranted",
    "PartLegs",
    "PlayInRoom",
    "PrepareRooms",
    "RecordRoom",
    "RecordTaps",
    "RelayConfig",
    "RelayEvent",
    "RelayReady",
    "RoomEntered",
    "RoomLeft",
    "RoomMember",
    "RoomSoundEnded",
    "SendKeys",
    "SetRoom",
    "StopInRoom",
    "StopTaps",
    "Tap",
    "TapsBegun",
    "TapsEnded",
    "ToController",
    "ToEdge",
    "ToRelay",
    "VoiceHeard",
]


# -- from the controller ----------------------------------------------------------------------------------


class RelayConfig(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The controller's first message."""

    bind: str
    """Address of the outer sockets, IPv4 or IPv6."""
    ports: tuple[int, int]
    """First and last of the outer ports."""
    inner_host: str
    """The node's own loopback address, of the inner sockets and of the workers' RTP."""
    inner_ports: tuple[int, int]
    """First and last of the inner ports; disjoint from ``ports`` and from the system's ephemeral ports."""
    tick_ms: float = 5.0
    """Interval at which all sockets are drained."""
    silence_after_ms: int = 500
    """A joined leg whose partner has sent nothing for so long is sent silence."""
    rtp_timeout_s: float = 0.0
    """Both parties silent and not on hold for so long: ``LegSilent``. 0: never."""


class JoinLegs(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Join two legs whenever their descriptions allow it, until ``PartLegs``.

    The wish is judged again at each description of either leg. A leg that does not exist yet may be named.
    """

    one: LegKey
    other: LegKey


class PartLegs(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Give both legs back to their workers."""

    one: LegKey
    other: LegKey


class Tap(msgspec.Struct, frozen=True, array_like=True):
    """One side of a recording."""

    leg: LegKey
    heard: bool = False
    """False: what comes from the leg. True: what we send to it."""


class RecordTaps(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Record two sides into a raw file (``media.relay_file``), which is created or appended to.

    A second one for the same recording changes the sides. ``TapsBegun`` follows the first.
    """

    recording: str
    path: str
    parent: Tap | None
    child: Tap | None


class StopTaps(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """End a recording; ``TapsEnded`` follows when its file is complete."""

    recording: str


class HoldKeys(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Keys of this leg that are reported but not passed on to a joined leg. Replaces the previous ones."""

    leg: LegKey
    digits: str
    """Characters of ``0123456789*#ABCD``; may be empty."""


class SendKeys(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Send keys to a joined leg by RFC 4733, in place of its partner's audio."""

    leg: LegKey
    digits: str
    """Characters of ``0123456789*#ABCD``."""


# -- to the controller ------------------------------------------------------------------------------------


class RelayReady(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The relay can take legs."""

    pairs: int
    """Pairs that the two ranges hold."""


class LegDescribed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the relay can do with a leg, after each of its descriptions."""

    leg: LegKey
    recordable: bool
    """Plain G.711: the relay's raw file can be decoded."""
    keys: bool
    """The party takes telephone-events (``SendKeys``)."""
    meets: Meets = "all"
    talks: bool = True
    """It is not on hold."""


class LegsJoined(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Two legs hear each other by the relay: their workers' clocks may stop 60 ms from now."""

    one: LegKey
    other: LegKey


class LegsParted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Two legs hear their workers again.

    Either a description is the reason, and the wish stands; or one of them is over, and the wish with it.
    This is also the answer to ``JoinLegs`` if the two cannot be joined at once: a ``LegsJoined`` that has
    crossed ``PartLegs`` and ``JoinLegs`` on the way then counts no longer.
    """

    one: LegKey
    other: LegKey


class KeyPressed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The party of a leg that is joined or in a room has pressed a key (RFC 4733).

    Sent once a key, at its end or after 1 s.
    """

    leg: LegKey
    at: float
    """Time of its first packet, in CLOCK_MONOTONIC seconds."""
    digit: str
    """One of ``0123456789*#ABCD``."""
    duration_ms: int
    passed: bool
    """The partner has received it."""


class TapsBegun(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A recording has begun."""

    recording: str
    at: float
    """In CLOCK_MONOTONIC seconds; time 0 of the raw file."""


class TapsEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A recording's raw file is complete."""

    recording: str
    at: float
    """In CLOCK_MONOTONIC seconds."""
    reason: str = ""
    """Why the file lacks something; empty: it is complete."""


class LegMeasured(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Reception of a leg's media over its life, when it is closed (RFC 3550 §6.4.1, A.3, A.8)."""

    leg: LegKey
    received: int
    lost: int
    jitter_ms: float


class LegSilent(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Nothing has come for ``rtp_timeout_s`` from either party of two legs that are to be joined.

    Sent for each of the two, and again after one was heard. Neither is on hold.
    """

    leg: LegKey


class LegLost(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The ports of a leg cannot be bound, so that its party would hear nothing: its call is to end.

    It happens to legs of an earlier relay, whose ports somebody else has meanwhile. ``LegClosed`` goes to the
    edge at the same time.
    """

    leg: LegKey


class ForeignPackets(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Packets from elsewhere than a leg's party were dropped; sent at most once a second and leg."""

    leg: LegKey
    source: str
    """Address and port of the latest."""
    count: int
    """Since the last report."""


ToRelay = (
    RelayConfig
    | EdgeHello
    | OpenLeg
    | DescribeLeg
    | LegReplaced
    | JoinLegs
    | PartLegs
    | RecordTaps
    | StopTaps
    | HoldKeys
    | SendKeys
    | CloseLeg
    | PrepareRooms
    | SetRoom
    | PlayInRoom
    | StopInRoom
    | RecordRoom
)
ToEdge = PairsGranted | LegClosed
RelayEvent = (
    LegDescribed
    | LegsJoined
    | LegsParted
    | KeyPressed
    | TapsBegun
    | TapsEnded
    | LegMeasured
    | LegSilent
    | LegLost
    | ForeignPackets
    | RoomEntered
    | RoomLeft
    | RoomSoundEnded
    | VoiceHeard
)
"""What the relay reports about a leg, a room or a recording."""
ToController = RelayReady | RelayEvent
FromRelay = ToEdge | ToController
