"""RTCP that passes us (RFC 3550 §6): its SSRCs become those that the receiver knows.

Both sides of a report are translated: the sender's SSRC, and those that its blocks report on. Sources'
descriptions (SDES) are replaced by one of our own, because they name people and machines of the other side;
an end (BYE) of a source is not passed on, because our stream goes on. Every length is checked; a compound
packet with one wrong length is dropped as a whole.
"""

import struct
from dataclasses import dataclass
from typing import Final

__all__ = ["Translation", "translate"]

_SR: Final = 200
_RR: Final = 201
_SDES: Final = 202
_BYE: Final = 203
_FEEDBACK: Final = (205, 206)
"""RFC 4585 §6.1: the SSRC of the medium follows that of the sender."""
_BLOCK: Final = 24
_SENDER: Final = 24
"""Bytes of a sender report between its header and its blocks, with the SSRC."""
_WORD: Final = struct.Struct(">I")
_CNAME: Final = 1
_MOST: Final = 1500


@dataclass(slots=True)
class Translation:
    """What changes on the way from a reporter to a receiver.

    A reporter's own stream reaches the receiver as ``ours`` (if it has a ``name``); what the reporter hears
    is ``heard``, which the receiver sends as ``heard_from``.
    """

    ours: int = 0
    ts_shift: int = 0
    """To be added to the timestamps of its sender reports."""
    heard: int | None = None
    """SSRC of our stream that it reports on; None: reports on any pass as they are."""
    heard_from: int | None = None
    """SSRC by which the receiver knows that stream; None: nobody is speaking, and no block passes."""
    seq_shift: int = 0
    """To be taken from the sequence numbers of its blocks."""
    name: bytes | None = None
    """CNAME of our stream; None: ends and descriptions pass as they are."""

    def sender(self, ssrc: int) -> int:
        """Return the SSRC that the receiver knows the reporter by."""
        return self.ours if self.name is not None else ssrc

    def subject(self, ssrc: int) -> int | None:
        """Return the SSRC that the receiver knows the subject of a block by."""
        return self.heard_from if ssrc == self.heard else ssrc


def translate(data: bytes, way: Translation) -> bytes | None:
    """Return the compound packet ``data`` for its receiver; None: it is malformed, or nothing is left."""
    packets = _split(data)
    if not packets:
        return None
    out = bytearray()
    described = False
    for packet in packets:
        kind = packet[1]
        if kind in (_SR, _RR):
            if not _report(packet, way):
                return None
        elif kind == _SDES:
            if not _is_description(packet):
                return None
            if way.name is not None:
                packet = bytearray() if described else _description(way.ours, way.name)
                described = True
        elif kind == _BYE:
            if len(packet) < 4 + 4 * (packet[0] & 0x1F):
                return None
            if way.name is not None:
                continue
        elif len(packet) >= 8:
            _put(packet, 4, way.sender(_get(packet, 4)))
            if kind in _FEEDBACK and len(packet) >= 12:
                subject = way.subject(_get(packet, 8))
                if subject is None:
                    continue
                _put(packet, 8, subject)
        out += packet
    return bytes(out) if out and len(out) <= _MOST else None


def _split(data: bytes) -> list[bytearray] | None:
    packets: list[bytearray] = []
    at = 0
    while at < len(data):
        if at + 4 > len(data) or data[at] & 0xC0 != 0x80:
            return None
        end = at + 4 + 4 * int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data):
            return None
        packet = bytearray(data[at:end])
        if packet[0] & 0x20:  # padding, of the last packet only: left out, so that others may follow it
            if end != len(data) or not 4 <= packet[-1] <= len(packet) - 4 or packet[-1] % 4:
                return None
            del packet[-packet[-1] :]
            packet[0] &= ~0x20
            packet[2:4] = (len(packet) // 4 - 1).to_bytes(2, "big")
        packets.append(packet)
        at = end
    return packets


def _report(packet: bytearray, way: Translation) -> bool:
    """Translate a sender's or receiver's report in place; False: its lengths are wrong."""
    count = packet[0] & 0x1F
    blocks = 4 + (_SENDER if packet[1] == _SR else 4)
    end = blocks + _BLOCK * count
    if len(packet) < end:
        return False
    _put(packet, 4, way.sender(_get(packet, 4)))
    if packet[1] == _SR:
        _put(packet, 16, (_get(packet, 16) + way.ts_shift) & 0xFFFFFFFF)
    kept = bytearray()
    for at in range(blocks, end, _BLOCK):
        block = packet[at : at + _BLOCK]
        about = _get(block, 0)
        subject = way.subject(about)
        if subject is None:
            continue
        if about == way.heard:
            # Extended highest sequence number: the cycles are ours, and mean nothing to the sender.
            _put(block, 8, (_get(block, 8) & 0xFFFF0000) | ((_get(block, 8) - way.seq_shift) & 0xFFFF))
        _put(block, 0, subject)
        kept += block
    packet[blocks:end] = kept
    packet[0] = packet[0] & 0xE0 | len(kept) // _BLOCK
    packet[2:4] = (len(packet) // 4 - 1).to_bytes(2, "big")
    return True


def _is_description(packet: bytearray) -> bool:
    """Whether the chunks and items of an SDES packet lie within it (RFC 3550 §6.5)."""
    at = 4
    for _ in range(packet[0] & 0x1F):
        at += 4
        while True:
            if at >= len(packet):
                return False
            if packet[at] == 0:
                at += 4 - at % 4  # the end of a chunk's items is padded to the next word
                break
            if at + 2 > len(packet):
                return False
            at += 2 + packet[at + 1]
    return at <= len(packet)


def _description(ssrc: int, name: bytes) -> bytearray:
    items = bytes((_CNAME, len(name))) + name + b"\0"
    items += bytes(-len(items) % 4)
    return bytearray(b"\x81\xca" + (1 + len(items) // 4).to_bytes(2, "big") + _WORD.pack(ssrc) + items)


def _get(data: bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _put(data: bytearray, at: int, value: int) -> None:
    _WORD.pack_into(data, at, value)
