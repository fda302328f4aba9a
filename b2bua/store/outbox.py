"""The persistent outbox: a callback is stored before its first try, and is owed until it is settled.

``MemoryOutbox`` provides order, retries and back-off; this module adds the rows. Callbacks owed when the node
ends, in whatever way, are sent by the next node that starts, with the same idempotency token: delivery is at
least once. If several nodes share one database, a starting node also sends what the others owe then.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from b2bua.core.credentials import without_userinfo
from b2bua.core.errors import WebhookError
from b2bua.core.ids import CallSid
from b2bua.store.records import OutboxRow
from b2bua.store.store import Store
from b2bua.watch import Watch
from b2bua.web.outbox import MemoryOutbox, Report, RetryPolicy, Webhooks
from b2bua.web.webhooks import WebhookAnswer, WebhookRequest

__all__ = ["StoreOutbox"]

_log = logging.getLogger(__name__)

_RECENT = timedelta(minutes=5)
"""A controller that was started later knows no session of the one before."""


class _Noted:
    """The sender of one callback: the first try waits for its row, and every failure is noted there.

    Args:
        store: the store that holds the row.
        via: sends the request.
        request: the request as it was posted.
        row: the stored record of the callback.
    """

    def __init__(self, store: Store, via: Webhooks, request: WebhookRequest, row: OutboxRow) -> None:
        self._store = store
        self._via = via
        self.posted = request
        self.row = row
        self._written: asyncio.Task[bool] | None = None

    def write(self) -> None:
        """Begin to write the row."""
        self._written = asyncio.ensure_future(self._store.keep(self.row))

    async def request(self, request: WebhookRequest) -> WebhookAnswer:
        """Try the request once (``Webhooks``)."""
        if self._written is not None:
            written, self._written = self._written, None
            if not await written:
                # Sending a callback that a crash may lose is better than never sending it.
                _log.error("status callback could not be written down", extra={"call_sid": self.row.call_sid})
        self._note(tries=self.row.tries + 1, tried_at=datetime.now(UTC))
        try:
            return await self._via.request(self.posted)
        except WebhookError as err:
            self._note(error=f"{err.number} {err.text}")
            self._store.put(self.row)
            raise
        except Exception as err:  # a bug in our code, which a retry would hit again
            self.settle(type(err).__name__)
            raise

    def settle(self, error: str) -> None:
        """Mark the callback as settled; its URL, now kept only for display, loses its credentials."""
        self._note(settled_at=datetime.now(UTC), error=error, url=without_userinfo(self.row.url))
        self._store.put(self.row)

    def _note(self, **changes: Any) -> None:
        self.row = msgspec.structs.replace(self.row, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owed(WebhookRequest):
    """A request with its stored callback."""

    noted: _Noted = field(repr=False, compare=False)


class StoreOutbox:
    """Implements ``web.outbox.Outbox`` with callbacks that survive a restart. Thread: loop.

    Args:
        store: the store for callbacks.
        new_webhooks: makes the sender for a call that has none of its own: ``WebhookClient.for_call``.
        policy: the retry policy.
        report: called with the result of each callback.
        watch: supervises the process's background tasks; None: a new one is used.
    """

    def __init__(
        self,
        store: Store,
        new_webhooks: Callable[[], Webhooks],
        *,
        policy: RetryPolicy | None = None,
        report: Report | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._store = store
        self._new_webhooks = new_webhooks
        self._report = report
        self._memory = MemoryOutbox(new_webhooks, policy=policy, report=self._settle, watch=watch)
        self._sequence = 0
        self._earlier: set[str | None] = set()
        """Tokens of callbacks that an earlier run has posted not long ago."""

    def __len__(self) -> int:
        """Return the number of callbacks not settled yet."""
        return len(self._memory)

    async def resume(self) -> int:
        """Send the callbacks owed from before the start; call once, before anything is posted.

        Returns:
            The number of callbacks.
        """
        self._earlier = {row.token for row in await self._store.callbacks_since(datetime.now(UTC) - _RECENT)}
        owed = await self._store.owed_callbacks()
        senders: dict[str, Webhooks] = {}
        for row in owed:
            self._sequence = max(self._sequence, row.sequence)
            if row.call_sid not in senders:
                senders[row.call_sid] = self._new_webhooks()
            request = WebhookRequest(
                url=row.url,
                method=row.method,
                params=row.params,
                idempotency_token=row.token,
                expects_document=False,
            )
            self._post(_Noted(self._store, senders[row.call_sid], request, row))
        if owed:
            _log.info("resuming status callbacks of the previous run", extra={"count": len(owed)})
        return len(owed)

    def knows(self, token: str) -> bool:
        """See ``web.outbox.Outbox``."""
        return token in self._earlier

    def post(self, call: CallSid, request: WebhookRequest, via: Webhooks | None = None) -> None:
        """Queue ``request`` behind the others of ``call``, and return at once (``MemoryOutbox.post``)."""
        # Microseconds, so that callbacks posted after a restart come after those from before it.
        self._sequence = max(self._sequence + 1, time.time_ns() // 1000)
        row = OutboxRow(
            id=secrets.token_hex(16),
            call_sid=call,
            sequence=self._sequence,
            url=request.url,
            method=request.method,
            params=request.params,
            token=request.idempotency_token,
            created_at=datetime.now(UTC),
        )
        noted = _Noted(self._store, via or self._new_webhooks(), request, row)
        self._post(noted)
        noted.write()

    async def drain(self, deadline_s: float) -> int:
        """Deliver what is left, then stop. Callbacks not delivered in time are sent after the next start."""
        left = await self._memory.drain(deadline_s)
        await self._store.flush()
        return left

    def _post(self, noted: _Noted) -> None:
        posted = noted.posted
        request = _Owed(
            url=posted.url,
            method=posted.method,
            params=posted.params,
            idempotency_token=posted.idempotency_token,
            expects_document=posted.expects_document,
            noted=noted,
        )
        self._memory.post(CallSid(noted.row.call_sid), request, noted)

    def _settle(self, call: CallSid, request: WebhookRequest, error: WebhookError | None) -> None:
        assert isinstance(request, _Owed)
        request.noted.settle("" if error is None else f"{error.number} {error.text}")
        if self._report is not None:
            self._report(call, request.noted.posted, error)
