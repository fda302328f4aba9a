"""What an answer says of its being kept: validators and freshness (RFC 9110 §8.8, RFC 9111 §5.2)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["Validators"]

_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age=\"?([0-9]{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """See the module's docstring."""

    etag: str = ""
    last_modified: str = ""
    """Empty where there is none, as the other."""
    may_store: bool = True
    max_age_s: int = 0
    """For so long it need not be asked for again."""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Validators":
        """What the headers of an answer say."""
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
        """The request headers that ask whether the answer still holds (RFC 9110 §13.1)."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in headers.items() if value}
