"""The outbox that forgets nothing: a callback is written down before it is tried, and until it is settled.

Order, retries and back-off are ``MemoryOutbox``'s; this adds the rows. What is owed when the node ends,
however it ends, is sent by the one that starts next, with the same idempotency token: delivery is at least
once. Of several nodes with one database, one that starts sends what the others owe at that moment as well.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
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


class _Noted:
    """The webhooks of one callback: the first try waits for its row, and every failure is noted there.

    Args:
        store: where the row is.
        via: what sends.
        request: as it was posted.
        row: what is written down.
    """

    def __init__(self, store: Store, via: Webhooks, request: WebhookRequest, row: OutboxRow) -> None:
        self._store = store
        self._via = via
        self.posted = request
        self.row = row
        self._written: asyncio.Task[bool] | None = None

    def write(self) -> None:
        """Begin to write it down."""
        self._written = asyncio.ensure_future(self._store.keep(self.row))

    async def request(self, request: WebhookRequest) -> WebhookAnswer:
        """Try once; see ``Webhooks``."""
        if self._written is not None:
            written, self._written = self._written, None
            if not await written:
                # Told and perhaps forgotten is better than never told.
                _log.error("status callback could not be written down", extra={"call_sid": self.row.call_sid})
        self._note(tries=self.row.tries + 1, tried_at=datetime.now(UTC))
        try:
            return await self._via.request(self.posted)
        except WebhookError as err:
            self._note(error=f"{err.number} {err.text}")
            self._store.put(self.row)
            raise
        except Exception as err:  # a bug of ours, which another try would meet as well
            self.settle(type(err).__name__)
            raise

    def settle(self, error: str) -> None:
        """It is owed no more: its address is only shown."""
        self._note(settled_at=datetime.now(UTC), error=error, url=without_userinfo(self.row.url))
        self._store.put(self.row)

    def _note(self, **changes: Any) -> None:
        self.row = msgspec.structs.replace(self.row, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owed(WebhookRequest):
    """A request that knows its row."""

    noted: _Noted = field(repr=False, compare=False)


class StoreOutbox:
    """See the module's docstring, and ``web.outbox.Outbox``, which this is. Thread: loop.

    Args:
        store: where callbacks are written down.
        new_webhooks: makes the sender of a call that has none of its own: ``WebhookClient.for_call``.
        policy: of retries.
        report: told how each callback ended.
        watch: of the process's background tasks; None: nobody asks for it.
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

    def __len__(self) -> int:
        """Callbacks not settled yet."""
        return len(self._memory)

    async def resume(self) -> int:
        """Send what is owed from before; to be called once, before anything is posted.

        Returns:
            How many.
        """
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
            _log.info("status callbacks are owed from before", extra={"count": len(owed)})
        return len(owed)

    def post(self, call: CallSid, request: WebhookRequest, via: Webhooks | None = None) -> None:
        """Put ``request`` behind the others of ``call``; returns at once. See ``MemoryOutbox.post``."""
        # Microseconds, so that what is posted after a restart comes behind what was before it.
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
        """Deliver what is left, then stop. What is not delivered in time is sent after the next start."""
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
