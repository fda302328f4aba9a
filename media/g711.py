"""G.711 (ITU-T G.711; PCMU and PCMA in RFC 3551) by table look-up on arrays."""

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["PCMA", "PCMU", "decode", "encode", "encoding_table", "ulaw_decode", "ulaw_encode"]

PCMU: Final = 0
"""Static payload type of µ-law."""
PCMA: Final = 8
"""Static payload type of A-law."""

_BIAS: Final = 132
_CLIP: Final = 32635


def _ulaw_table() -> npt.NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.uint8)
    magnitude = (((code & 0x0F).astype(np.int32) << 3) + _BIAS) << ((code >> 4) & 7)
    return np.where(code & 0x80, _BIAS - magnitude, magnitude - _BIAS).astype(np.int16)


def _alaw_table() -> npt.NDArray[np.int16]:
    code = np.arange(256) ^ 0x55  # every second bit is inverted on the line
    segment, step = (code >> 4) & 7, ((code & 0x0F) << 4) + 8
    magnitude = np.where(segment == 0, step, (step + 0x100) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _ulaw_encoding_table() -> npt.NDArray[np.uint8]:
    samples = np.arange(-32768, 32768)
    magnitude = np.minimum(np.abs(samples), _CLIP) + _BIAS
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    sign = np.where(samples < 0, 0x80, 0)
    codes: npt.NDArray[np.uint8] = (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)
    return codes


def _alaw_encoding_table() -> npt.NDArray[np.uint8]:
    """Of the two codes around 0, which is none of them, 0 becomes 0xD5, the usual silence."""
    values = _alaw_table()
    order = np.argsort(values)
    between = (values[order][:-1].astype(np.int32) + values[order][1:]) / 2
    codes: npt.NDArray[np.uint8] = order[
        np.searchsorted(between, np.arange(-32768, 32768), side="right")
    ].astype(np.uint8)
    return codes


_DECODED: Final = {PCMU: _ulaw_table(), PCMA: _alaw_table()}
_ENCODED: Final = {PCMU: _ulaw_encoding_table(), PCMA: _alaw_encoding_table()}


def decode(payload_type: int, codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
    """Decode codes of ``PCMU`` or ``PCMA``, in an array of any shape, to samples in the same shape."""
    return _DECODED[payload_type][codes]


def ulaw_decode(data: bytes) -> npt.NDArray[np.int16]:
    """Decode ``n`` bytes to int16[n]."""
    return decode(PCMU, np.frombuffer(data, np.uint8))


def ulaw_encode(samples: npt.NDArray[np.int16]) -> bytes:
    """Encode int16[n] to ``n`` bytes."""
    return encode(PCMU, samples)


def encode(payload_type: int, samples: npt.NDArray[np.int16]) -> bytes:
    """Encode int16[n] to ``n`` bytes of ``PCMU`` or ``PCMA``."""
    encoded: npt.NDArray[np.uint8] = _ENCODED[payload_type][samples.astype(np.int32) + 32768]
    return encoded.tobytes()


def encoding_table(payload_type: int) -> npt.NDArray[np.uint8]:
    """Return the code of each sample of ``PCMU`` or ``PCMA``: uint8[65536], by the sample + 32768."""
    return _ENCODED[payload_type]
