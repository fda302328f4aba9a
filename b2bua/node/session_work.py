"""Carries out what a session orders of its node: documents, prompts, callbacks, recordings, queues, rooms.

Thread: the controller's loop.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Protocol, assert_never

from b2bua.calls.orders import (
    FetchDocument,
    FinishRecording,
    FollowRecording,
    KeepRecording,
    PreparePrompt,
    ReportStatus,
    SessionInput,
    ToQueue,
    ToRoom,
)
from b2bua.calls.recording_placement import HostPart
from b2bua.node.facts import request_made
from b2bua.node.recalled_work import KeptRecording, WorkOrder
from b2bua.node.session_facts import SessionFacts
from b2bua.node.session_services import SessionServices
from b2bua.web.webhooks import CallWebhooks, WebhookRequest

__all__ = ["SessionWork", "WorkOwner"]


class WorkOwner(Protocol):
    """The session whose work it is."""

    def bring(self, event: SessionInput) -> None:
        """Give the session an answer."""

    def guarded(self) -> AbstractContextManager[None]:
        """Let an error end this session and no other."""


class SessionWork:
    """The work of one session.

    Args:
        owner: the session.
        facts: publishes what requests and prompts have shown.
        services: services of the node.
        webhooks: the session's own webhooks, which keep its cookies.
        token: returns the idempotency token of a request named within the session.
    """

    def __init__(
        self,
        owner: WorkOwner,
        facts: SessionFacts,
        services: SessionServices,
        webhooks: CallWebhooks,
        token: Callable[[str], str],
    ) -> None:
        self._owner = owner
        self._facts = facts
        self._services = services
        self._webhooks = webhooks
        self._token = token
        self._reports = 0

    def do(self, order: WorkOrder) -> None:
        """Carry out an order; an answer is brought to the session after the present step."""
        services = self._services
        match order:
            case FetchDocument():
                self._fetch(order)
            case PreparePrompt():
                services.spawn(self._prepare(order))
            case ReportStatus():
                self._report(order)
            case KeepRecording():
                pass  # ``keep``
            case FollowRecording():
                services.recordings.follow(order, self._webhooks)
            case FinishRecording():
                services.recordings.finish(order, self._owner.bring, self._webhooks)
            case ToQueue():
                services.queues.take(order, self._owner)
            case ToRoom():
                services.rooms.take(order, self._owner)
            case _:
                assert_never(order)

    def keep(self, order: KeepRecording) -> "asyncio.Future[None]":
        """Write a recording down; done before a host or the relay may begin it."""
        return self._services.recordings.keep(order)

    def take_over(self, part: HostPart) -> None:
        """A host has taken over a recording from the relay."""
        self._services.recordings.take_over(part)

    def adopt(self, kept: KeptRecording) -> None:
        """Go on with a recording that an earlier run has begun."""
        self._services.recordings.adopt(kept)

    def report_again(self, order: ReportStatus, *, is_sent: bool) -> None:
        """Send a status callback that was ordered before the node was started, unless it was noted."""
        if is_sent or self._services.outbox.knows(self._token(f"report {self._reports + 1}")):
            self._reports += 1
        else:
            self._report(order)

    def _report(self, order: ReportStatus) -> None:
        self._reports += 1
        request = WebhookRequest(
            url=order.url,
            method=order.method,
            params=(*order.params, ("Timestamp", format_datetime(datetime.now(UTC)))),
            idempotency_token=self._token(f"report {self._reports}"),
            expects_document=False,
        )
        self._services.outbox.post(order.call_sid, request, self._webhooks)

    def _fetch(self, order: FetchDocument) -> None:
        if not order.file:
            self._services.spawn(self._request(order))
        elif (fetched := self._services.documents.fresh(order)) is not None:
            asyncio.get_running_loop().call_soon(self._owner.bring, fetched)
        else:
            self._services.spawn(self._read(order))

    async def _read(self, order: FetchDocument) -> None:
        with self._owner.guarded():
            self._owner.bring(await self._services.documents.read(order))

    async def _request(self, order: FetchDocument) -> None:
        # The same again if it has to be repeated after a restart of the node.
        token = self._token(f"request {order.request}") if order.once else None
        begun = time.monotonic()
        with self._owner.guarded():
            fetched = await self._services.documents.fetch(order, self._webhooks, token)
            now = time.monotonic()
            self._facts.publish(request_made(order, fetched, now - begun), now)
            self._owner.bring(fetched.answer)

    async def _prepare(self, order: PreparePrompt) -> None:
        with self._owner.guarded():
            prepared = await self._services.prompts.prepare(order, self._webhooks)
            self._facts.note(prepared.findings)
            self._owner.bring(prepared.answer)
