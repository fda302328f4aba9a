"""Keys by their tones in the audio, for legs that have no better way to send them.

What counts as a key follows ITU-T Q.24: two tones, one of each group, of about the same level, and hardly
anything besides; 40 ms of it, of which up to 10 ms may be missing. Human voices have tones of both groups now
and then, but not alone for two blocks of 13 ms in a row.

In plain Python, since it is for the worker, which has no numpy: 6 ms of processor time for a second of sound
that is not silent, 1 ms for silence.
"""

import math
from collections.abc import Sequence
from typing import Final

__all__ = ["KeyDetector"]

_ROWS_HZ: Final = (697, 770, 852, 941)
_COLUMNS_HZ: Final = (1209, 1336, 1477, 1633)
_KEYS: Final = ("123A", "456B", "789C", "*0#D")
_BLOCK_S: Final = 0.01275
"""102 samples at 8 kHz: neighbours of a group are a bin apart, and 40 ms hold two whole blocks anyhow."""
_LEAST_DBFS: Final = -36.0
"""Of each tone, a full-scale sine being 0: Q.24 has telephones down to -25 dBm."""
_TWIST_DB: Final = 9.0
"""Between the two tones, either way."""
_LEAD_DB: Final = 5.0
"""Of a tone over the others of its group."""
_SHARE: Final = 0.65
"""Of all power, for the two tones together; a frequency that is off by 1.5 % loses some."""
_BLOCKS: Final = 2
"""In a row that begin a key, or end it."""


class KeyDetector:
    """Hears one leg.

    Args:
        clock_rate_hz: of its samples.
    """

    def __init__(self, clock_rate_hz: int) -> None:
        self._size = round(clock_rate_hz * _BLOCK_S)
        self._factors = [2 * math.cos(2 * math.pi * hz / clock_rate_hz) for hz in _ROWS_HZ + _COLUMNS_HZ]
        # The power of a sine in a block: |X|² is (amplitude * size / 2)².
        self._least = (32768 * 10 ** (_LEAST_DBFS / 20) * self._size / 2) ** 2
        # Both tones at the least level: their energy over a block.
        self._least_energy = (32768 * 10 ** (_LEAST_DBFS / 20)) ** 2 / 2 * self._size * 2
        self._rest: list[int] = []
        self._last = ""
        self._repeated = 0
        self._down = ""

    def feed(self, samples: Sequence[int]) -> str:
        """Take what was heard next.

        Args:
            samples: of 16 bit, as many as there are.

        Returns:
            The keys that have begun in it: hardly ever more than one.
        """
        self._rest.extend(samples)
        keys, start = "", 0
        while start + self._size <= len(self._rest):
            keys += self._block(self._rest[start : start + self._size])
            start += self._size
        del self._rest[:start]
        return keys

    def _block(self, block: Sequence[int]) -> str:
        """The key that begins with this block, mostly none."""
        key = self._key_of(block)
        self._repeated = self._repeated + 1 if key == self._last else 1
        self._last = key
        if self._repeated < _BLOCKS or key == self._down:
            return ""
        self._down = key
        return key

    def _key_of(self, block: Sequence[int]) -> str:
        energy = sum([x * x for x in block])
        if energy < self._least_energy:
            return ""
        powers = [_power(block, factor) for factor in self._factors]
        rows, columns = powers[:4], powers[4:]
        row, column = max(rows), max(columns)
        if min(row, column) < self._least or not 10 ** (-_TWIST_DB / 10) <= row / column <= 10 ** (
            _TWIST_DB / 10
        ):
            return ""
        if not (_leads(row, rows) and _leads(column, columns)):
            return ""
        if (row + column) * 2 / self._size < _SHARE * energy:
            return ""
        return _KEYS[rows.index(row)][columns.index(column)]


def _leads(best: float, group: list[float]) -> bool:
    return sorted(group)[-2] * 10 ** (_LEAD_DB / 10) < best


def _power(block: Sequence[int], factor: float) -> float:
    """|X|² of one frequency (Goertzel)."""
    before = now = 0.0
    for x in block:
        before, now = now, x + factor * now - before
    return before * before + now * now - factor * before * now
