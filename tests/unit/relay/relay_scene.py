"""A relay without sockets: what it sends is kept, by address."""

import itertools
import struct
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, NamedTuple

import msgspec

from b2bua.relay.addresses import Address
from b2bua.relay.control import (
    DescribeLeg,
    JoinLegs,
    LegKey,
    MediaDescription,
    OpenLeg,
    Pair,
    PartLegs,
)
from b2bua.relay.keys import DIGITS
from b2bua.relay.leg import Leg
from b2bua.relay.machine import Relay
from b2bua.relay.mixing import MixingDesk
from b2bua.relay.packet import Packet, Send

G711 = ((8, "PCMA/8000"), (0, "PCMU/8000"), (101, "telephone-event/8000"))
PCMA = ((8, "PCMA/8000"), (101, "telephone-event/8000"))
PCMU = ((0, "PCMU/8000"), (96, "telephone-event/8000"))
INNER = "127.64.0.1"


class Rtp(NamedTuple):
    """A packet that the relay has sent."""

    kind: int
    marker: bool
    seq: int
    ts: int
    ssrc: int
    payload: bytes


def rtp(
    kind: int, seq: int, ts: int, ssrc: int, payload: bytes = b"\x55" * 160, *, marker: bool = False
) -> bytes:
    second = (0x80 if marker else 0) | kind
    return struct.pack(">BBHII", 0x80, second, seq & 0xFFFF, ts & 0xFFFFFFFF, ssrc) + payload


def parse(data: bytes) -> Rtp:
    first, second, seq, ts, ssrc = struct.unpack_from(">BBHII", data)
    assert first == 0x80, data
    return Rtp(second & 0x7F, bool(second & 0x80), seq, ts, ssrc, data[12:])


class FakeLine:
    """A socket; ``hears`` is the only address that the kernel lets through, None for everybody."""

    def __init__(self, sent: list[tuple[Address, bytes]]) -> None:
        self.sent = sent
        self.hears: Address | None = None

    def aim(self, address: Address) -> Send:
        return lambda data: self.sent.append((address, bytes(data)))

    def settle(self, address: Address) -> Send:
        self.hears = address
        return self.aim(address)

    def release(self) -> None:
        self.hears = None


@dataclass
class FakeLines:
    outer: FakeLine
    control: FakeLine
    inner: FakeLine
    version: Literal[4, 6] = 4
    inner_host: str = INNER


@dataclass
class FakeFiles:
    """Files that keep everything."""

    begun: dict[str, str] = field(default_factory=dict)
    pieces: dict[str, bytes] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)

    def begin(self, recording: str, path: str, now: float) -> None:
        self.begun[recording] = path

    def write(self, pieces: list[tuple[str, bytes]]) -> None:
        for recording, piece in pieces:
            self.pieces[recording] = self.pieces.get(recording, b"") + piece

    def end(self, recording: str, now: float) -> None:
        self.ended.append(recording)


@dataclass
class FakeSound:
    """A sound from memory."""

    frames: list[bytes]
    failure: str = ""

    @property
    def over(self) -> bool:
        return not self.frames

    def next(self) -> bytes | None:
        return self.frames.pop(0) if self.frames else None

    def close(self) -> None:
        self.frames.clear()


class FakeLoader:
    """A desk at once, or when ``ready``; the sounds are in ``sounds`` by their paths."""

    def __init__(self) -> None:
        self.ready = True
        self.asked = 0
        """How often the desk was asked for."""
        self.sounds: dict[str, list[bytes]] = {}
        self._desk = MixingDesk()

    def desk(self) -> MixingDesk | None:
        self.asked += 1
        return self._desk if self.ready else None

    def sound(self, path: str) -> FakeSound:
        frames = self.sounds.get(path)
        return FakeSound(list(frames)) if frames is not None else FakeSound([], "No such file or directory")


