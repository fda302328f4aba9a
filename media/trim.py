"""Where a recording's sound begins and ends: what ``trim-silence`` leaves of it.

The gate, which errs on the side of keeping:

- *Window*: 20 ms, each channel by itself; the louder one counts. Level is RMS in dBFS (a full-scale sine
  is 0).
- *Threshold*: 35 dB under the loudest window of the recording, but not above -50 dBFS and not below -62. The
  weak sounds of speech (f, th, the end of a word) are up to 30 dB under its vowels, so a quiet talker has a
  lower gate; what is under -62 dBFS nobody hears on a telephone, and silent A-law lines give -69, two of them
  mixed -63.
- *Opening*: a single window is enough. A click is kept; so is every first consonant.
- *Hang-over*: 300 ms before the first and after the last open window are kept too, so that neither a breath
  nor a slow onset under the gate is cut, and the recording does not begin and end abruptly.

Only the two ends are cut, never a pause between. A line whose noise is above the gate is not trimmed.
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
    """Return the frames to keep, ``(first, end)``, or None when nothing in it can be heard.

    Args:
        blocks: the recording, int16[n_frames, n_channels] in pieces of any length; read once. Some 100 KB are
            kept for each half hour.
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
    """Mean square of each window, of the louder channel; and how many frames there are."""
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
    """The mean square from which a window is open."""
    full = 32768.0**2 / 2  # of a sine at 0 dBFS
    level = 10 * math.log10(loudest / full) if loudest > 0 else -math.inf
    gate_dbfs = min(_HIGHEST_DBFS, max(_LOWEST_DBFS, level - _UNDER_LOUDEST_DB))
    return float(full * 10 ** (gate_dbfs / 10))
