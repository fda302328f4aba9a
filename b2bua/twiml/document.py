"""Parsing of XML text into a small tree of elements with their positions.

The parser decides whether a document is readable and limits its size; it knows no verbs. It must never
resolve an entity, read a DTD or open anything, and it must bound the time for any input: 64 KiB, depth 8,
500 elements.
Namespaces are not interpreted (TwiML has none): ``<amazon:emotion>`` is a name like any other, declared or
not.
Source: XML 1.0 §2.8, §4.3.3 and appendix F, and RFC 7303 §3 for encodings.
"""

import codecs
import re
from typing import Final
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl, Locator

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from b2bua.core.errors import TwimlError

__all__ = [
    "CHARSETS",
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_ELEMENTS",
    "Element",
    "decoded",
    "one_line",
    "read_document",
]

MAX_BYTES: Final = 65_536
MAX_DEPTH: Final = 8
MAX_ELEMENTS: Final = 500

_BLANKS: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_DECLARATION: Final = re.compile(r"\s*<\?xml\s[^>]*?\?>")
_PSEUDO_ATTRIBUTE: Final = re.compile(r"""\s(version|encoding)\s*=\s*(["'])([^"'<>]*)\2""")

_ENCODINGS: Final = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "iso-8859-15": "iso-8859-15",
    "windows-1252": "cp1252",
}
"""Encodings that an XML declaration may name, and their codecs. The list is closed, because some of Python's
codecs are not for text."""

# RFC 2781 §4.3: UTF-16 without a byte order mark is big-endian. A declaration cannot name UTF-16: it would
# itself be in UTF-16 and so not readable.
CHARSETS: Final = _ENCODINGS | {"utf-16": "utf-16-be", "utf-16be": "utf-16-be", "utf-16le": "utf-16-le"}
"""Encodings that HTTP's ``charset`` may name, and their codecs."""

_MARKS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class Element:
    """An element with its attributes, and its text and child elements in order.

    Args:
        name: name of the element, including its prefix, if any.
        attributes: names and values, without those of XML itself and of schemas (a colon, ``xmlns``).
        line: line of the start tag, 1-based.
        column: column of the start tag, 1-based.
        language: the value of ``xml:lang``; empty: it has none.
    """

    __slots__ = ("attributes", "children", "column", "language", "line", "name")

    def __init__(
        self, name: str, attributes: dict[str, str], line: int, column: int, language: str = ""
    ) -> None:
        self.name = name
        self.language = language
        self.attributes = attributes
        self.children: list[Element | str] = []
        self.line = line
        self.column = column

    @property
    def elements(self) -> list["Element"]:
        """The child elements, without the text between them."""
        return [child for child in self.children if isinstance(child, Element)]

    @property
    def text(self) -> str:
        """The element's own text without that of its children, on one line, with blanks collapsed."""
        return one_line("".join(child for child in self.children if isinstance(child, str)))


def one_line(text: str) -> str:
    """Return ``text`` with each run of blanks and control characters made one blank, and none at the ends."""
    return _BLANKS.sub(" ", text).strip()


def decoded(body: bytes, charset: str) -> str:
    """Return ``body`` as text for people; bytes that cannot be decoded are replaced.

    Args:
        body: the document as received.
        charset: one of ``CHARSETS``; a byte order mark takes precedence (RFC 7303 §3.3).
    """
    return body.decode(_marked(body) or CHARSETS[charset], "replace").removeprefix("\ufeff")


def read_document(body: bytes | str, charset: str = "") -> Element:
    """Return the root element of ``body``.

    Args:
        body: the document as received; for decoded text the declared encoding is ignored.
        charset: the charset given by HTTP for bytes, one of ``CHARSETS``; empty: the declaration counts.

    Raises:
        TwimlError: 11750 too large, 11770 empty, 12101 XML version, 12100 anything else.
    """
    text = _text_of(body, charset)
    declaration = _DECLARATION.match(text)
    if declaration is not None:
        version = _pseudo_attributes(declaration[0]).get("version", "1.0")
        if version != "1.0":
            raise TwimlError(12101, f"XML version {version[:20]!r} is not 1.0", line=1, column=1)
    parser = DefusedExpatParser(forbid_dtd=True)
    builder = _Builder(parser)
    parser.setContentHandler(builder)
    try:
        parser.feed(text)
        parser.close()
    except SAXParseException as err:
        line, column = err.getLineNumber() or 0, (err.getColumnNumber() or 0) + 1
        raise TwimlError(12100, err.getMessage(), line=line, column=column) from err
    except DefusedXmlException as err:
        line, column = builder.position()
        raise TwimlError(12100, "DTDs and entities are refused", line=line, column=column) from err
    except UnicodeError as err:  # the str has a lone surrogate
        raise TwimlError(12100, "not text", line=0, column=0) from err
    assert builder.root is not None  # without a root element, expat raises "no element found"
    return builder.root


def _text_of(body: bytes | str, charset: str) -> str:
    if len(body) > MAX_BYTES or (isinstance(body, str) and len(body.encode("utf-8", "replace")) > MAX_BYTES):
        raise TwimlError(11750, f"document larger than {MAX_BYTES} bytes")
    text = body if isinstance(body, str) else _read(body, charset)
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise TwimlError(11770, "empty document")
    return text


def _read(body: bytes, charset: str) -> str:
    # RFC 7303 §3: a byte order mark takes precedence, then HTTP's charset, then the declaration.
    encoding = _marked(body) or CHARSETS.get(charset, "") or _declared(body)
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as err:
        raise TwimlError(12100, f"not {encoding} at byte {err.start}") from err


def _marked(body: bytes) -> str:
    return next((encoding for mark, encoding in _MARKS if body.startswith(mark)), "")


def _declared(body: bytes) -> str:
    declaration = _DECLARATION.match(body[:200].decode("latin-1"))
    named = _pseudo_attributes(declaration[0]).get("encoding", "utf-8") if declaration else "utf-8"
    encoding = _ENCODINGS.get(named.lower(), "")
    if not encoding:
        raise TwimlError(12100, f"encoding {named[:20]!r} is not supported", line=1, column=1)
    return encoding


def _pseudo_attributes(declaration: str) -> dict[str, str]:
    return {name: value for name, _, value in _PSEUDO_ATTRIBUTE.findall(declaration)}


class _Builder(ContentHandler):
    """Builds the tree of elements with a stack instead of recursion."""

    def __init__(self, locator: Locator) -> None:
        super().__init__()
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0
        self._place = locator

    def position(self) -> tuple[int, int]:
        """Return line and column of the parser's position, 1-based."""
        return self._place.getLineNumber() or 0, (self._place.getColumnNumber() or 0) + 1

    def startElement(self, name: str, attrs: AttributesImpl) -> None:
        line, column = self.position()
        self._count += 1
        if len(self._open) == MAX_DEPTH:
            raise TwimlError(12100, f"elements nested deeper than {MAX_DEPTH}", line=line, column=column)
        if self._count > MAX_ELEMENTS:
            raise TwimlError(12100, f"more than {MAX_ELEMENTS} elements", line=line, column=column)
        attributes = {key: value for key, value in attrs.items() if ":" not in key and key != "xmlns"}
        element = Element(name, attributes, line, column, attrs.get("xml:lang", ""))
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def endElement(self, name: str) -> None:
        self._open.pop()

    def characters(self, content: str) -> None:
        self._open[-1].children.append(content)
