"""Conversion of elements into verbs, with the rules for which element may contain which.

No fault found here ends a call: it becomes a finding, the faulty part is left out, and the rest of the
document remains valid.
Source: the hosted service's TwiML reference (read November 2026).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol, TypeVar

from msgspec import UNSET

from b2bua.twiml import verbs
from b2bua.twiml.attributes import ATTRIBUTES, SCHEMA, WITHOUT_FIELD, field_of
from b2bua.twiml.document import Element
from b2bua.twiml.findings import Finding, Severity, make_finding
from b2bua.twiml.hosted import HOSTED_ATTRIBUTES, HOSTED_ELEMENTS, NOT_DONE
from b2bua.twiml.spoken import SpokenText

__all__ = ["MAX_FINDINGS", "MAX_QUEUE_NAME", "MAX_ROOM_NAME", "MAX_TARGETS", "Reader"]

MAX_TARGETS: Final = 10
"""Maximum number of targets of one Dial."""

MAX_FINDINGS: Final = 100
"""Maximum number of findings kept for one document, to bound the memory."""

MAX_QUEUE_NAME: Final = 64
"""Characters of a queue's name."""

MAX_ROOM_NAME: Final = 128
"""Characters of a conference room's name."""

_FIELDS: Final = {
    name: "" if name in WITHOUT_FIELD else field_of(name) for rows in ATTRIBUTES.values() for name in rows
} | {"time": "time_ms"}
"""Field of the model for each attribute; empty: the attribute is known and has no effect."""

_T = TypeVar("_T")


class _Placed(Protocol):
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


