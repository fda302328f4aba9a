"""Answers to GET requests that a later request need not carry again (RFC 9110 §13.1).

Nothing is ever used without asking: a kept answer only lets the application say 304 instead of sending the
same body. Answers to POST are never kept.
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
    """A 200 with a validator."""

    content_type: str
    body: bytes
    validators: Validators

    @property
    def size(self) -> int:
        """Bytes, roughly; the rest is a constant for the objects themselves."""
        return len(self.body) + len(self.validators.etag) + len(self.content_type) + 512


class RevalidationCache:
    """The most recently used answers of a node, by the whole address asked for, parameters included.

    The address has to be whole: a validator speaks of one resource only, and another caller's parameters make
    another resource.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._kept: LRUCache[str, tuple[int, KeptAnswer]] = LRUCache(max_bytes, getsizeof=itemgetter(0))
        """With the bytes that each takes, its address included."""

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, url: str) -> KeptAnswer | None:
        """Return the answer last kept for ``url``."""
        entry = self._kept.get(url)
        return None if entry is None else entry[1]

    def put(self, url: str, answer: KeptAnswer) -> None:
        """Keep ``answer`` if it has a validator, and forget the least used beyond the limit."""
        self.forget(url)
        size = answer.size + len(url)
        if answer.validators.conditions and size <= self._kept.maxsize:
            self._kept[url] = (size, answer)

    def forget(self, url: str) -> None:
        """Drop what is kept for ``url``, if anything is."""
        self._kept.pop(url, None)
