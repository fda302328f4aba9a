"""Token buckets: so many events a second for each source, with a burst of as many.

Sans-I/O. Sources are bounded, so that addresses made up by a sender cost no memory.
"""

from typing import Final

from cachetools import LRUCache

__all__ = ["MAX_SOURCES", "TokenBuckets"]

MAX_SOURCES: Final = 10_000


class TokenBuckets:
    """A bucket a source. ``now`` is in seconds and never goes back.

    Args:
        rate_per_s: and depth; a rate below one still has a depth of one.
        max_sources: remembered; the one not seen for longest is forgotten.
    """

    def __init__(self, rate_per_s: float, max_sources: int = MAX_SOURCES) -> None:
        self.rate_per_s = rate_per_s
        self._sources: LRUCache[str, tuple[float, float, bool]] = LRUCache(max_sources)

    def take(self, source: str, now: float) -> bool | None:
        """True: go on. False: too many. None: too many, and it has been told already."""
        burst = max(1.0, self.rate_per_s)
        tokens, at, told = self._sources.get(source, (burst, now, False))
        tokens = min(burst, tokens + (now - at) * self.rate_per_s)
        passed = tokens >= 1.0
        self._sources[source] = (tokens - 1.0 if passed else tokens, now, not passed)
        if passed:
            return True
        return None if told else False
