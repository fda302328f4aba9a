"""The deadlines of state machines: the earliest, and how long whoever drives them waits for it."""

from typing import Final

__all__ = ["LEAST_PAUSE_S", "earliest", "pause_until"]

LEAST_PAUSE_S: Final = 0.002
"""A deadline that stays in the past, by an error of ours, must not keep the loop from everything else."""


def pause_until(deadline: float, now: float) -> float:
    """Return how long to wait before the machine's ``tick``, in seconds: at least ``LEAST_PAUSE_S``."""
    return max(LEAST_PAUSE_S, deadline - now)


def earliest(*deadlines: float | None) -> float | None:
    """Return the earliest of some deadlines; None: there is none. Every step of a call asks several times."""
    first: float | None = None
    for at in deadlines:
        if at is not None and (first is None or at < first):
            first = at
    return first
