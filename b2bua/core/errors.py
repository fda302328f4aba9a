"""The hierarchy of all our exceptions.

::

    B2buaError
    ├── ConfigError          the configuration asks for something we cannot do
    ├── TwimlError           a document cannot be run (number, line, column)
    ├── CapacityError        no worker, slot or port is free
    ├── LocalStateError      we misused one of our own objects: a bug of ours
    ├── PeerError            the SIP peer sent something illegal (sip_status_hint: the status to answer with)
    ├── WebhookError         the web application gave no usable answer (number, url, status)
    └── MediaError           an audio file cannot be read or made

Expected outcomes of a call (busy, no answer) are values, never exceptions: see ``outcomes``.
"""

__all__ = [
    "B2buaError",
    "CapacityError",
    "ConfigError",
    "LocalStateError",
    "MediaError",
    "PeerError",
    "TwimlError",
    "WebhookError",
]


class B2buaError(Exception):
    """Root of the hierarchy. ``sip_status_hint`` is the status for the caller if no better one is known."""

    sip_status_hint = 500


class ConfigError(B2buaError):
    """The configuration is wrong; the text names the key."""


class TwimlError(B2buaError):
    """A document cannot be run at all (a fatal finding).

    Args:
        number: the hosted service's error number, e.g. 12100.
        text: description of the error for people.
        line: 1-based; 0 where unknown.
        column: 1-based; 0 where unknown.
    """

    def __init__(self, number: int, text: str, *, line: int = 0, column: int = 0) -> None:
        super().__init__(f"{number} {text}")
        self.number = number
        self.text = text
        self.line = line
        self.column = column


class CapacityError(B2buaError):
    """No resource is free for the call; it may be tried again later."""

    sip_status_hint = 503


class LocalStateError(B2buaError):
    """One of our own objects was asked for something its state does not allow: a bug of ours."""


class PeerError(B2buaError):
    """A peer sent something illegal.

    Args:
        sip_status_hint: the status to answer with, e.g. 400.
    """

    def __init__(self, text: str, *, sip_status_hint: int = 400) -> None:
        super().__init__(text)
        self.sip_status_hint = sip_status_hint


class WebhookError(B2buaError):
    """The web application did not give a usable answer.

    Args:
        number: 11100, 11200, 11205, 11210, 11215, 11220, 11750, 11770 or 12300.
        url: the requested URL without its fragment.
        status: the HTTP status; 0 if there was none.
    """

    def __init__(self, number: int, text: str, *, url: str, status: int = 0) -> None:
        super().__init__(f"{number} {text}: {url}")
        self.number = number
        self.text = text
        self.url = url
        self.status = status


class MediaError(B2buaError):
    """An audio file cannot be read, made or written."""
