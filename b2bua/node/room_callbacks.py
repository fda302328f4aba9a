"""The status callbacks of conference rooms, in order within a room. Thread: the controller's loop."""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from b2bua.core.ids import CallSid
from b2bua.core.room_inputs import RoomCallback
from b2bua.core.room_outputs import RoomEvent
from b2bua.store.records import ConferenceRow
from b2bua.web.outbox import Outbox
from b2bua.web.webhooks import WebhookRequest

__all__ = ["RoomCallbacks"]


class RoomCallbacks:
    """Sends the events of rooms to the application.

    Args:
        outbox: delivers them.
        hang_up: ends a call that was made for a room and never came to it.
    """

    def __init__(self, outbox: Outbox, hang_up: Callable[[CallSid], object]) -> None:
        self._outbox = outbox
        self.hang_up = hang_up

    def send(self, room: ConferenceRow, callback: RoomCallback | None, event: RoomEvent) -> None:
        """Send one event."""
        if callback is None:
            return
        at = datetime.now(UTC) - timedelta(seconds=time.monotonic() - event.at)
        params = (
            ("ConferenceSid", room.sid),
            ("FriendlyName", room.friendly_name),
            ("AccountSid", room.account_sid),
            ("SequenceNumber", str(event.sequence)),
            ("Timestamp", format_datetime(at)),
            ("StatusCallbackEvent", event.name),
            *event.fields,
        )
        request = WebhookRequest(
            url=callback.url,
            method=callback.method,
            params=params,
            idempotency_token=secrets.token_hex(16),
            expects_document=False,
        )
        # The outbox keeps the order of all that has the same first argument.
        self._outbox.post(CallSid(room.sid), request)
