"""Chooses the document of a call, by the configured numbers or by the default plan of a node without numbers.

In the default plan, a user's name rings that user's phones (``user.xml``), and 100, 600, 601 and 602 are test
numbers (see the files in the directory of ``user.xml``).
"""

import functools
from typing import Final

from b2bua.calls.caller import request_user
from b2bua.calls.script import Script
from b2bua.core.admission import AdmittedCall
from b2bua.resources import config_file
from b2bua.settings import Settings
from b2bua.sip.uri import subscriber
from b2bua.twiml import verbs
from b2bua.twiml.parse import ParsedDocument, parse
from b2bua.web.api.number_book import NumberBook

__all__ = ["script_for"]

_TRIALS: Final = {
    "100": str(config_file("hello.xml")),
    "601": str(config_file("ringback.xml")),
    "602": str(config_file("record.xml")),
}
_RING_USER: Final = config_file("user.xml").read_text(encoding="utf-8")
_ECHO: Final = "600"


def script_for(call: AdmittedCall, settings: Settings, numbers: NumberBook) -> Script | None:
    """Return the script for a call; None if the number is unknown."""
    user = request_user(call.invite.request_uri)
    number = numbers.for_user(user, call.origin)
    if number is not None:
        return Script.of(number)
    if settings.numbers:
        return None
    called = subscriber(user)
    if any(called == user.name for user in settings.users):
        return Script(document=_ring_user(called))
    if called == _ECHO:
        echo = verbs.Response(line=1, column=1, verbs=(verbs.Echo(line=1, column=1),))
        return Script(document=ParsedDocument(response=echo, findings=()))
    if called in _TRIALS:
        return Script(file=_TRIALS[called])
    return None


@functools.lru_cache(1000)
def _ring_user(name: str) -> ParsedDocument:
    return parse(_RING_USER.replace("{user}", name))
