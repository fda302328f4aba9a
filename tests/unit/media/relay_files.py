"""Raw files as the relay writes them, from parties whose clocks, networks and habits the test chooses."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from media.g711 import PCMU, ulaw_encode
from media.relay_file import HEADER, MAGIC, PARENT, RECORD, SYNC
from tests.peer import g711
from tests.unit.media.raw_files import Samples

BEGAN_AT = 5_000.25
"""CLOCK_MONOTONIC seconds of the recordings' start."""


@dataclass(frozen=True)
class Packet:
    """A packet as the relay has received it; ``at`` in seconds since the recording's start."""

    at: float
    ssrc: int
    timestamp: int
    sequence: int
    payload: bytes
    side: int = PARENT
    payload_type: int = PCMU

    def record(self) -> bytes:
        head = RECORD.pack(
            SYNC,
            self.side,
            self.payload_type,
            0,
            BEGAN_AT + self.at,
            self.ssrc & 0xFFFFFFFF,
            self.timestamp & 0xFFFFFFFF,
            self.sequence & 0xFFFF,
            len(self.payload),
        )
        return head + self.payload


@dataclass
class Party:
    """Sends sound: its clock, and where its RTP counts begin."""

    side: int = PARENT
    ssrc: int = 7
    timestamp: int = 160
    sequence: int = 1
    payload_type: int = PCMU
    ppm: float = 0.0
    """By how much its clock is too fast."""
    frame: int = 160
    sent: list[float] = field(default_factory=list)
    """When each packet was sent, in seconds since the recording's start."""

    def sends(self, sound: Samples, at: float) -> Iterator[Packet]:
        """Packets of ``sound``, which begins at ``at``; they arrive without delay."""
        frame_s = self.frame / 8000 / (1 + self.ppm * 1e-6)
        for number, first in enumerate(range(0, len(sound), self.frame)):
            self.sent.append(at + number * frame_s)
            yield Packet(
                self.sent[-1],
                self.ssrc,
                self.timestamp,
                self.sequence,
                encoded(sound[first : first + self.frame], self.payload_type),
                self.side,
                self.payload_type,
            )
            self.timestamp += self.frame
            self.sequence += 1


def encoded(sound: Samples, payload_type: int) -> bytes:
    return ulaw_encode(sound) if payload_type == PCMU else g711.encode("PCMA", sound)


def header() -> bytes:
    return HEADER.pack(MAGIC, BEGAN_AT)


def piece(packets: Iterable[Packet]) -> bytes:
    """What the relay appends: the records in the order of arrival."""
    return b"".join(packet.record() for packet in sorted(packets, key=lambda packet: packet.at))


def write_relay(path: Path, *pieces: Iterable[Packet]) -> Path:
    """Write a file in which each piece begins with MAGIC, as after a restart of the relay."""
    path.write_bytes(b"".join(header() + piece(packets) for packets in pieces))
    return path
