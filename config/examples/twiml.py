"""Build TwiML in Python with the standard library alone."""

from urllib.parse import urlencode
from xml.etree import ElementTree


def element(name: str, *children: "ElementTree.Element | str", **attributes: str) -> ElementTree.Element:
    """Make an element; a trailing ``_`` in an attribute's name is dropped (``from_``)."""
    made = ElementTree.Element(name, {key.rstrip("_"): value for key, value in attributes.items()})
    for child in children:
        if isinstance(child, str):
            made.text = child
        else:
            made.append(child)
    return made


def response(*verbs: ElementTree.Element) -> str:
    """Make a whole document."""
    return ElementTree.tostring(element("Response", *verbs), encoding="unicode")


def target(address: str, **attributes: str) -> ElementTree.Element:
    """Make the noun for a number, ``sip:…`` or ``client:…``."""
    if address.startswith(("sip:", "sips:")):
        return element("Sip", address, **attributes)
    if address.startswith("client:"):
        return element("Client", address.removeprefix("client:"), **attributes)
    return element("Number", address, **attributes)


def link(path: str, **parameters: str) -> str:
    """Make a URL of this application with a query; empty parameters are left out."""
    query = urlencode({name: value for name, value in parameters.items() if value})
    return f"{path}?{query}" if query else path
