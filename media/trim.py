"""Detection of where a recording's sound begins and ends, for ``trim-silence``.

The gate errs on the side of keeping sound:

- *Window*: 20 ms, for each channel by itself; the louder channel counts. The level is RMS in dBFS (a
  full-scale sine is 0).
- *Threshold*: 35 dB below the loudest window of the recording, but not above -50 dBFS and not below -62. The
  weak sounds of speech (f, th, the end of a word) are up to 30 dB below its vowels, so a quiet talker gets a
  lower gate. Sound below -62 dBFS is inaudible on a telephone; a silent A-law line has -69, two mixed ones
  -63.
- *Opening*: a single window is enough. A click is kept, and so is every first consonant.
- *Hang-over*: 300 ms before the first and after the last open window are kept too, so that neither a breath
  nor a slow onset below the gate is cut, and the recording does not begin or end abruptly.

Only the two ends are cut, never a pause in between. A line with noise above the gate is not trimmed.
"""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["HANG_OVER_S", "WINDOW_S", "sounding_part"]

WINDOW_S: Final = 0.020
HANG_OVER_S: Final = 0.300
_UNDER_LOUDEST_DB: Final = 35.0
_HIGHEST_DBFS: Final = -50.0
_LOWEST_DBFS: Final = -62.0


def sounding_part(blocks: Iterable[npt.NDArray[np.int16]], clock_rate_hz: int) -> tuple[int, int] | None:
    """Return the frames to keep, ``(first, end)``, or None if nothing is audible.

    Args:
        blocks: the recording, int16[n_frames, n_channels] in blocks of any length; read once. About 100 KB of
            memory are used for each half hour.
        clock_rate_hz: 8000 or 16000.
    """
    window = round(WINDOW_S * clock_rate_hz)
    powers, frames = _powers(blocks, window)
    if not frames:
        return None
    open_windows = np.flatnonzero(powers >= _gate(float(powers.max())))
    if not open_windows.size:
        return None
    hang_over = round(HANG_OVER_S * clock_rate_hz)
    first = int(open_windows[0]) * window - hang_over
    end = (int(open_windows[-1]) + 1) * window + hang_over
    return max(0, first), min(frames, end)


def _powers(blocks: Iterable[npt.NDArray[np.int16]], window: int) -> tuple[npt.NDArray[np.float32], int]:
    """Return the mean square of the louder channel in each window, and the number of frames."""
    found: list[npt.NDArray[np.float32]] = []
    rest: npt.NDArray[np.int16] | None = None
    frames = 0
    for block in blocks:
        frames += len(block)
        joined = block if rest is None else np.concatenate((rest, block))
        whole = len(joined) // window * window
        if whole:
            found.append(_mean_squares(joined[:whole], window))
        rest = joined[whole:].copy()
    if rest is not None and len(rest):
        found.append(_mean_squares(rest, len(rest)))
    return (np.concatenate(found) if found else np.zeros(0, np.float32)), frames


def _mean_squares(block: npt.NDArray[np.int16], window: int) -> npt.NDArray[np.float32]:
    windows = block.astype(np.float32).reshape(-1, window, block.shape[1])
    squares: npt.NDArray[np.float32] = np.einsum("wnc,wnc->wc", windows, windows).max(axis=1) / window
    return squares


def _gate(loudest: float) -> float:
    """Return the mean square at which a window opens the gate."""
    full = 32768.0**2 / 2  # of a sine at 0 dBFS
    level = 10 * math.log10(loudest / full) if loudest > 0 else -math.inf
    gate_dbfs = min(_HIGHEST_DBFS, max(_LOWEST_DBFS, level - _UNDER_LOUDEST_DB))
    return float(full * 10 ** (gate_dbfs / 10))
