"""Parsing of a document's text into its verbs and a list of findings.

A document that cannot be run at all raises ``TwimlError``. Any other fault is a finding, and the faulty part
is replaced by a default or left out.
Source: the hosted service's TwiML reference; its error and warning dictionary (read November 2026).
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from b2bua.core.errors import TwimlError
from b2bua.twiml import verbs
from b2bua.twiml.attributes import SCHEMA, field_of
from b2bua.twiml.document import read_document
from b2bua.twiml.findings import Finding
from b2bua.twiml.reader import Reader

__all__ = ["NOT_YET", "ParsedDocument", "not_yet", "parse"]

NOT_YET: Final[frozenset[tuple[str, str]]] = frozenset(
    [("Conference", name) for name in ("eventCallbackUrl",)]
)
"""Elements (with an empty attribute name) and attributes that are parsed and have no effect yet."""


class ParsedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document that can be run."""

    response: verbs.Response
    findings: tuple[Finding, ...] = ()
    """In the order of discovery, at most ``MAX_FINDINGS``."""


def parse(body: bytes | str, charset: str = "") -> ParsedDocument:
    """Read a document.

    Args:
        body: the document as received; for decoded text the declared encoding is ignored.
        charset: the charset given by HTTP (``document.CHARSETS``); empty: the document declares it.

    Raises:
        TwimlError: 11750 larger than 64 KiB; 11770 empty; 12100 not well-formed, too deep, too many
            elements, a DTD, not in its encoding; 12101 not XML 1.0; 12102 not a Response.
    """
    root = read_document(body, charset)
    if root.name != "Response":
        raise TwimlError(
            12102, f"root element is {root.name[:40]}, not Response", line=root.line, column=root.column
        )
    reader = Reader()
    response = reader.response(root)
    return ParsedDocument(response=response, findings=tuple(reader.findings))


def not_yet(document: ParsedDocument) -> tuple[Finding, ...]:
    """Return one warning for each element and attribute in ``document`` that has no effect yet.

    An attribute that is set to its default causes no warning.
    """
    found: dict[tuple[str, str], Finding] = {}
    for item in _items(document.response):
        for pair, field, default in _IGNORED.get(type(item), ()):
            if pair not in found and (not field or getattr(item, field) != default):
                text = " ".join(filter(None, pair)) + " has no effect yet"
                found[pair] = Finding(number=SCHEMA, text=text, line=item.line, column=item.column)
    return tuple(found.values())


_Item = verbs.Verb | verbs.Noun


def _ignored_of(element: str) -> list[tuple[tuple[str, str], str, object]]:
    """Return pair, field and default for each row of ``NOT_YET`` about ``element``.

    If the whole element has no effect, its attributes are not listed.
    """
    if (element, "") in NOT_YET:
        return [((element, ""), "", None)]
    defaults = {field.name: field.default for field in msgspec.structs.fields(getattr(verbs, element))}
    pairs = sorted(pair for pair in NOT_YET if pair[0] == element)
    return [(pair, field_of(pair[1]), defaults[field_of(pair[1])]) for pair in pairs]


_IGNORED: Final = {getattr(verbs, element): _ignored_of(element) for element, _ in NOT_YET}


def _items(response: verbs.Response) -> Iterator[_Item]:
    for verb in response.verbs:
        yield verb
        if isinstance(verb, verbs.Dial):
            yield from verb.children
        elif isinstance(verb, verbs.Gather):
            yield from verb.prompts
