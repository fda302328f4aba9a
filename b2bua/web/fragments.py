"""Connection overrides in the fragment of a webhook's URL: ``#ct=2000&rc=3&rp=5xx,ct``.

The fragment is for b2bua and is never sent. A part that cannot be used is ignored with a finding, never an
error: a fragment may be meant for another program.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal
from urllib.parse import unquote

__all__ = ["RETRY_CLASSES", "Overrides", "RetryClass", "parse_fragment"]

RetryClass = Literal["4xx", "5xx", "ct", "rt", "all"]
"""Why a request failed, for deciding on a retry. ``4xx``, ``5xx``: an HTTP status. ``ct``: no connection, or
one that ended before any answer. ``rt``: no (complete) answer in time. ``all``: any of them."""

RETRY_CLASSES: Final[frozenset[RetryClass]] = frozenset(("4xx", "5xx", "ct", "rt", "all"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """Time limits and retries of a request."""

    connect_s: float = 5.0
    """``ct``, 0.1..10 s: from the result of name resolution to a connection, TLS included."""
    read_s: float = 15.0
    """``rt``, 0.1..15 s: for the first packet of the answer, and between any two packets."""
    total_s: float = 15.0
    """``tt``, 0.1..15 s: for the whole request, redirects and retries included. A caller is on the line."""
    retries: int = 1
    """``rc``, 0..5: attempts after the first."""
    retry_on: frozenset[RetryClass] = frozenset(("ct",))
    """``rp``: failures to retry; by default, those where the request cannot have reached the application."""

    def allow_retry(self, failure: RetryClass | None) -> bool:
        """Return whether ``failure`` may be retried; None never is."""
        return failure is not None and (failure in self.retry_on or "all" in self.retry_on)


_MS_FIELDS: Final = {"ct": ("connect_s", 10_000), "rt": ("read_s", 15_000), "tt": ("total_s", 15_000)}
_MIN_MS: Final = 100
_MAX_RETRIES: Final = 5


def parse_fragment(fragment: str) -> tuple[Overrides, tuple[str, ...]]:
    """Parse the overrides in a fragment.

    Args:
        fragment: the text after ``#``, or empty.

    Returns:
        The overrides, and a finding (human-readable text) for each ignored part.
    """
    overrides, findings = Overrides(), []
    for pair in filter(None, fragment.split("&")):
        name, _, value = pair.partition("=")
        changed = _apply(overrides, name, unquote(value))
        if changed is None:
            findings.append(f"connection override {pair!r} ignored")
        else:
            overrides = changed
    return overrides, tuple(findings)


def _apply(overrides: Overrides, name: str, value: str) -> Overrides | None:
    if name in _MS_FIELDS:
        field, max_ms = _MS_FIELDS[name]
        ms = _whole_number(value, _MIN_MS, max_ms)
        return None if ms is None else replace(overrides, **{field: ms / 1000})  # type: ignore[arg-type]
    if name == "rc":
        retries = _whole_number(value, 0, _MAX_RETRIES)
        return None if retries is None else replace(overrides, retries=retries)
    if name == "rp":
        wanted = frozenset(part.strip() for part in value.split(","))
        known = frozenset(item for item in RETRY_CLASSES if item in wanted)
        return replace(overrides, retry_on=known) if len(known) == len(wanted) else None
    return None


def _whole_number(text: str, lowest: int, highest: int) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        return None
    number = int(text)
    return number if lowest <= number <= highest else None
