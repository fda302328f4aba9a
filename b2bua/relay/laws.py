"""Tables between the two laws of G.711 (ITU-T G.711): one byte of A-law for each of µ-law, and back."""

import functools
from bisect import bisect_left
from typing import Final

__all__ = ["A_TO_MU", "MU_TO_A", "SILENCE", "gain_table"]


def _mu_value(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _a_value(code: int) -> int:
    code ^= 0x55
    segment, step = code >> 4 & 7, (code & 0x0F) << 4
    magnitude = (step + 0x108) << (segment - 1) if segment else step + 8
    return magnitude if code & 0x80 else -magnitude


def _table(values: list[int], others: list[int]) -> bytes:
    """For each code the other law's with the nearest value; 0, which has two codes, keeps its sign."""
    return bytes(
        min(range(256), key=lambda other: (abs(others[other] - value), (other ^ code) & 0x80))
        for code, value in enumerate(values)
    )


_MU = [_mu_value(code) for code in range(256)]
_A = [_a_value(code) for code in range(256)]

MU_TO_A: Final = _table(_MU, _A)
A_TO_MU: Final = _table(_A, _MU)


@functools.cache
def gain_table(law: int, gain_db: int) -> bytes:
    """Return for each code the one whose value is nearest to ``gain_db`` more; full scale is the most.

    Args:
        law: 0 PCMU, 8 PCMA.
        gain_db: -20..10.
    """
    values = _A if law else _MU
    ordered = sorted((value, code) for code, value in enumerate(values))
    factor = 10 ** (gain_db / 20)
    table = bytearray()
    for value in values:
        at = bisect_left(ordered, (value * factor, 0))
        near = ordered[max(0, at - 1) : at + 1]
        table.append(min(near, key=lambda each: abs(each[0] - value * factor))[1])
    return bytes(table)


SILENCE: Final = {"PCMU": b"\xff", "PCMA": b"\xd5", "G722": b"\xfa"}
"""The byte that is silence when it is repeated."""
