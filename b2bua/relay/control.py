"""Messages between the relay and its two clients, the edge and the controller.

The relay listens on a Unix stream socket. Each client's first message says which of the two it is. Both keep
what they have said, and say it again to a relay that has been restarted.
"""

from typing import Literal

import msgspec

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
    "OpenLeg",
    "Pair",
    "PairsGranted",
    "PartLegs",
    "PlayInRoom",
    "RecordRoom",
    "RecordTaps",
    "RelayConfig",
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


class LegKey(msgspec.Struct, frozen=True, array_like=True):
    """Names a leg for edge, relay and controller alike.

    A node that calls itself has two legs with one Call-ID, so the Call-ID alone does not name a leg.
    """

    call_id: str
    worker: str


class Pair(msgspec.Struct, frozen=True, array_like=True):
    """The ports of a leg, for the whole of its life."""

    outer: int
    """Even port of the public address, for RTP; RTCP uses the next one."""
    inner: int
    """Port of the node's loopback address, for the worker's RTP and RTCP (multiplexed, RFC 5761)."""


class MediaDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What one side of a leg has said about its audio in a session description."""

    host: str
    """IP address for RTP; ``0.0.0.0`` or ``::`` is the old form of hold (RFC 3264 §8.4). Empty: the party has
    written a name, which nobody resolves; its address is learned from its packets."""
    port: int
    """0: the medium is refused or no longer wanted."""
    rtcp_host: str
    rtcp_port: int
    """0: the side receives no RTCP."""
    formats: tuple[tuple[int, str], ...]
    """Payload types in the order of preference, with encoding name and clock rate: ``(8, "PCMA/8000")``.
    Telephone-event and comfort noise are among them. Names are in capitals, except ``telephone-event/8000``;
    a type without a name has an empty one."""
    direction: Literal["sendrecv", "sendonly", "recvonly", "inactive"] = "sendrecv"
    plain: bool = True
    """False: SRTP. Its packets are forwarded unchanged, because their headers are authenticated."""
    ptime_ms: int = 0
    """0: not stated."""
    max_ptime_ms: int = 0
    """0: not stated."""


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


class RoomMember(msgspec.Struct, frozen=True, kw_only=True):
    """What a leg does in a room."""

    leg: LegKey
    talks: bool = True
    """All listeners but itself hear it."""
    recorded: bool = True
    """With ``talks``: the room's recording contains it. False: early media of a leg that rings."""
    listens: bool = True
    """It hears the mix, and its worker no longer."""
    coaches: LegKey | None = None
    """The only member that hears it; it does not talk."""
    jitter_ms: int = 60
    """The most jitter that is waited for: 0, 20, 40 or 60. The delay starts small and grows as needed."""


class SetRoom(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Mix these legs, and no others, in a room from now on; it replaces the room's last ``SetRoom``.

    A leg takes part whenever its description allows it (``RoomEntered``, ``RoomLeft``); one that does not
    exist yet may be named. A leg in a room is not joined.
    """

    room: str
    members: tuple[RoomMember, ...]
    """In the order of joining; empty: the room is over, and so are its sounds and its recording."""
    voices: bool = False
    """``VoiceHeard`` is wanted, of members that talk or coach."""


class PlayInRoom(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Mix a sound into a room; ``RoomSoundEnded`` follows. Sounds of a room play at the same time."""

    room: str
    sound: str
    """Identifier, unique in the room."""
    path: str
    """A mono 16-bit WAV at 8000 Hz."""
    leg: LegKey | None = None
    """The only member that hears it, with the mix lowered by 12 dB. None: all listeners and the recording."""


class StopInRoom(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Stop a sound; without effect if it has ended."""

    room: str
    sound: str


class RecordRoom(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Record a room into a raw file: the sum of those who talk, with sounds to the room.

    ``TapsBegun`` follows; ``StopTaps`` ends it.
    """

    room: str
    recording: str
    path: str


# -- from the edge ----------------------------------------------------------------------------------------


class OpenLeg(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A leg exists, with a pair that was granted before. Repeated after a restart of the relay."""

    leg: LegKey
    pair: Pair


class DescribeLeg(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An offer and its answer are complete: what both sides of a leg have agreed on from now on."""

    leg: LegKey
    far: MediaDescription
    """The party's."""
    near: MediaDescription
    """The worker's."""


class LegReplaced(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A leg has taken another one's place (RFC 3891): the controller keeps naming it by ``old``.

    If the other one had itself taken a leg's place, ``old`` is the first of them: the name that the
    controller uses.
    """

    leg: LegKey
    old: LegKey


class EdgeHello(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The edge's first message: the pairs it still has from an earlier relay, not in use."""

    free: tuple[Pair, ...] = ()


# -- from either ------------------------------------------------------------------------------------------


class CloseLeg(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A leg is over; without effect if it is not known.

    ``LegMeasured`` goes to the controller, and ``LegClosed`` to the edge unless it has sent this itself.
    """

    leg: LegKey


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


class RoomEntered(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A listed leg takes part in its room: if it listens, its worker's clock may stop 60 ms from now."""

    room: str
    leg: LegKey


class RoomLeft(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A listed leg hears its worker again, or cannot take part at all.

    Either a description is the reason, and ``SetRoom`` stands; or the leg is over.
    """

    room: str
    leg: LegKey


class RoomSoundEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A sound is over. Exactly once for each ``PlayInRoom``."""

    room: str
    sound: str
    failure: str = ""
    """Why it could not be played; empty: it was, or was stopped."""


class VoiceHeard(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A member's voice has begun (60 ms ago), or has ceased (160 ms ago), without any further hang-over."""

    room: str
    leg: LegKey
    voice: bool


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


# -- to the edge ------------------------------------------------------------------------------------------


class PairsGranted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Pairs that the edge may give to legs; their sockets are bound. More follow as these are used."""

    pairs: tuple[Pair, ...]


class LegClosed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The controller has closed a leg, or it is lost (``LegLost``): its pair goes back to the relay."""

    leg: LegKey


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
    | SetRoom
    | PlayInRoom
    | StopInRoom
    | RecordRoom
)
ToEdge = PairsGranted | LegClosed
ToController = (
    RelayReady
    | LegDescribed
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
FromRelay = ToEdge | ToController
