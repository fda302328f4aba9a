"""G.711 as tables: ITU-T G.711 µ-law and A-law to and from int16 at 8 kHz."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


def _ulaw_table() -> Samples:
    code = ~np.arange(256) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code >> 4) & 7)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_table() -> Samples:
    code = np.arange(256) ^ 0x55
    segment, step = (code >> 4) & 7, (code & 0x0F) << 4
    magnitude = np.where(segment == 0, step + 8, (step + 0x108) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _inverse(decode: Samples) -> NDArray[np.uint8]:
    """For every int16 the code with the nearest value, indexed by the sample as uint16."""
    order = np.argsort(decode, kind="stable")
    values = decode[order].astype(np.int32)
    edges = (values[:-1] + values[1:]) / 2
    nearest = order[np.searchsorted(edges, np.arange(-32768, 32768), side="right")]
    return np.roll(nearest, 32768).astype(np.uint8)


DECODE = {"PCMU": _ulaw_table(), "PCMA": _alaw_table()}
_ENCODE = {name: _inverse(table) for name, table in DECODE.items()}


def decode(codec: str, payload: bytes) -> Samples:
    """Payload of "PCMU" or "PCMA" as int16."""
    return DECODE[codec][np.frombuffer(payload, np.uint8)]


def encode(codec: str, samples: Samples) -> bytes:
    """int16 as a payload of "PCMU" or "PCMA"."""
    return _ENCODE[codec][samples.astype(np.int16).view(np.uint16)].tobytes()