class Reader:
    """Reads one document and collects its ``findings``."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def response(self, root: Element) -> verbs.Response:
        """Read the root element, whose name has been checked."""
        values = self._values(root, text=False)
        severity: Severity = "error" if _leads_nowhere(root) else "warning"
        return verbs.Response(verbs=tuple(self._among(root.elements, _VERBS, SCHEMA, severity)), **values)

    # -- verbs --------------------------------------------------------------------------------------

    def _dial(self, element: Element) -> verbs.Dial:
        values = self._values(element)
        before = len(self.findings)
        nouns: list[verbs.Noun] = list(self._among(element.elements, _NOUNS, 13215))
        refused = any(finding.severity == "error" for finding in self.findings[before:])
        if element.text and not element.elements:
            nouns.append(verbs.Number(text=element.text, line=element.line, column=element.column))
        elif element.text:
            self._warn(SCHEMA, "text beside the nouns of a Dial is ignored", element)
        if not nouns and not refused:
            self._warn(13223, "the Dial has no target and fails", element)
        return verbs.Dial(children=self._together(nouns), **values)

    def _together(self, nouns: list[verbs.Noun]) -> tuple[verbs.Noun, ...]:
        """Leave out nouns that cannot be combined with the first one, and those beyond ``MAX_TARGETS``."""
        alone = (verbs.Conference, verbs.Queue)
        if nouns and isinstance(nouns[0], alone):
            kept = nouns[:1]
        else:
            kept = [noun for noun in nouns if not isinstance(noun, alone)]
        if len(kept) < len(nouns):
            left_out = next(noun for noun in nouns if noun not in kept)
            self._warn(13000, "nouns that cannot be combined with the first are ignored", left_out)
        if len(kept) > MAX_TARGETS:
            self._warn(13250, f"targets after the first {MAX_TARGETS} are ignored", kept[MAX_TARGETS])
        return tuple(kept[:MAX_TARGETS])

    def _gather(self, element: Element) -> verbs.Gather:
        values = self._values(element, text=False)
        return verbs.Gather(prompts=tuple(self._among(element.elements, _PROMPTS, 13320)), **values)

    def _play(self, element: Element) -> verbs.Play:
        play = self._leaf(verbs.Play, element, url=element.text)
        if not play.url and not play.digits:
            self._warn(SCHEMA, "Play has neither a URL nor digits", element)
        return play

    def _say(self, element: Element) -> verbs.Say:
        values = self._values(element)
        spoken = SpokenText(element, lambda child: self._leaf(verbs.Break, child), self._warn)
        if not spoken.text:
            self._warn(13520, "this Say is silent", element)
        parts = spoken.parts
        is_plain = len(parts) < 2 and not any(isinstance(part, verbs.Markup) for part in parts)
        return verbs.Say(text=spoken.text, parts=() if is_plain else tuple(parts), **values)

    def _enqueue(self, element: Element) -> verbs.Enqueue:
        values, name, refusal = self._values(element), element.text, 0
        tasks = [child for child in element.elements if child.name == "Task"]
        for child in element.elements:
            if child not in tasks:
                self._warn(SCHEMA, f"{child.name[:40]} within Enqueue is ignored", child)
        if len(name) > MAX_QUEUE_NAME:
            refusal, detail = 14205, f"the name has more than {MAX_QUEUE_NAME} characters"
        elif not name and (tasks or "workflowSid" in element.attributes):
            refusal, detail = 14222, "this node has no workflows"
        elif not name:
            refusal, detail = 14204, "the Enqueue fails"
        if refusal:
            self._warn(refusal, detail, element, "error")
        return verbs.Enqueue(name="" if refusal else name, refusal=refusal, **values)

    def _refer(self, element: Element) -> verbs.Refer | None:
        values = self._values(element, text=False)
        targets: list[verbs.Sip] = list(self._among(element.elements, {"Sip": Reader._sip}, SCHEMA))
        if not targets:
            self._warn(13243, "the Refer has no Sip and is skipped", element)
            return None
        if len(targets) > 1:
            self._warn(SCHEMA, "a Refer takes one Sip; the first is used", targets[1])
        return verbs.Refer(uri=targets[0].uri, **values)

    # -- nouns --------------------------------------------------------------------------------------

    def _number(self, element: Element) -> verbs.Number | None:
        return self._named(verbs.Number, element, "text", 13223)

    def _sip(self, element: Element) -> verbs.Sip | None:
        return self._named(verbs.Sip, element, "uri", 13243)

    def _conference(self, element: Element) -> verbs.Conference | None:
        room = self._named(verbs.Conference, element, "name", 13237, "error")
        return self._unless_refused(room, element, 13237, MAX_ROOM_NAME)

    def _queue(self, element: Element) -> verbs.Queue | None:
        queue = self._named(verbs.Queue, element, "name", 14212, "error")
        return self._unless_refused(queue, element, 14213, MAX_QUEUE_NAME)

    def _unless_refused(self, noun: _T | None, element: Element, number: int, longest: int) -> _T | None:
        """Leave out a room or a queue whose name is too long, or that one of its attributes forbids."""
        if len(element.text) > longest:
            self._warn(number, f"the name has more than {longest} characters", element, "error")
            return None
        rows = ATTRIBUTES[element.name]
        bad = (name for name, row in rows.items() if row.refuses and name in element.attributes)
        return None if any(rows[name].convert(element.attributes[name])[1] for name in bad) else noun

    def _client(self, element: Element) -> verbs.Client | None:
        values = self._values(element)
        identities = [element.text] if element.text else []
        parameters: list[verbs.Parameter] = []
        parts: Iterator[verbs.Parameter | str] = self._among(element.elements, _CLIENT_PARTS, SCHEMA)
        for part in parts:
            if isinstance(part, verbs.Parameter):
                parameters.append(part)
            else:
                identities.append(part)
        if not identities:
            self._warn(SCHEMA, "the Client has no identity and is skipped", element)
            return None
        if len(identities) > 1:
            self._warn(SCHEMA, "the Client has more than one identity; the first is used", element)
        return verbs.Client(identity=identities[0], parameters=tuple(parameters), **values)

    def _identity(self, element: Element) -> str | None:
        self._values(element)
        self._no_elements(element)
        return element.text or None

    def _parameter(self, element: Element) -> verbs.Parameter | None:
        values = self._values(element, text=False)
        self._no_elements(element)
        if "name" not in values:
            self._warn(SCHEMA, "the Parameter has no name and is skipped", element)
            return None
        return verbs.Parameter(**{"value": "", **values})

    # -- any element --------------------------------------------------------------------------------

    def _among(
        self,
        elements: Iterable[Element],
        readers: Mapping[str, "_Read[_T]"],
        number: int,
        severity: Severity = "warning",
    ) -> Iterator[_T]:
        """Read the ``elements`` that are allowed here; findings about the others have ``number``."""
        for element in elements:
            read = readers.get(element.name)
            if read is None:
                verdict = f"unknown here{_hint(element.name, readers)}"
                if element.name in HOSTED_ELEMENTS:
                    verdict = NOT_DONE
                self._warn(number, f"{element.name[:40]} is {verdict}", element, severity)
            elif (result := read(self, element)) is not None:
                yield result

    def _named(
        self, model: type[_T], element: Element, field: str, number: int, severity: Severity = "warning"
    ) -> _T | None:
        """Read an element that is skipped if it has no text."""
        if not element.text:
            self._warn(number, f"the {element.name} is empty and skipped", element, severity)
            return None
        return self._leaf(model, element, **{field: element.text})

    def _leaf(self, model: type[_T], element: Element, **content: str) -> _T:
        """Read an element that has attributes, perhaps text, and no child elements."""
        self._no_elements(element)
        return model(**content, **self._values(element, text=bool(content)))

    def _no_elements(self, element: Element) -> None:
        for child in element.elements:
            self._warn(SCHEMA, f"{child.name[:40]} within {element.name} is ignored", child)

    def _values(self, element: Element, *, text: bool = True) -> dict[str, Any]:
        """Return the position and the fields that the attributes set; ``text``: the element may have text."""
        rows = ATTRIBUTES.get(element.name, {})
        values: dict[str, Any] = {"line": element.line, "column": element.column}
        for name, written in element.attributes.items():
            row = rows.get(name)
            if row is None:
                detail = f"{element.name} has no attribute {name[:40]}{_hint(name, rows)}"
                if name in HOSTED_ATTRIBUTES.get(element.name, ()):
                    detail = f"{element.name} {name} is {NOT_DONE}"
                self._warn(SCHEMA, detail, element)
                continue
            value, complaint = row.convert(written)
            if complaint:
                # The warning does not contain the value: it may be a number, a name or a password.
                named = f"{element.name} {name}: " if row.number == SCHEMA else ""
                self._warn(row.number, named + complaint, element, row.severity)
            if value is not UNSET and _FIELDS[name]:
                values[_FIELDS[name]] = value
        if not text and element.text:
            self._warn(SCHEMA, f"text within {element.name} is ignored", element)
        return values

    def _warn(self, number: int, detail: str, where: _Placed, severity: Severity = "warning") -> None:
        if len(self.findings) < MAX_FINDINGS:
            finding = make_finding(number, detail, line=where.line, column=where.column, severity=severity)
            self.findings.append(finding)


_Read = Callable[[Reader, Element], _T | None]


def _leaf_of(model: type[_T]) -> "_Read[_T]":
    return lambda reader, element: reader._leaf(model, element)


def _hint(name: str, known: Iterable[str]) -> str:
    """Suggest the known name that differs only in case, which is the most frequent mistake."""
    return next((f"; did you mean {right}?" for right in known if right.lower() == name.lower()), "")


def _leads_nowhere(root: Element) -> bool:
    """Return whether a document with these elements can do nothing, or ends where it was to be connected."""
    names = {element.name for element in root.elements}
    known = names & set(_VERBS)
    return bool(names) and (not known or ("Connect" in names and known <= set(_PROMPTS)))


_PROMPTS: Final[dict[str, _Read[verbs.Prompt]]] = {
    "Say": Reader._say,
    "Play": Reader._play,
    "Pause": _leaf_of(verbs.Pause),
}

_VERBS: Final[dict[str, _Read[verbs.Verb]]] = {
    **_PROMPTS,
    "Dial": Reader._dial,
    "Gather": Reader._gather,
    "Record": _leaf_of(verbs.Record),
    "Redirect": lambda reader, element: reader._leaf(verbs.Redirect, element, url=element.text),
    "Reject": _leaf_of(verbs.Reject),
    "Hangup": _leaf_of(verbs.Hangup),
    "Enqueue": Reader._enqueue,
    "Leave": _leaf_of(verbs.Leave),
    "Refer": Reader._refer,
}

_NOUNS: Final[dict[str, _Read[verbs.Noun]]] = {
    "Number": Reader._number,
    "Sip": Reader._sip,
    "Client": Reader._client,
    "Conference": Reader._conference,
    "Queue": Reader._queue,
}

_CLIENT_PARTS: Final[dict[str, _Read[verbs.Parameter | str]]] = {
    "Identity": Reader._identity,
    "Parameter": Reader._parameter,
}
