"""Times in queries: ``StartTime``, ``StartTime<`` and ``StartTime>``, each a day or a time in UTC."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import Depends, Query

from b2bua.web.api.directory import TimeRange

__all__ = ["DAY", "Moments", "moments"]

_MONTH_AND_DAY: Final = (
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|[12][0-9]))"
)
_TIME: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
DAY: Final = rf"^[12][0-9]{{3}}-{_MONTH_AND_DAY}$"
MOMENT: Final = rf"^[12][0-9]{{3}}-{_MONTH_AND_DAY}(?:[T ]{_TIME}Z?)?$"


class Moments:
    """The query parameters of one time.

    Args:
        on: the ``Name`` parameter as received: a day or a time.
        until: the ``Name<`` parameter: up to and including this day or second.
        since: the ``Name>`` parameter: from this day or second on.
    """

    def __init__(self, on: str | None, until: str | None, since: str | None) -> None:
        self._on = on
        self._until = until
        self._since = since

    def range(self) -> TimeRange:
        """Combine the parameters into one range."""
        # The SDK can only express a day as its midnight.
        on = self._on and self._on.removesuffix("T00:00:00Z")
        starts = [_span(text)[0] for text in (on, self._since) if text]
        ends = [_span(text)[1] for text in (on, self._until) if text]
        return TimeRange(since=max(starts, default=None), before=min(ends, default=None))


def _span(text: str) -> tuple[datetime, datetime]:
    """Return the beginning and the end of the day or second that ``text`` names."""
    # The pattern knows the months but not leap years: an invalid February 29 becomes March 1.
    day, clock = text[:10], text[11:19] or "00:00:00"
    start = datetime.fromisoformat(f"{day[:8]}01T{clock}").replace(tzinfo=UTC)
    start += timedelta(days=int(day[8:]) - 1)
    return start, start + (timedelta(days=1) if len(text) == 10 else timedelta(seconds=1))


def moments(name: str, pattern: str = MOMENT) -> Any:
    """Return a dependency that reads the three parameters of a time; pattern: MOMENT or DAY."""

    async def read(
        on: str | None = Query(None, alias=name, pattern=pattern),
        until: str | None = Query(None, alias=f"{name}<", pattern=pattern),
        since: str | None = Query(None, alias=f"{name}>", pattern=pattern),
    ) -> Moments:
        return Moments(on, until, since)

    return Depends(read)
