"""The sound of keys."""

import numpy as np
import numpy.typing as npt

ROWS_HZ = (697, 770, 852, 941)
COLUMNS_HZ = (1209, 1336, 1477, 1633)
LAYOUT = ("123A", "456B", "789C", "*0#D")
KEYS = "".join(LAYOUT)

Samples = npt.NDArray[np.int16]


def key_sound(
    key: str,
    length_ms: float,
    *,
    level_dbfs: float = -12.0,
    column_db: float = 0.0,
    detune: float = 1.0,
    rate: int = 8000,
) -> Samples:
    """One key.

    Args:
        key: one of KEYS.
        length_ms: of it.
        level_dbfs: of the tone of its row.
        column_db: of the other one over that.
        detune: factor for both frequencies.
        rate: clock rate.
    """
    row = next(i for i, keys in enumerate(LAYOUT) if key in keys)
    column = LAYOUT[row].index(key)
    at = np.arange(round(length_ms * rate / 1000)) / rate
    low = np.sin(2 * np.pi * ROWS_HZ[row] * detune * at)
    high = np.sin(2 * np.pi * COLUMNS_HZ[column] * detune * at) * 10 ** (column_db / 20)
    return np.clip(10 ** (level_dbfs / 20) * 32767 * (low + high), -32768, 32767).astype(np.int16)


def pause(length_ms: float, rate: int = 8000) -> Samples:
    """Silence."""
    return np.zeros(round(length_ms * rate / 1000), np.int16)
