"""What a call runs and whom it tells: of a configured number, or of a request to make a call."""

import msgspec

from b2bua.settings import NumberSettings
from b2bua.twiml.parse import ParsedDocument
from b2bua.twiml.verbs import Method

__all__ = ["Script"]


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """Where the first document is from (``document``, else ``file``, else ``url``), and where to report."""

    url: str = ""
    """Asked for the document; where another source is set, what its relative URLs resolve against."""
    method: Method = "POST"
    file: str = ""
    """Path of a TwiML file of the configuration."""
    document: ParsedDocument | None = None
    """Given with the request."""
    fallback_url: str = ""
    fallback_method: Method = "POST"
    status_callback: str = ""
    status_callback_method: Method = "POST"
    status_callback_events: tuple[str, ...] = ("completed",)
    """Of initiated, ringing, answered, completed."""

    @classmethod
    def of(cls, number: NumberSettings) -> "Script":
        """What a configured number runs."""
        return cls(
            url=number.voice_url,
            method=number.voice_method,
            file=str(number.twiml) if number.twiml else "",
            fallback_url=number.fallback_url,
            fallback_method=number.fallback_method,
            status_callback=number.status_callback,
            status_callback_method=number.status_callback_method,
        )
