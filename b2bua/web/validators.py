"""Caching headers of an answer: validators and freshness (RFC 9110 §8.8, RFC 9111 §5.2)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["Validators"]

_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age=\"?([0-9]{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """The validators and the freshness of an answer."""

    etag: str = ""
    last_modified: str = ""
    """Empty if the header is missing, like ``etag``."""
    may_store: bool = True
    max_age_s: int = 0
    """Seconds for which the answer need not be requested again."""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Validators":
        """Read the headers of an answer."""
        caching = headers.get("Cache-Control", "").lower()
        max_age = _MAX_AGE.search(caching)
        return cls(
            etag=headers.get("ETag", ""),
            last_modified=headers.get("Last-Modified", ""),
            may_store="no-store" not in caching,
            max_age_s=int(max_age[1]) if max_age and "no-cache" not in caching else 0,
        )

    @property
    def conditions(self) -> dict[str, str]:
        """The request headers that ask whether the answer is still valid (RFC 9110 §13.1)."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in headers.items() if value}
