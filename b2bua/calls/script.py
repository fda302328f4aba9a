"""The script of a call, from a configured number or from a request to make a call."""

import msgspec

from b2bua.settings import NumberSettings
from b2bua.twiml.parse import ParsedDocument
from b2bua.twiml.verbs import Method

__all__ = ["Script"]


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """The source of the first document (``document``, else ``file``, else ``url``), and where to report."""

    url: str = ""
    """The URL of the document; if another source is set, the base of that document's relative URLs."""
    method: Method = "POST"
    file: str = ""
    """Path of a TwiML file named by the configuration."""
    document: ParsedDocument | None = None
    """A document supplied with the request."""
    fallback_url: str = ""
    fallback_method: Method = "POST"
    status_callback: str = ""
    status_callback_method: Method = "POST"
    status_callback_events: tuple[str, ...] = ("completed",)
    """Any of ``initiated``, ``ringing``, ``answered`` and ``completed``."""

    @classmethod
    def of(cls, number: NumberSettings) -> "Script":
        """Return the script of a configured number."""
        return cls(
            url=number.voice_url,
            method=number.voice_method,
            file=str(number.twiml) if number.twiml else "",
            fallback_url=number.fallback_url,
            fallback_method=number.fallback_method,
            status_callback=number.status_callback,
            status_callback_method=number.status_callback_method,
        )
