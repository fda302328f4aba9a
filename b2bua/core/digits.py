"""Schedule for keys to send one by one, with pauses: ``sendDigits`` of a Number, ``digits`` of a Play.

Sources: TwiML ``sendDigits`` (``w`` 0.5 s, ``W`` 1 s); ITU-T Q.24 for how long a key must last to be
recognised.
"""

from collections.abc import Iterator

__all__ = ["KEY_S", "Keys"]

KEY_S = 0.25
"""Seconds from the start of one key to the next: 160 ms of event and a gap that every receiver recognises."""

_PAUSES_S = {"w": 0.5, "W": 1.0}


class Keys:
    """The keys that have not been sent yet.

    Args:
        digits: characters of ``0-9 A-D # * w W``.
        now: monotonic seconds; the first key is due at once, or after the pauses before it.
    """

    def __init__(self, digits: str, now: float) -> None:
        self._left = list(_schedule(digits, now))

    @property
    def due_at(self) -> float | None:
        """When the next key is due, or when the last key and the pauses after it are over; None: all done."""
        return self._left[0][0] if self._left else None

    def take(self, now: float) -> str:
        """Return the keys that are due, and remove them."""
        keys = ""
        while self._left and self._left[0][0] <= now:
            keys += self._left.pop(0)[1]
        return keys


def _schedule(digits: str, now: float) -> Iterator[tuple[float, str]]:
    at = now
    for digit in digits:
        if digit in _PAUSES_S:
            at += _PAUSES_S[digit]
        else:
            yield at, digit
            at += KEY_S
    yield at, ""
