"""The numbers of the configuration and what is done with calls to them, as the API may change it.

Changes are kept in memory: the configuration is the operator's, and after a restart, or when it is read
again, it counts as it is written.
"""

import fnmatch
import hashlib
from collections.abc import Iterable
from typing import Any

from b2bua.settings import NumberSettings

__all__ = ["NumberBook"]


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

    def all(self) -> list[tuple[str, NumberSettings]]:
        """Identifiers and numbers."""
        return list(self._numbers.items())

    def find(self, sid: str) -> NumberSettings | None:
        """The number with this identifier."""
        return self._numbers.get(sid)

    def for_user(self, user: str) -> NumberSettings | None:
        """The first number whose pattern matches the user part of a Request-URI."""
        return next((n for n in self._numbers.values() if fnmatch.fnmatchcase(user, n.match)), None)

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


def _sid(match: str) -> str:
    """An identifier that is the same after a restart."""
    return "PN" + hashlib.sha256(match.encode()).hexdigest()[:32]
