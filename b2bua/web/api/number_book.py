"""The configured numbers and the handling of calls to them, which the API can change.

Changes are kept in memory: the configuration belongs to the operator, and after a restart or a reload it
applies as written.
"""

import fnmatch
import hashlib
import re
from collections.abc import Iterable
from typing import Any, Final

from b2bua.core.admission import Origin
from b2bua.settings import NumberSettings
from b2bua.sip.uri import subscriber

__all__ = ["NumberBook", "canonical", "lasting_sid"]

_BRACKETS: Final = re.compile(r"(\[[^\]]+\])")
_NUMBERS: Final = re.compile(r"(?:[+0-9*#?.()\-]|\[[^\]]+\])+")
_ANYBODY: Final = Origin(source="")
_SEPARATORS: Final = str.maketrans("", "", "-.()")


class NumberBook:
    """Numbers by identifier, in the order of the configuration. Thread: loop."""

    def __init__(self, numbers: Iterable[NumberSettings]) -> None:
        self._numbers: dict[str, NumberSettings] = {}
        self.replace(numbers)

    def replace(self, numbers: Iterable[NumberSettings]) -> None:
        """Take the numbers of a configuration; earlier changes are forgotten."""
        book: dict[str, NumberSettings] = {}
        for number in numbers:
            book.setdefault(_sid(number), number)  # the first match counts
        self._numbers = book
        self._index()

    def _index(self) -> None:
        self._exact: dict[str, list[str]] = {}
        for sid, number in self._numbers.items():
            self._exact.setdefault(canonical(number.match), []).append(sid)
        self._patterns = [(_pattern(number.match), sid) for sid, number in self._numbers.items()]

    def all(self) -> list[tuple[str, NumberSettings]]:
        """Return all identifiers and numbers."""
        return list(self._numbers.items())

    def find(self, sid: str) -> NumberSettings | None:
        """Return the number with this identifier, or None."""
        return self._numbers.get(sid)

    def for_user(self, user: str, origin: Origin = _ANYBODY) -> NumberSettings | None:
        """Return the number equal to the user part of a Request-URI, or the first whose pattern matches it.

        Args:
            user: user part, escaped as received.
            origin: the caller; numbers that are for other trunks or users do not count.
        """
        called = subscriber(user)
        matching = (sid for pattern, sid in self._patterns if pattern.match(called))
        for sid in (*self._exact.get(called, ()), *matching):
            number = self._numbers[sid]
            if _is_for(number, origin):
                return number
        return None

    def owns(self, number: str) -> bool:
        """Return whether an entry is this number in E.164, or that without its ``+``."""
        return number in self._exact or number.removeprefix("+") in self._exact

    def add(self, number: NumberSettings) -> str | None:
        """Take calls to an exact number; returns its identifier, or None if it is there already."""
        if self.owns(canonical(number.match)):
            return None
        sid = _sid(number)
        self._numbers[sid] = number
        self._index()
        return sid

    def remove(self, sid: str) -> None:
        """Take no more calls to a number; ``sid`` exists."""
        del self._numbers[sid]
        self._index()

    def change(self, sid: str, changes: dict[str, Any]) -> NumberSettings:
        """Change fields of a number; calls that have begun keep what they had.

        Args:
            sid: identifier of an existing number.
            changes: fields of NumberSettings with validated values.
        """
        if "voice_url" in changes:
            changes = {"twiml": None, **changes}  # a new URL replaces a document in the configuration
        number = self._numbers[sid].model_copy(update=changes)
        self._numbers[sid] = number
        return number


def canonical(match: str) -> str:
    """Return an unescaped number in the form used for comparison (RFC 3966 §4)."""
    return subscriber(match.replace("%", "%25"))


def _pattern(match: str) -> re.Pattern[str]:
    """Compile a number's pattern without its visual separators; characters in brackets are not separators."""
    if _NUMBERS.fullmatch(match):
        parts = _BRACKETS.split(match)
        match = "".join(part if part[:1] == "[" else part.translate(_SEPARATORS) for part in parts)
    return re.compile(fnmatch.translate(match))


def _is_for(number: NumberSettings, origin: Origin) -> bool:
    if number.trunk and number.trunk != origin.trunk:
        return False
    return not number.user or (bool(origin.user) and fnmatch.fnmatchcase(origin.user, number.user))


def _sid(number: NumberSettings) -> str:
    return lasting_sid(
        "PN", number.match, *((number.trunk, number.user) if number.trunk or number.user else ())
    )


def lasting_sid(kind: str, *parts: str) -> str:
    """Return an identifier of something in the configuration, which stays the same after a restart.

    Args:
        kind: its two letters.
        parts: what it is told apart by.
    """
    return kind + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
