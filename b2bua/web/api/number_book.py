"""The numbers of the configuration and what is done with calls to them, as the API may change it.

Changes are kept in memory: the configuration is the operator's, and after a restart, or when it is read
again, it counts as it is written.
"""

import fnmatch
import hashlib
import re
from collections.abc import Iterable
from typing import Any, Final

from b2bua.settings import NumberSettings
from b2bua.sip.uri import subscriber

__all__ = ["NumberBook", "canonical"]

_BRACKETS: Final = re.compile(r"(\[[^\]]+\])")
_NUMBERS: Final = re.compile(r"(?:[+0-9*#?.()\-]|\[[^\]]+\])+")
_SEPARATORS: Final = str.maketrans("", "", "-.()")


class NumberBook:
    """Numbers in the order of the configuration, by identifier. Thread: loop."""

    def __init__(self, numbers: Iterable[NumberSettings]) -> None:
        self._numbers: dict[str, NumberSettings] = {}
        self.replace(numbers)

    def replace(self, numbers: Iterable[NumberSettings]) -> None:
        """Take the numbers of a configuration; what had been changed is forgotten."""
        book: dict[str, NumberSettings] = {}
        for number in numbers:
            book.setdefault(_sid(number.match), number)  # the first that matches counts
        self._numbers = book
        self._exact: dict[str, str] = {}
        for sid, number in book.items():
            self._exact.setdefault(canonical(number.match), sid)
        self._patterns = [(_pattern(number.match), sid) for sid, number in book.items()]

    def all(self) -> list[tuple[str, NumberSettings]]:
        """Identifiers and numbers."""
        return list(self._numbers.items())

    def find(self, sid: str) -> NumberSettings | None:
        """The number with this identifier."""
        return self._numbers.get(sid)

    def for_user(self, user: str) -> NumberSettings | None:
        """The number that means the user part of a Request-URI, else the first whose pattern matches it.

        Args:
            user: escaped as it came.
        """
        called = subscriber(user)
        sid = self._exact.get(called)
        if sid is None:
            sid = next((sid for pattern, sid in self._patterns if pattern.match(called)), "")
        return self._numbers.get(sid)

    def change(self, sid: str, changes: dict[str, Any]) -> NumberSettings:
        """Change fields of a number; calls that have begun keep what they had.

        Args:
            sid: one that ``find`` finds.
            changes: fields of NumberSettings with values that have been checked.
        """
        if "voice_url" in changes:
            changes = {"twiml": None, **changes}  # an address that is set is meant to be asked
        number = self._numbers[sid].model_copy(update=changes)
        self._numbers[sid] = number
        return number


def canonical(match: str) -> str:
    """A number as it is compared with others (RFC 3966 §4); not escaped."""
    return subscriber(match.replace("%", "%25"))


def _pattern(match: str) -> re.Pattern[str]:
    """A number's pattern without visual separators; what is within brackets is none."""
    if _NUMBERS.fullmatch(match):
        parts = _BRACKETS.split(match)
        match = "".join(part if part[:1] == "[" else part.translate(_SEPARATORS) for part in parts)
    return re.compile(fnmatch.translate(match))


def _sid(match: str) -> str:
    """An identifier that is the same after a restart."""
    return "PN" + hashlib.sha256(match.encode()).hexdigest()[:32]
