"""When the worker's loop has to do its regular upkeep. No I/O.

A wake-up costs about 150 µs, so there is a pace for each state of a session: often while something can only
be seen by looking, hardly ever while nothing happens. Whatever happens brings the next upkeep forward.
"""

from typing import Literal

__all__ = ["Pace", "Upkeep"]

Pace = Literal["early", "often", "seldom", "resting"]
"""``early``: early media may begin. ``often``: levels or connections have to be looked at. ``seldom``: only
calls whose end was never reported can be found. ``resting``: not even that."""

_PAUSE_S: dict[Pace, float] = {"early": 0.04, "often": 0.1, "seldom": 1.0, "resting": 30.0}
_AFTER_STIR_S = 0.1
_CALM_AFTER_S = 1.0


class Upkeep:
    """The next upkeep. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._next = 0.0
        self._stirred_at = 0.0

    def stir(self, now: float) -> None:
        """Note that the library or the controller had something to do."""
        self._stirred_at = now
        self._next = min(self._next, now + _AFTER_STIR_S)

    def calm(self, now: float) -> bool:
        """Return whether nothing has happened for a while."""
        return now - self._stirred_at > _CALM_AFTER_S

    def is_due(self, now: float) -> bool:
        """Return whether to do the upkeep now."""
        return now >= self._next

    def done(self, pace: Pace, now: float) -> None:
        """Note that it was done; ``pace`` says when it is due again."""
        self._next = now + _PAUSE_S[pace]

    def pause_s(self, now: float) -> float:
        """Return the seconds until it is due."""
        return max(0.0, self._next - now)
