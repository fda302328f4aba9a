"""A log of headers that the workers' library cannot read: the peer, the header and its value."""

import logging
from typing import Final

from b2bua.sip.flow import Flow
from b2bua.sip.message import Message
from b2bua.sip.soft_state import SoftState

__all__ = ["Oddities"]

log = logging.getLogger(__name__)

AGAIN_S: Final = 3600.0
MAX_KNOWN: Final = 1000
_SHOWN: Final = 200


class Oddities:
    """Logs each source and header once an hour: a provider's messages are odd in every call."""

    def __init__(self) -> None:
        self._reported: SoftState[tuple[str, str], None] = SoftState(MAX_KNOWN)

    def report_carried(self, message: Message, came_from: Flow, now: float) -> None:
        """Log which headers of a repaired message are carried past the library."""
        for header in message.headers:
            if header.shown:
                self.report(header.name, "passed around pjsip", came_from, now, header.text)

    def report(self, name: str, reason: str, came_from: Flow, now: float, value: str = "") -> None:
        """Log a header, unless that was done within ``AGAIN_S``."""
        key = (came_from.host, name)
        if self._reported.known(key, now):
            return
        self._reported.put(key, None, now + AGAIN_S)
        details = {"header": name, "reason": reason, "pii_source": came_from.source}
        log.info("unreadable header", extra={**details, "pii_value": value[:_SHOWN]})
