"""What edge and relay say to each other about legs, and what names and describes a leg (see ``control``)."""

from typing import Literal

import msgspec

__all__ = [
    "CloseLeg",
    "DescribeLeg",
    "EdgeHello",
    "LegClosed",
    "LegKey",
    "LegReplaced",
    "MediaDescription",
    "Meets",
    "OpenLeg",
    "Pair",
    "PairsGranted",
]

Meets = Literal["all", "alike", "none"]
"""Whom the relay can let a leg meet: legs of G.711, rooms and link legs; legs of its own kind; nobody."""


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


class EdgeHello(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The edge's first message: the pairs it still has from an earlier relay, not in use."""

    free: tuple[Pair, ...] = ()


class OpenLeg(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A leg exists, with a pair that was granted before. Repeated after a restart of the relay."""

    leg: LegKey
    pair: Pair
    inside: bool = False
    """A link leg: its party is a worker, whose audio comes to the inner port and goes from there."""


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


class CloseLeg(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A leg is over; without effect if it is not known.

    ``LegMeasured`` goes to the controller, and ``LegClosed`` to the edge unless it has sent this itself.
    """

    leg: LegKey


class PairsGranted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Pairs that the edge may give to legs; their sockets are bound. More follow as these are used."""

    pairs: tuple[Pair, ...]


class LegClosed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The controller has closed a leg, or it is lost (``LegLost``): its pair goes back to the relay."""

    leg: LegKey
