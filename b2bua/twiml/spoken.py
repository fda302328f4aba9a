"""Reading of the content of a Say: text, breaks, and the elements of SSML that change how a text is spoken.

What a plain text can say as well is rewritten (``sub``, digits); the rest becomes SSML for the synthesiser,
made here from checked values only: nothing of the document but its escaped text reaches it. No fault here
silences a text.
Source: SSML 1.1; the hosted service's TwiML reference, ``<Say>`` (read November 2026).
"""

import re
from collections.abc import Callable, Iterator
from typing import Final, Literal
from xml.sax.saxutils import escape

from msgspec import UNSET

from b2bua.twiml import verbs
from b2bua.twiml.attributes import SCHEMA
from b2bua.twiml.document import Element, one_line
from b2bua.twiml.values import Converter, one_of

__all__ = ["MAX_MARKUP", "SpokenText"]

MAX_MARKUP: Final = 32_768
"""Characters of SSML of one Say; texts beyond them are spoken plainly."""

_Part = str | verbs.Break | verbs.Markup
_Tags = tuple[str, str]
"""Start tag and end tag."""

_BREAKS: Final[dict[str, Literal["strong", "x-strong"]]] = {"p": "x-strong", "s": "strong"}
"""Elements that end with a pause, and the strength of the pause (SSML 1.1 §3.1.8.1)."""

_PERCENT: Final = re.compile(r"([+-]?)([0-9]{1,3}(?:\.[0-9]{1,3})?)%")
_SEMITONES: Final = re.compile(r"([+-][0-9]{1,2}(?:\.[0-9]{1,3})?)st")
_DECIBELS: Final = re.compile(r"([+-]?[0-9]{1,3}(?:\.[0-9]{1,3})?)dB", re.IGNORECASE)
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,2}")

_LETTER_BY_LETTER: Final = frozenset(("characters", "spell-out", "verbatim"))
_DIGIT_BY_DIGIT: Final = frozenset(("digits", "telephone"))
_AS_WRITTEN: Final = frozenset(("cardinal", "number"))
"""The synthesiser reads a number so in any case."""
_DIALLED: Final = re.compile(r"[0-9*#+\s().,/-]+")
_DIALLED_GROUP: Final = re.compile(r"[0-9]+|[*#+]")


def _percent(value: float, low: int, high: int) -> tuple[object, str]:
    nearest = min(max(value, low), high)
    wrong = "" if nearest == value else f"not between {low}% and {high}%; {nearest}% is used"
    return f"{nearest:.0f}%", wrong


def _rate(text: str) -> tuple[object, str]:
    if found := _PERCENT.fullmatch(text):
        return _percent((100 if found[1] else 0) + float(found[1] + found[2]), 20, 200)
    return one_of("x-slow", "slow", "medium", "fast", "x-fast", "default")(text)


def _pitch(text: str) -> tuple[object, str]:
    if found := _PERCENT.fullmatch(text):
        return _percent((100 if found[1] else 0) + float(found[1] + found[2]), 50, 200)
    if found := _SEMITONES.fullmatch(text):
        return _percent(100 * 2 ** (float(found[1]) / 12), 50, 200)
    return one_of("x-low", "low", "medium", "high", "x-high", "default")(text)


def _volume(text: str) -> tuple[object, str]:
    if found := _DECIBELS.fullmatch(text):
        return _percent(100 * 10 ** (float(found[1]) / 20), 10, 200)
    return one_of("silent", "x-soft", "soft", "medium", "loud", "x-loud", "default")(text)


_MARKED: Final[dict[str, dict[str, Converter]]] = {
    "prosody": {"rate": _rate, "pitch": _pitch, "volume": _volume},
    "emphasis": {"level": one_of("none", "reduced", "moderate", "strong")},
}
"""Elements that the synthesiser understands, and their attributes."""


