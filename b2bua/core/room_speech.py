"""When a member of a room speaks: short sounds start no speech, and short pauses do not end it.

Its input is a voice detector's; it decides only by time.
"""

from typing import Final

__all__ = ["SPEECH_AFTER_S", "STOP_AFTER_S", "Speech"]

SPEECH_AFTER_S: Final = 0.3
"""Seconds of voice after which a member counts as speaking."""

STOP_AFTER_S: Final = 1.5
"""Seconds without voice after which it no longer does."""


class Speech:
    """Whether one member speaks."""

    def __init__(self) -> None:
        self.speaking = False
        self._voice = False
        self._since = 0.0

    def hear(self, voice: bool, now: float) -> None:
        """Take a change of the detector; it repeats nothing that it said before."""
        if voice != self._voice:
            self._voice, self._since = voice, now

    @property
    def deadline(self) -> float | None:
        """When ``speaking`` changes unless the voice does; None: never."""
        if self._voice == self.speaking:
            return None
        return self._since + (SPEECH_AFTER_S if self._voice else STOP_AFTER_S)

    def tick(self, now: float) -> bool:
        """Return whether ``speaking`` has changed."""
        if self.deadline is None or now < self.deadline:
            return False
        self.speaking = self._voice
        return True

    def silence(self) -> bool:
        """Forget everything, because nobody hears the member; return whether it was speaking."""
        spoke, self.speaking, self._voice = self.speaking, False, False
        return spoke
