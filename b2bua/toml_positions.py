"""Finds the positions of keys in a TOML text: the standard library's parser gives values but no positions.

Only table headers and the beginnings of key lines are examined, so an element of an array, or a key of an
inline table, has the position of the key that holds it. The text has been parsed before: it is valid TOML.
"""

import re
from collections.abc import Sequence

__all__ = ["KeyPath", "Positions"]

KeyPath = tuple[str | int, ...]
"""``("trunks", 0, "uri")``; numbers count the tables of an array from 0."""

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_HEADER = re.compile(rf"[ \t]*(?P<open>\[\[?)[ \t]*(?P<name>{_DOTTED})[ \t]*\]\]?")
_KEY = re.compile(rf"[ \t]*(?P<name>{_DOTTED})[ \t]*=")
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""|' r"'''.*?'''|" r'"(?:\\.|[^"\\\n])*"|' r"'[^'\n]*'|#[^\n]*|[\[\]{}]|\n",
    re.DOTALL,
)


class Positions:
    """Line and column, both from 1, of the headers and keys of ``text``."""

    def __init__(self, text: str) -> None:
        self._found: dict[KeyPath, tuple[int, int]] = {}
        self._last_table: dict[KeyPath, int] = {}
        table: KeyPath = ()
        start = 0
        while start < len(text):
            if header := _HEADER.match(text, start):
                table = self._enter(_parts(header["name"]), len(header["open"]) == 2)
                self._note(table, text, header.start("open"))
                start = header.end()
            elif key := _KEY.match(text, start):
                self._note((*table, *_parts(key["name"])), text, key.start("name"))
                start = key.end()
            start = _next_statement(text, start)

    def of(self, path: Sequence[str | int]) -> tuple[int, int]:
        """Return the position of ``path``, or of its nearest enclosing key; (0, 0) if there is none."""
        for length in range(len(path), 0, -1):
            place = self._found.get(tuple(path[:length]))
            if place is not None:
                return place
        return (0, 0)

    def _enter(self, names: KeyPath, is_array: bool) -> KeyPath:
        path: KeyPath = ()
        for name in names[:-1]:
            path = (*path, name)
            if path in self._last_table:
                path = (*path, self._last_table[path])
        path = (*path, names[-1])
        if is_array:
            self._last_table[path] = self._last_table.get(path, -1) + 1
            path = (*path, self._last_table[path])
        return path

    def _note(self, path: KeyPath, text: str, offset: int) -> None:
        place = (text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))
        for length in range(1, len(path) + 1):
            self._found.setdefault(path[:length], place)


def _parts(name: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in re.findall(_PART, name))


def _next_statement(text: str, start: int) -> int:
    """Return the offset of the line after the value at ``start``, which may span several lines."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        elif token[0] == "\n" and depth <= 0:
            return token.end()
    return len(text)
