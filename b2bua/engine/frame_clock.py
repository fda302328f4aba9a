"""When the worker's bridge has to process a frame: every 20 ms, as long as somebody hears it. No I/O.

The clock rests while the relay carries the audio of all legs (docs/adr/0009).
"""

__all__ = ["FRAME_S", "FrameClock"]

FRAME_S = 0.02
_LATE_FRAMES = 10
"""A longer delay is not made up for: the process was stopped, not busy."""
_REST_AFTER_S = 0.06
"""A leg that is joined with another hears us until the other's first packet, at most for so long."""


class FrameClock:
    """The bridge's clock. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.runs = False
        self.next_frame = 0.0
        """When the next frame is due, while the clock runs."""
        self._stops_at: float | None = None
        """When ``set`` is due because the clock may stop."""
        self._rest_at: float | None = None
        """When the clock may stop although there are media; None: it may not."""

    @property
    def may_rest(self) -> bool:
        """Whether media do not need the clock."""
        return self._rest_at is not None

    def rest(self, now: float) -> None:
        """Let the clock stop a moment later although there are media."""
        self._rest_at = now + _REST_AFTER_S

    def stay(self) -> None:
        """Let the clock run as long as there are media."""
        self._rest_at = None

    def media_changed(self, now: float) -> None:
        """Let the clock run for a moment: the bridge carries out changes in its next frame."""
        if self._rest_at is not None:
            self._rest_at = now + _REST_AFTER_S
            self._stops_at = None

    def set(self, *, has_media: bool, has_work: bool, now: float) -> None:
        """Start or stop the clock.

        Args:
            has_media: legs have media.
            has_work: something needs frames, whether the clock may rest or not.
            now: the present time.
        """
        wanted = has_work or (has_media and (self._rest_at is None or now < self._rest_at))
        if wanted and not self.runs:
            # Align frames to the time grid that all workers share.
            self.next_frame = (now // FRAME_S + 1) * FRAME_S
        self.runs = wanted
        self._stops_at = None if has_work or not wanted else self._rest_at

    def may_stop(self, now: float) -> bool:
        """Return whether the clock runs only because ``set`` was not called since."""
        return self._stops_at is not None and now >= self._stops_at

    def take(self, now: float) -> bool:
        """Return whether a frame is due, which counts as processed then."""
        if not self.runs or self.next_frame > now:
            return False
        if now - self.next_frame > _LATE_FRAMES * FRAME_S:
            self.next_frame = now
        self.next_frame += FRAME_S
        return True
