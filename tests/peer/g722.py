"""G.722 at 64 kbit/s; of its two bands a phone here uses the lower one, int16 at 8 kHz."""

from __future__ import annotations

import numpy as np
from G722 import G722  # type: ignore[import-not-found, import-untyped, unused-ignore]

from .g711 import Samples

NAME = "G722"


class Codec:
    """The encoder of what is sent, or the decoder of what is received; either has a state."""

    def __init__(self) -> None:
        self._state = G722(8000, 64_000)

    def encode(self, samples: Samples) -> bytes:
        return bytes(self._state.encode(samples.tolist()))

    def decode(self, payload: bytes) -> Samples:
        return np.asarray(self._state.decode(payload), np.int16)
