"""Keeps the results of pure functions of text that the messages of a call repeat.

Thirteen messages of a call carry the same few URIs, Vias and addresses, and each is read several times.
Memory is bounded: longer texts, which only a hostile or strange peer sends, are computed anew each time.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Final, TypeVar

__all__ = ["kept"]

MOST: Final = 2048
LONGEST: Final = 512
"""Characters."""

Result = TypeVar("Result")


def kept(function: Callable[[str], Result]) -> Callable[[str], Result]:
    """Return ``function`` with its latest results kept; they must be immutable. Exceptions are not kept."""
    again = lru_cache(MOST)(function)

    @wraps(function)
    def remembered(text: str) -> Result:
        return again(text) if len(text) <= LONGEST else function(text)

    return remembered
