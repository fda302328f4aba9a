"""Times in queries: ``StartTime``, ``StartTime<`` and ``StartTime>``, each a day or a moment in UTC."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import Depends, Query

from b2bua.web.api.directory import TimeRange

__all__ = ["Moments", "moments"]

_MONTH_AND_DAY: Final = (
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|[12][0-9]))"
)
_TIME: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
MOMENT: Final = rf"^[12][0-9]{{3}}-{_MONTH_AND_DAY}(?:[T ]{_TIME}Z?)?$"


class Moments:
    """What a request says about one time.

    Args:
        on: a day, or a moment; as it came.
        until: before it or, for a day, on it or before it.
        since: likewise.
    """

    def __init__(self, on: str | None, until: str | None, since: str | None) -> None:
        self._on = on
        self._until = until
        self._since = since

    def range(self) -> TimeRange:
        """The same as one range."""
        # The SDK has no other way to say a day than its midnight.
        on = self._on and self._on.removesuffix("T00:00:00Z")
        starts = [_span(text)[0] for text in (on, self._since) if text]
        ends = [_span(text)[1] for text in (on, self._until) if text]
        return TimeRange(since=max(starts, default=None), before=min(ends, default=None))


def _span(text: str) -> tuple[datetime, datetime]:
    """When what ``text`` names begins, and when it is over."""
    # The pattern knows the months but no leap years: a 29th too many is the 1st of March.
    day, clock = text[:10], text[11:19] or "00:00:00"
    start = datetime.fromisoformat(f"{day[:8]}01T{clock}").replace(tzinfo=UTC)
    start += timedelta(days=int(day[8:]) - 1)
    return start, start + (timedelta(days=1) if len(text) == 10 else timedelta(seconds=1))


def moments(name: str) -> Any:
    """A dependency that reads the three parameters of a time."""

    async def read(
        on: str | None = Query(None, alias=name, pattern=MOMENT),
        until: str | None = Query(None, alias=f"{name}<", pattern=MOMENT),
        since: str | None = Query(None, alias=f"{name}>", pattern=MOMENT),
    ) -> Moments:
        return Moments(on, until, since)

    return Depends(read)
