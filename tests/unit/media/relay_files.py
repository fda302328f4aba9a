"""Raw files as the relay writes them, from parties whose clocks, networks and habits the test chooses."""

import struct
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from media.g711 import PCMU, ulaw_encode
from media.relay_file import HEADER, MAGIC, PARENT, RECORD, SYNC
from media.relay_packets import packets
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
        header = struct.pack(
            ">BBHII",
            0x80,
            self.payload_type,
            self.sequence & 0xFFFF,
            self.timestamp & 0xFFFFFFFF,
            self.ssrc & 0xFFFFFFFF,
        )
        size = len(header) + len(self.payload)
        return RECORD.pack(SYNC, self.side, size, BEGAN_AT + self.at, header) + self.payload


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


def read_records(content: bytes) -> list[Packet]:
    """The audio in what a relay has appended to a file that began at 0 s."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(HEADER.pack(MAGIC, 0.0) + content)
        file.flush()
        found = [packet for part in packets(Path(file.name), 1 << 30) for packet in part]
    skipped = HEADER.size
    return [
        Packet(
            float(packet["at"]),
            int(packet["ssrc"]),
            int(packet["timestamp"]),
            int(packet["sequence"]),
            content[(at := int(packet["payload_at"]) - skipped) : at + int(packet["length"])],
            int(packet["side"]),
            int(packet["payload_type"]),
        )
        for packet in found
    ]
