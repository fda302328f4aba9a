"""Checks of the addresses in a document before they are requested.

The check requests nothing. It uses ``urls`` and ``sip_noun``, which also decide during a call.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import structs

from b2bua.twiml import verbs
from b2bua.twiml.attributes import ATTRIBUTES, SCHEMA, field_of
from b2bua.twiml.findings import Finding, make_finding
from b2bua.twiml.sip_noun import parse_sip_target
from b2bua.twiml.urls import resolve_url
from b2bua.twiml.values import url, wait_url

__all__ = ["address_finding", "address_findings"]

_ROWS: Final = [row for rows in ATTRIBUTES.values() for row in rows.items()]
_FIELDS: Final = sorted({field_of(name) for name, row in _ROWS if row.convert in (url, wait_url)})
"""Fields of verbs and nouns that hold a URL."""

_NUMBERED: Final = {
    (element, field_of(name)): row
    for element, rows in ATTRIBUTES.items()
    for name, row in rows.items()
    if row.convert in (url, wait_url) and row.number != SCHEMA
}
"""Attributes for which the hosted service has a number of its own for a URL that cannot be requested."""


def address_findings(document: verbs.Response, base_url: str | None) -> tuple[Finding, ...]:
    """Return a finding for each address that cannot be requested, or may not be meant as written.

    Args:
        document: the document with the addresses.
        base_url: base for relative URLs; None: there is none.
    """
    found: list[Finding] = []
    for verb in document.verbs:
        found += _of(verb, base_url)
        match verb:
            case verbs.Dial():
                found += [finding for noun in verb.children for finding in _of(noun, base_url)]
            case verbs.Gather():
                found += [finding for prompt in verb.prompts for finding in _of(prompt, base_url)]
            case verbs.Refer():
                found += parse_sip_target(verb.uri, line=verb.line, column=verb.column).findings
    return tuple(found)


def _of(item: verbs.Verb | verbs.Noun, base_url: str | None) -> Iterator[Finding]:
    if isinstance(item, verbs.Play) and "://" not in item.url:
        return  # a document in the configuration may name a file beside it, or a sound of the node: tone:us
    for name in _FIELDS:
        written: str | None = getattr(item, name, None)
        if written is None or (not written and name.startswith("wait_url")):
            continue  # an empty URL of a wait document means silence
        finding = address_finding(type(item), name, resolve_url(base_url, written)[1])
        if finding is not None:
            yield structs.replace(finding, line=item.line, column=item.column)
    if isinstance(item, verbs.Conference) and item.status_callback and not item.status_callback_event:
        text = "Conference statusCallback is never requested without statusCallbackEvent"
        yield make_finding(SCHEMA, text, line=item.line, column=item.column)


def address_finding(model: type, field: str, finding: Finding | None) -> Finding | None:
    """Return the ``finding`` about a URL with the number and severity that its attribute has for an error.

    Args:
        model: the class of the verb or noun.
        field: its field that holds the URL.
        finding: what ``resolve_url`` has found.
    """
    row = _NUMBERED.get((model.__name__, field))
    if finding is None or finding.severity != "error" or row is None:
        return finding
    return make_finding(row.number, finding.text, severity=row.severity)
