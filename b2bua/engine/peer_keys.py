"""Determines which method a peer uses to send keys: RFC 4733, INFO, tones in the audio, or several.

A key counts once. Of several signalling methods the first one used counts; tones count only until the peer is
known to have a better method. No I/O and no clock.
"""

__all__ = ["PeerKeys"]

_SAME_KEY_S = 1.0
"""Maximum time from a key's tone to its signal."""


class PeerKeys:
    """Decides which of a peer's key presses count."""

    def __init__(self) -> None:
        self.has_telephone_event = False
        """Whether the last negotiation included telephone-event."""
        self._method: int | None = None
        self._last_tone: tuple[str, float] = ("", 0.0)

    @property
    def are_tones(self) -> bool:
        """Whether, as far as is known, the peer sends its keys only as tones in the audio."""
        return not self.has_telephone_event and self._method is None

    def tone_counts(self, digit: str, now: float) -> bool:
        """Whether a key detected in the audio counts; ``now`` in monotonic seconds."""
        if not self.are_tones:
            return False
        self._last_tone = (digit, now)
        return True

    def signal_counts(self, digit: str, method: int, now: float) -> bool:
        """Whether a signalled key counts; ``method`` is the library's, ``now`` in monotonic seconds."""
        if self._method is None:
            self._method = method
            heard, at = self._last_tone
            if heard == digit and now - at < _SAME_KEY_S:
                return False  # the peer sends both, and the tone came first
        return method == self._method
