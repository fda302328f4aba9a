"""In which of the ways that there are a peer sends its keys: RFC 4733, INFO, tones in the audio, or several.

A key counts once. A peer that uses more ways than one is heard in the one it has used first, and in its tones
only as long as it is not known to have a better way. No I/O and no clock.
"""

__all__ = ["PeerKeys"]

_SAME_KEY_S = 1.0
"""From a key's tone to its INFO, at most."""


class PeerKeys:
    """See the module's docstring."""

    def __init__(self) -> None:
        self.has_telephone_event = False
        """As was agreed on last."""
        self._method: int | None = None
        self._last_tone: tuple[str, float] = ("", 0.0)

    @property
    def are_tones(self) -> bool:
        """Its keys can be had from its audio only, as far as is known."""
        return not self.has_telephone_event and self._method is None

    def tone_counts(self, digit: str, now: float) -> bool:
        """A key was heard in the audio; ``now`` in monotonic seconds."""
        if not self.are_tones:
            return False
        self._last_tone = (digit, now)
        return True

    def signal_counts(self, digit: str, method: int, now: float) -> bool:
        """A key was signalled: by which of the library's methods, and when (monotonic seconds)."""
        if self._method is None:
            self._method = method
            heard, at = self._last_tone
            if heard == digit and now - at < _SAME_KEY_S:
                return False  # the peer does both, and the tone was quicker
        return method == self._method
