"""Delivers status callbacks, in order within a call, with retries until they are too old.

A callback that cannot be delivered delays only the later ones of its own call. Delivery is at least once: the
idempotency token in the request is the same for each attempt.
"""

import asyncio
import functools
import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from b2bua.core.errors import LocalStateError, WebhookError
from b2bua.core.ids import CallSid
from b2bua.watch import Watch, Watched
from b2bua.web.webhooks import WebhookAnswer, WebhookRequest

__all__ = ["MemoryOutbox", "Outbox", "RetryPolicy", "Webhooks"]

MAX_PENDING: Final = 10_000
"""Callbacks pending for all calls. New ones beyond it are dropped: the application has been away too long."""

_TRY_AGAIN: Final = frozenset((408, 425, 429))
"""The 4xx statuses for a temporary condition, not a bad request (RFC 9110 §15.5.9, RFC 8470, RFC 6585)."""

_log = logging.getLogger(__name__)


class Webhooks(Protocol):
    """The sender of callbacks: ``CallWebhooks``, or one for a test."""

    async def request(self, request: WebhookRequest) -> WebhookAnswer:
        """Send one request; raises WebhookError if it fails."""


Report = Callable[[CallSid, WebhookRequest, WebhookError | None], None]
"""Called for each settled callback, with None if it was delivered, otherwise with the last error."""


class Outbox(Protocol):
    """A queue of callbacks; an outbox that keeps them in the store has the same interface."""

    def post(self, call: CallSid, request: WebhookRequest, via: Webhooks | None = None) -> None:
        """Queue ``request`` behind the others of ``call``; returns at once."""

    def knows(self, token: str) -> bool:
        """Return whether an earlier run has posted a request with this idempotency token."""

    async def drain(self, deadline_s: float) -> int:
        """Deliver the pending callbacks, then stop. Returns how many were not delivered in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a callback is retried, and for how long."""

    first_delay_s: float = 1.0
    factor: float = 2.0
    max_delay_s: float = 60.0
    max_tries: int = 10
    max_age_s: float = 600.0
    """Age since it was posted. Older callbacks still get one attempt, since they waited for others."""

    def delay_s(self, tries: int, jitter: float) -> float:
        """Return the delay after ``tries`` failed attempts.

        Args:
            tries: 1 or more.
            jitter: 0..1, uniformly distributed; the delay is 0.5 to 1.5 times the planned one, so that the
                callbacks of all calls do not hit a recovering server at once.
        """
        # The exponent is bounded before the power is taken: a float overflows beyond 2 ** 1023.
        planned = self.first_delay_s * self.factor ** min(tries - 1, 64)
        return min(planned, self.max_delay_s) * (0.5 + jitter)

    def is_worth_it(self, error: WebhookError) -> bool:
        """Return whether the same request may succeed later."""
        if error.number == 11100:
            return False
        return not 400 <= error.status < 500 or error.status in _TRY_AGAIN


@dataclass(slots=True)
class _Pending:
    request: WebhookRequest
    via: Webhooks
    posted_at: float


@dataclass(slots=True)
class _Lane:
    """The callbacks of one call, oldest first, and the task that sends them."""

    pending: deque[_Pending] = field(default_factory=deque)
    task: Watched | None = None


class MemoryOutbox:
    """An Outbox in memory, lost when the process ends.

    Thread: loop.

    Args:
        new_webhooks: makes the sender for a call without its own: ``WebhookClient.for_call``.
        policy: the retry policy.
        report: called when a callback is settled.
        watch: supervises the process's background tasks; None: a private one.
    """

    def __init__(
        self,
        new_webhooks: Callable[[], Webhooks],
        *,
        policy: RetryPolicy | None = None,
        report: Report | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._new_webhooks = new_webhooks
        self._policy = policy or RetryPolicy()
        self._report = report
        self._watch = watch or Watch()
        self._lanes: dict[CallSid, _Lane] = {}
        self._pending = 0
        self._draining = asyncio.Event()
        self._stopped = False

    def __len__(self) -> int:
        """Return the number of callbacks not settled yet."""
        return self._pending

    def post(self, call: CallSid, request: WebhookRequest, via: Webhooks | None = None) -> None:
        """Queue ``request`` behind the others of ``call``; returns at once.

        Args:
            call: the call in whose order the callback is delivered.
            request: the callback, with its idempotency token.
            via: the call's own webhooks, for their cookies and credentials.

        Raises:
            LocalStateError: after ``drain`` has returned.
        """
        if self._stopped:
            raise LocalStateError("status callback after the outbox was drained")
        if self._pending >= MAX_PENDING:
            _log.error("status callback dropped: outbox full", extra={"call_sid": call})
            return
        lane = self._lanes.setdefault(call, _Lane())
        loop = asyncio.get_running_loop()
        lane.pending.append(_Pending(request, via or self._new_webhooks(), loop.time()))
        self._pending += 1
        if lane.task is None:
            work = functools.partial(self._work_off, call, lane)
            lane.task = self._watch.run(f"status callbacks {call}", work, ends=True)

    def knows(self, token: str) -> bool:
        """See ``Outbox``; nothing outlives a run here."""
        return False

    async def drain(self, deadline_s: float) -> int:
        """Deliver the pending callbacks, with short pauses between attempts, then stop.

        Args:
            deadline_s: seconds from now; callbacks not delivered by then are given up and counted.
        """
        self._draining.set()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + deadline_s
        while (tasks := self._tasks()) and (left_s := deadline - loop.time()) > 0:
            await asyncio.wait(tasks, timeout=left_s)
        self._stopped = True
        lost, self._pending = self._pending, 0
        await asyncio.gather(*(lane.task.close() for lane in self._lanes.values() if lane.task is not None))
        self._lanes.clear()
        if lost:
            _log.warning("status callbacks not delivered before the end", extra={"count": lost})
        return lost

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [lane.task.task for lane in self._lanes.values() if lane.task is not None]

    async def _work_off(self, call: CallSid, lane: _Lane) -> None:
        while lane.pending:
            await self._deliver(call, lane.pending[0])
            lane.pending.popleft()
            self._pending -= 1
        # There is no await since the last check of the lane, so nothing can have been added.
        del self._lanes[call]

    async def _deliver(self, call: CallSid, item: _Pending) -> None:
        try:
            error = await self._try_until_settled(item)
            if error is not None:
                extra = {
                    "call_sid": call,
                    "number": error.number,
                    "status": error.status,
                    "pii_url": error.url,
                }
                _log.warning("status callback given up", extra=extra)
            if self._report is not None:
                self._report(call, item.request, error)
        except Exception:  # a bug in one callback must not stop the others
            _log.exception("status callback failed", extra={"call_sid": call})

    async def _try_until_settled(self, item: _Pending) -> WebhookError | None:
        loop = asyncio.get_running_loop()
        tries = 0
        while True:
            tries += 1
            try:
                await item.via.request(item.request)
            except WebhookError as err:
                if tries >= self._policy.max_tries or not self._policy.is_worth_it(err):
                    return err
                delay_s = self._policy.delay_s(tries, random.random())
                if loop.time() + delay_s - item.posted_at > self._policy.max_age_s:
                    return err
            else:
                return None
            await self._pause(delay_s)

    async def _pause(self, delay_s: float) -> None:
        if self._draining.is_set():
            await asyncio.sleep(min(delay_s, self._policy.first_delay_s))
            return
        try:
            async with asyncio.timeout(delay_s):
                await self._draining.wait()
        except TimeoutError:
            pass
