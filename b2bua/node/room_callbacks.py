"""The status callbacks of conference rooms, in order within a room. Thread: the controller's loop."""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from b2bua.calls.orders import NoteFinding
from b2bua.core.errors import WebhookError
from b2bua.core.ids import CallSid
from b2bua.core.room_inputs import Entrant
from b2bua.core.room_outputs import RoomEvent
from b2bua.store.records import ConferenceRow
from b2bua.twiml.findings import make_finding
from b2bua.web.outbox import Outbox, Webhooks
from b2bua.web.webhooks import WebhookAnswer, WebhookRequest

__all__ = ["RoomCallbacks"]

_REFUSED = 16011


class _Noticing:
    """Sends a callback, and tells once that the application has refused it.

    Args:
        via: sends it.
        refused: told the HTTP status.
    """

    def __init__(self, via: Webhooks, refused: Callable[[int], None]) -> None:
        self._via = via
        self._refused: Callable[[int], None] | None = refused

    async def request(self, request: WebhookRequest) -> WebhookAnswer:
        """Send one request (``Webhooks``)."""
        try:
            return await self._via.request(request)
        except WebhookError as error:
            if error.status >= 400 and self._refused is not None:
                self._refused(error.status)
                self._refused = None
            raise


class RoomCallbacks:
    """Sends the events of rooms to the application.

    Args:
        outbox: delivers them.
        webhooks: makes what sends a request.
        hang_up: ends a call that was made for a room and never came to it.
        note: keeps a finding.
    """

    def __init__(
        self,
        outbox: Outbox,
        webhooks: Callable[[], Webhooks],
        hang_up: Callable[[CallSid], object],
        note: Callable[[NoteFinding], object],
    ) -> None:
        self._outbox = outbox
        self._webhooks = webhooks
        self.hang_up = hang_up
        self._note = note

    def send(self, room: ConferenceRow, first: Entrant, event: RoomEvent) -> None:
        """Send one event to where the room's first entrant wants it."""
        callback = first.callback
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
        about = CallSid(dict(event.fields).get("CallSid", first.call))

        def refused(status: int) -> None:
            finding = make_finding(_REFUSED, f"{event.name} was answered with HTTP status {status}")
            self._note(NoteFinding(call_sid=about, finding=finding))

        # The outbox keeps the order of all that has the same first argument.
        self._outbox.post(CallSid(room.sid), request, _Noticing(self._webhooks(), refused))
