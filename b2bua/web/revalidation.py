"""Answers to GET requests that a later request need not carry again (RFC 9110 §13.1).

Nothing is ever used without asking: a kept answer only lets the application say 304 instead of sending the
same body. Answers to POST are never kept.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

__all__ = ["KeptAnswer", "RevalidationCache"]

MAX_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """A 200 with a validator."""

    content_type: str
    body: bytes
    etag: str
    last_modified: str

    @property
    def conditions(self) -> dict[str, str]:
        """The request headers that ask whether the answer still holds."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in headers.items() if value}

    @property
    def size(self) -> int:
        """Bytes, roughly; the rest is a constant for the objects themselves."""
        return len(self.body) + len(self.etag) + len(self.content_type) + 512


class RevalidationCache:
    """The most recently used answers of a node, by the whole address asked for, parameters included.

    The address has to be whole: a validator speaks of one resource only, and another caller's parameters make
    another resource.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, KeptAnswer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, url: str) -> KeptAnswer | None:
        """Return the answer last kept for ``url``."""
        answer = self._kept.get(url)
        if answer is not None:
            self._kept.move_to_end(url)
        return answer

    def put(self, url: str, answer: KeptAnswer) -> None:
        """Keep ``answer`` if it has a validator, and forget the least used beyond the limit."""
        self.forget(url)
        if not answer.conditions or answer.size + len(url) > self._max_bytes:
            return
        self._kept[url] = answer
        self._bytes += answer.size + len(url)
        while self._bytes > self._max_bytes:
            self.forget(next(iter(self._kept)))

    def forget(self, url: str) -> None:
        """Drop what is kept for ``url``, if anything is."""
        answer = self._kept.pop(url, None)
        if answer is not None:
            self._bytes -= answer.size + len(url)