class Party:
    """A leg's far end and its worker, which speak and listen."""

    def __init__(self, scene: "Scene", name: str, number: int) -> None:
        self.scene = scene
        self.key = LegKey(f"{name}@test", "w1")
        self.at: Address = (f"192.0.2.{number}", 4000)
        self.places = {self.at}
        """All that it was at."""
        self.control_at: Address = (f"192.0.2.{number}", 4001)
        self.worker_at: Address = (INNER, 20_000 + number)
        self.ssrc = 0x1000 + number
        self.seq = 1000 * number
        self.ts = 50_000 * number
        self.worker_ssrc = 0x2000 + number
        self.worker_seq = 30_000 + number
        self.worker_ts = 7_000_000 * number
        self.kind = 8
        self.formats: Any = PCMA
        self.key_ts = 0
        sent = scene.sent
        self.lines = FakeLines(FakeLine(sent), FakeLine(sent), FakeLine(sent))
        pair = Pair(40_000 + 2 * number, 30_000 + number)
        self.leg = scene.relay.open_leg(OpenLeg(leg=self.key, pair=pair), self.lines, scene.now)

    def describe(self, formats: Any = PCMA, *, near: Any = None, **changes: Any) -> "Party":
        """What both have agreed on; ``changes`` are the party's."""
        far: dict[str, Any] = {
            "host": self.at[0],
            "port": self.at[1],
            "rtcp_host": self.control_at[0],
            "rtcp_port": self.control_at[1],
            "formats": formats,
        }
        self.places.add(self.at)
        host, port = self.worker_at
        ours: dict[str, Any] = {
            "host": host,
            "port": port,
            "rtcp_host": host,
            "rtcp_port": port,
            "formats": near or formats,
        }
        if "plain" in changes:
            ours["plain"] = changes["plain"]
        order = DescribeLeg(
            leg=self.key, far=MediaDescription(**{**far, **changes}), near=MediaDescription(**ours)
        )
        self.formats = formats
        self.kind = formats[0][0]
        self.scene.order(order)
        return self

    def says(self, payload: bytes = b"\x55" * 160, *, kind: int | None = None, marker: bool = False) -> None:
        """The party sends the next 20 ms."""
        self.seq += 1
        self.ts += 160
        kind = self.kind if kind is None else kind
        self.brings(rtp(kind, self.seq, self.ts, self.ssrc, payload, marker=marker))

    def presses(
        self, digit: str, *, packets: int = 5, ends: int = 3, kind: int | None = None, first: int = 0
    ) -> None:
        """The party presses a key, 20 ms a packet; its audio stops meanwhile.

        ``first`` packets of the key were sent before.
        """
        if kind is None:
            kind = next(n for n, name in self.formats if name.startswith("telephone-event"))
        ts = self.key_ts if first else self.ts + 160
        self.key_ts = ts
        for n in range(first, packets + ends - 1):
            length = min(n + 1, packets)
            self.scene.passes(0.02)
            self.seq += 1
            event = bytes((DIGITS.index(digit), 0x80 if n >= packets - 1 else 0)) + (160 * length).to_bytes(
                2, "big"
            )
            self.brings(rtp(kind, self.seq, ts, self.ssrc, event, marker=n == 0))
        self.ts = ts + 160 * packets

    def worker_says(self, payload: bytes = b"\xd5" * 160) -> None:
        self.worker_seq += 1
        self.worker_ts += 160
        self.worker_brings(rtp(self.kind, self.worker_seq, self.worker_ts, self.worker_ssrc, payload))

    def brings(self, data: bytes, source: Address | None = None) -> None:
        """A datagram comes to the outer port, as the kernel lets it through."""
        size = self.scene.load(data)
        source = source or self.at
        line = self.lines.outer
        if line.hears in (None, source) and (line.hears or self.leg.ways.believes_far(source, size)):
            self.leg.from_far(size, self.scene.now)

    def brings_report(self, data: bytes, source: Address | None = None) -> None:
        size = self.scene.load(data)
        source = source or self.control_at
        line = self.lines.control
        if line.hears in (None, source) and (line.hears or self.leg.ways.believes_control(source, size)):
            self.leg.report_from_far(size, self.scene.now)

    def worker_brings(self, data: bytes, source: Address | None = None) -> None:
        size = self.scene.load(data)
        source = source or self.worker_at
        line = self.lines.inner
        if line.hears in (None, source) and (line.hears or self.leg.ways.believes_worker(source, size)):
            self.leg.from_worker(size, self.scene.now)

    @property
    def heard(self) -> list[Rtp]:
        """What the party was sent."""
        return [parse(data) for address, data in self.scene.sent if address == self.at]

    @property
    def worker_heard(self) -> list[Rtp]:
        return [parse(data) for address, data in self.scene.sent if address == self.worker_at]

    @property
    def reports(self) -> list[bytes]:
        return [data for address, data in self.scene.sent if address == self.control_at]


class Scene:
    """The relay, its clock and everybody around it."""

    def __init__(self) -> None:
        self.sent: list[tuple[Address, bytes]] = []
        self.files = FakeFiles()
        self.packet = Packet()
        self.loader = FakeLoader()
        self.relay = Relay(self.files, self.packet, self.loader, Random(7))
        self.now = 1000.0
        self.parties = 0

    def party(self, name: str) -> Party:
        self.parties += 1
        return Party(self, name, self.parties)

    def two(self) -> tuple[Party, Party]:
        """Two legs that have agreed on PCMA."""
        return self.party("a").describe(), self.party("b").describe()

    def joined(self) -> tuple[Party, Party]:
        a, b = self.two()
        self.join(a, b)
        return a, b

    def join(self, a: Party, b: Party) -> None:
        self.order(JoinLegs(one=a.key, other=b.key))

    def part(self, a: Party, b: Party) -> None:
        self.order(PartLegs(one=a.key, other=b.key))

    def order(self, order: msgspec.Struct) -> Leg | None:
        edge = type(order).__name__ in ("DescribeLeg", "LegReplaced")
        return self.relay.obey(order, "edge" if edge else "controller", self.now)

    def load(self, data: bytes) -> int:
        size = min(len(data), len(self.packet.data))
        self.packet.data[:size] = data[:size]
        return size

    def passes(self, seconds: float) -> None:
        """Time goes on, tick by tick."""
        for _ in range(round(seconds / 0.005)):
            self.now += 0.005
            self.relay.tick(self.now)

    def told(self, kind: type[msgspec.Struct]) -> list[Any]:
        return [message for message in self.relay.to_controller if isinstance(message, kind)]


def is_contiguous(heard: list[Rtp]) -> bool:
    """One SSRC, numbers by one, time that goes on."""
    pairs = list(itertools.pairwise(heard))
    return (
        len({packet.ssrc for packet in heard}) <= 1
        and all(b.seq == (a.seq + 1) & 0xFFFF for a, b in pairs)
        and all((b.ts - a.ts) & 0xFFFFFFFF < 1 << 31 for a, b in pairs)
    )
