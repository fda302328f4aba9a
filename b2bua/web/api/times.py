"""Times in queries: ``StartTime``, ``StartTime<`` and ``StartTime>``, each a day or a moment in UTC."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import Depends, Query

from b2bua.web.api.directory import TimeRange
from b2bua.web.api.errors import BadParameter

__all__ = ["Moments", "moments"]

_DAY: Final = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
MOMENT: Final = rf"^{_DAY}(?:[T ]{_TIME}Z?)?$"


class Moments:
    """What a request says about one time.

    Args:
        name: the parameter's.
        on: a day, or a moment; as it came.
        until: before it or, for a day, on it or before it.
        since: likewise.
    """

    def __init__(self, name: str, on: str | None, until: str | None, since: str | None) -> None:
        self._name = name
        self._on = on
        self._until = until
        self._since = since

    def range(self) -> TimeRange:
        """The same as one range.

        Raises:
            BadParameter: 20001, there is no such day.
        """
        starts = [self._span(text)[0] for text in (self._on, self._since) if text]
        ends = [self._span(text)[1] for text in (self._on, self._until) if text]
        return TimeRange(since=max(starts, default=None), before=min(ends, default=None))

    def _span(self, text: str) -> tuple[datetime, datetime]:
        """When what ``text`` names begins, and when it is over."""
        try:
            start = datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
            return start, start + (timedelta(days=1) if len(text) == 10 else timedelta(seconds=1))
        except (ValueError, OverflowError):
            raise BadParameter(self._name, f"there is no {text!r}") from None


def moments(name: str) -> Any:
    """A dependency that reads the three parameters of a time."""

    def read(
        on: str | None = Query(None, alias=name, pattern=MOMENT),
        until: str | None = Query(None, alias=f"{name}<", pattern=MOMENT),
        since: str | None = Query(None, alias=f"{name}>", pattern=MOMENT),
    ) -> Moments:
        return Moments(name, on, until, since)

    reader: Callable[..., Moments] = read
    return Depends(reader)