class SpokenText:
    """Reads the content of one Say.

    Args:
        element: the Say.
        read_break: reads a ``<break>``.
        warn: takes number, detail and place of a finding.
    """

    def __init__(
        self,
        element: Element,
        read_break: Callable[[Element], verbs.Break],
        warn: Callable[[int, str, Element], None],
    ) -> None:
        self.parts: list[_Part] = []
        """Texts and breaks in order; no text is empty."""
        self._read_break = read_break
        self._warn = warn
        self._plain: list[str] = []
        self._markup: list[str] = []
        self._is_marked = False
        self._open: list[_Tags] = []
        """The tags around the present place; they end before a break, and begin again after it."""
        self._markup_left = MAX_MARKUP
        self._content(element)
        self._end_text()

    @property
    def text(self) -> str:
        """The whole text without breaks and markup."""
        texts = (part.text if isinstance(part, verbs.Markup) else part for part in self.parts)
        return " ".join(text for text in texts if isinstance(text, str))

    def _content(self, element: Element) -> None:
        for child in element.children:
            if isinstance(child, str):
                self._add(child)
            else:
                self._element(child)  # the depth is limited by MAX_DEPTH

    def _element(self, element: Element) -> None:
        match element.name:
            case "break":
                self._break(self._read_break(element))
            case "p" | "s":
                self._content(element)
                strength = _BREAKS[element.name]
                self._break(verbs.Break(strength=strength, line=element.line, column=element.column))
            case "w":
                self._content(element)
            case "sub":
                self._sub(element)
            case "say-as":
                self._say_as(element)
            case "prosody" | "emphasis" | "lang":
                self._within(self._tags(element), element)
            case "phoneme":
                self._warn(SCHEMA, "the text of a phoneme is spoken, not its ph", element)
                self._content(element)
            case _:
                self._warn(SCHEMA, f"{element.name[:40]} is spoken like any text", element)
                self._content(element)

    def _within(self, tags: _Tags | None, element: Element) -> None:
        if tags is None:
            self._content(element)
            return
        self._open.append(tags)
        self._markup.append(tags[0])
        self._is_marked = True
        self._content(element)
        self._markup.append(tags[1])
        self._open.pop()

    def _add(self, text: str) -> None:
        self._plain.append(text)
        self._markup.append(escape(text))

    def _break(self, pause: verbs.Break) -> None:
        self._end_text()
        self.parts.append(pause)

    def _end_text(self) -> None:
        markup = one_line("".join(self._markup + [end for _, end in reversed(self._open)]))
        text = one_line("".join(self._plain))
        if text and self._is_marked and len(markup) <= self._markup_left:
            self._markup_left -= len(markup)
            self.parts.append(verbs.Markup(text=text, ssml=markup))
        elif text:
            self.parts.append(text)
        self._plain, self._markup = [], [start for start, _ in self._open]
        self._is_marked = bool(self._open)

    def _tags(self, element: Element) -> _Tags | None:
        """Return the tags for the synthesiser; None if none of the attributes says anything."""
        if element.name == "lang":
            if not _LANGUAGE.fullmatch(element.language):
                self._warn(SCHEMA, "lang has no xml:lang, or one that is not a language", element)
                return None
            return f'<voice xml:lang="{element.language}">', "</voice>"
        rows, values = _MARKED[element.name], {}
        for name, written in element.attributes.items():
            if name not in rows:
                self._warn(SCHEMA, f"{element.name} {name[:40]} has no effect", element)
                continue
            value, complaint = rows[name](written.strip())
            if complaint:
                self._warn(SCHEMA, f"{element.name} {name}: {complaint}", element)
            if value is not UNSET:
                values[name] = value
        if not values and element.name == "prosody":
            return None
        attributes = "".join(f' {name}="{value}"' for name, value in values.items())
        return f"<{element.name}{attributes}>", f"</{element.name}>"

    def _sub(self, element: Element) -> None:
        alias = element.attributes.get("alias", "")
        if alias.strip():
            self._add(alias)
        else:
            self._warn(SCHEMA, "sub has no alias", element)
            self._content(element)

    def _say_as(self, element: Element) -> None:
        manner = element.attributes.get("interpret-as", "").strip()
        text = one_line("".join(_texts(element)))
        if manner in _LETTER_BY_LETTER:
            self._plain.append(" ".join(text.replace(" ", "")))
            self._markup.append(f'<say-as interpret-as="characters">{escape(text)}</say-as>')
            self._is_marked = True
        elif manner in _DIGIT_BY_DIGIT and _DIALLED.fullmatch(text):
            groups = (" ".join(group) for group in _DIALLED_GROUP.findall(text))
            self._add(", ".join(groups).replace("+,", "+"))
        else:
            if manner not in _AS_WRITTEN:
                detail = f"say-as {manner[:40] or 'without interpret-as'}: spoken like any text"
                self._warn(SCHEMA, detail, element)
            self._content(element)


def _texts(element: Element) -> Iterator[str]:
    for child in element.children:
        if isinstance(child, str):
            yield child
        else:
            yield from _texts(child)
