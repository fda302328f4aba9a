"""A picture of a recording: its channels over time, with events marked.

matplotlib draws it; a node does not need that library, and without it there is no picture.
"""

import importlib.util
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["draw_recording"]

_COLUMNS = 1600
"""Columns of the envelope; more than the picture has pixels."""
_COLOURS = ("#1f6f8b", "#b5532c")


def draw_recording(
    samples: npt.NDArray[np.int16],
    clock_rate_hz: int,
    marks: Sequence[tuple[float, str]],
    target: Path,
    names: Sequence[str] = ("parent", "child"),
) -> bool:
    """Write a PNG.

    Args:
        samples: int16[n_frames, n_channels], the parent first.
        clock_rate_hz: sample rate.
        marks: seconds since the beginning, and the name of the event.
        target: ``….png``.
        names: of the channels.

    Returns: False if matplotlib is not installed (the extra ``tools``).
    """
    if importlib.util.find_spec("matplotlib") is None:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 0.9 + 1.8 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    plots = figure.subplots(len(names), 1, sharex=True, sharey=True)
    for plot, name, channel, colour in zip(plots, names, samples.T, cycle(_COLOURS), strict=False):
        at, low, high = _envelope(channel, clock_rate_hz)
        plot.fill_between(at, low, high, color=colour, linewidth=0.4)
        plot.set_ylabel(name)
        plot.set_ylim(-1, 1)
        plot.grid(alpha=0.25)
        for moment, _ in marks:
            plot.axvline(moment, color="black", linestyle="--", linewidth=0.8)
    for moment, what in marks:
        plots[0].annotate(
            what, (moment, 1), xytext=(3, 3), textcoords="offset points", annotation_clip=False, fontsize=9
        )
    plots[-1].set_xlabel("seconds")
    figure.savefig(target, dpi=120)
    return True


def _envelope(
    channel: npt.NDArray[np.int16], clock_rate_hz: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the time, the lowest and the highest sample (-1..1) of each column of the envelope."""
    width = max(1, -(-len(channel) // _COLUMNS))
    columns = np.pad(channel, (0, -len(channel) % width)).reshape(-1, width) / 32768
    return np.arange(len(columns)) * width / clock_rate_hz, columns.min(axis=1), columns.max(axis=1)
