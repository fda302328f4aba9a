"""Keeps answers to GET requests for revalidation (RFC 9110 §13.1).

A kept answer is never used without a request: it only lets the application answer 304 instead of sending the
same body again. Answers to POST are never kept.
"""

from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from cachetools import LRUCache

from b2bua.web.validators import Validators

__all__ = ["KeptAnswer", "RevalidationCache"]

MAX_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """A 200 answer with a validator."""

    content_type: str
    body: bytes
    validators: Validators

    @property
    def size(self) -> int:
        """The approximate size in bytes, with a constant for the objects themselves."""
        return len(self.body) + len(self.validators.etag) + len(self.content_type) + 512


class RevalidationCache:
    """The most recently used answers of a node, by the full URL requested, parameters included.

    The full URL is needed because a validator applies to one resource only, and other parameters identify
    another resource.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._kept: LRUCache[str, tuple[int, KeptAnswer]] = LRUCache(max_bytes, getsizeof=itemgetter(0))
        """Answers by URL, each with its size in bytes, URL included."""

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, url: str) -> KeptAnswer | None:
        """Return the answer last kept for ``url``."""
        entry = self._kept.get(url)
        return None if entry is None else entry[1]

    def put(self, url: str, answer: KeptAnswer) -> None:
        """Keep ``answer`` if it has a validator; beyond the limit, evict the least recently used ones."""
        self.forget(url)
        size = answer.size + len(url)
        if answer.validators.conditions and size <= self._kept.maxsize:
            self._kept[url] = (size, answer)

    def forget(self, url: str) -> None:
        """Drop the answer kept for ``url``, if there is one."""
        self._kept.pop(url, None)
