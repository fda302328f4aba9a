"""How long whoever drives a state machine waits for its next deadline."""

from typing import Final

__all__ = ["LEAST_PAUSE_S", "pause_until"]

LEAST_PAUSE_S: Final = 0.002
"""A deadline that stays in the past, by an error of ours, must not keep the loop from everything else."""


def pause_until(deadline: float, now: float) -> float:
    """Return how long to wait before the machine's ``tick``, in seconds: at least ``LEAST_PAUSE_S``."""
    return max(LEAST_PAUSE_S, deadline - now)
