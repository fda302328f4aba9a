"""Token buckets: limit the events per second of each source, with a burst of one second's events.

Sans-I/O. The number of sources is bounded, so that forged addresses cannot exhaust memory.
"""

from typing import Final

from cachetools import LRUCache

__all__ = ["MAX_SOURCES", "TokenBuckets"]

MAX_SOURCES: Final = 10_000


class TokenBuckets:
    """One bucket per source. ``now`` is in seconds and never goes back.

    Args:
        rate_per_s: rate, and depth of the bucket; the depth is at least one.
        max_sources: number of sources remembered; the least recently seen one is forgotten.
    """

    def __init__(self, rate_per_s: float, max_sources: int = MAX_SOURCES) -> None:
        self.rate_per_s = rate_per_s
        self._sources: LRUCache[str, tuple[float, float, bool]] = LRUCache(max_sources)

    def take(self, source: str, now: float) -> bool | None:
        """Take a token. True: allowed. False: too many. None: too many again, already answered by False."""
        burst = max(1.0, self.rate_per_s)
        tokens, at, refused_before = self._sources.get(source, (burst, now, False))
        tokens = min(burst, tokens + (now - at) * self.rate_per_s)
        passed = tokens >= 1.0
        self._sources[source] = (tokens - 1.0 if passed else tokens, now, not passed)
        if passed:
            return True
        return None if refused_before else False
