"""Stored callbacks: before the first attempt, until they are settled, across restarts."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from b2bua.core.errors import WebhookError
from b2bua.core.ids import CallSid
from b2bua.store.outbox import StoreOutbox
from b2bua.store.records import OutboxRow
from b2bua.store.store import Store
from b2bua.web.outbox import Outbox, RetryPolicy
from b2bua.web.webhooks import WebhookAnswer, WebhookRequest
from tests.peer.ladder import PATIENCE_S

pytestmark = pytest.mark.process

A, B = CallSid("CA" + "a" * 32), CallSid("CA" + "b" * 32)
AT_ONCE = RetryPolicy(first_delay_s=0.0)
OK = WebhookAnswer(url="", status=204, content_type="", charset="utf-8", body=b"", attempts=1, elapsed_s=0.0)


def callback(name: str) -> WebhookRequest:
    params = (("CallStatus", name), ("To", "+1"))
    return WebhookRequest(
        url=f"http://a/{name}", params=params, idempotency_token=name, expects_document=False
    )


def failure(number: int = 11205, status: int = 0) -> WebhookError:
    return WebhookError(number, "no", url="http://a/", status=status)


class Application:
    """Receives callbacks, and notes what was stored at that moment."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.got: list[WebhookRequest] = []
        self.owed: list[list[tuple[str | None, int, str]]] = []
        self.failures: list[Exception] = []
        self.hang = asyncio.Event()
        self.hang.set()
        self.asked = asyncio.Event()

    @property
    def names(self) -> list[str | None]:
        return [request.idempotency_token for request in self.got]

    async def request(self, request: WebhookRequest) -> WebhookAnswer:
        self.got.append(request)
        self.owed.append([(row.token, row.tries, row.error) for row in await self._store.owed_callbacks()])
        self.asked.set()
        await self.hang.wait()
        if self.failures:
            raise self.failures.pop(0)
        return OK


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/b2bua.db"


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = await Store.open(url, wait_s=PATIENCE_S)
    yield store
    await store.close()


def make(store: Store, app: Application, policy: RetryPolicy = AT_ONCE) -> StoreOutbox:
    return StoreOutbox(store, lambda: app, policy=policy)


async def test_a_callback_is_written_down_before_it_is_tried_and_not_owed_after(store: Store) -> None:
    app = Application(store)
    outbox = make(store, app)
    face: Outbox = outbox
    face.post(A, callback("ringing"))
    assert len(outbox) == 1
    assert await outbox.drain(10) == 0
    assert app.got == [callback("ringing")]
    assert app.owed == [[("ringing", 0, "")]]
    assert await store.owed_callbacks() == ()


async def test_each_failed_try_is_noted(store: Store) -> None:
    app = Application(store)
    app.failures = [failure(), failure(11200, 503)]
    outbox = make(store, app)
    outbox.post(A, callback("ringing"))
    assert await outbox.drain(10) == 0
    assert app.got == [callback("ringing")] * 3
    assert app.owed == [[("ringing", 0, "")], [("ringing", 1, "11205 no")], [("ringing", 2, "11200 no")]]


async def test_what_cannot_succeed_is_settled_and_reported(store: Store) -> None:
    app = Application(store)
    app.failures = [failure(11200, 404), ZeroDivisionError("bug")]
    told: list[tuple[CallSid, WebhookRequest, int | None]] = []
    outbox = StoreOutbox(
        store,
        lambda: app,
        report=lambda call, request, error: told.append((call, request, error and error.number)),
    )
    for name in ("one", "two", "three"):
        outbox.post(A, callback(name))
    assert await outbox.drain(10) == 0
    assert app.names == ["one", "two", "three"]
    assert told == [(A, callback("one"), 11200), (A, callback("three"), None)]
    assert await store.owed_callbacks() == ()


async def test_a_call_that_hangs_delays_no_other(store: Store) -> None:
    dead, alive = Application(store), Application(store)
    dead.hang.clear()
    outbox = make(store, dead)
    outbox.post(A, callback("one"))
    outbox.post(A, callback("two"))
    await dead.asked.wait()
    outbox.post(B, callback("three"), alive)
    await alive.asked.wait()
    assert dead.names == ["one"]
    dead.hang.set()
    assert await outbox.drain(10) == 0
    assert dead.names == ["one", "two"]


async def test_what_was_not_delivered_is_sent_by_the_next_node_in_order(url: str) -> None:
    store = await Store.open(url)
    app = Application(store)
    app.hang.clear()
    outbox = make(store, app)
    for name in ("one", "two", "three"):
        outbox.post(A, callback(name))
    outbox.post(B, callback("other"))
    await app.asked.wait()
    assert await outbox.drain(0.0) == 4
    await store.close()

    store = await Store.open(url)
    made: list[Application] = []

    def new_webhooks() -> Application:
        made.append(Application(store))
        return made[-1]

    outbox = StoreOutbox(store, new_webhooks, policy=AT_ONCE)
    assert await outbox.resume() == 4
    outbox.post(A, callback("four"), made[0])
    assert await outbox.drain(10) == 0
    assert [app.got for app in made] == [
        [callback(name) for name in ("one", "two", "three", "four")],
        [callback("other")],
    ]
    assert await store.owed_callbacks() == ()
    assert await make(store, app).resume() == 0
    await store.close()


async def test_the_order_survives_a_clock_that_is_set_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Application(store)
    app.hang.clear()
    outbox = make(store, app)
    outbox.post(A, callback("one"))
    monkeypatch.setattr("b2bua.store.outbox.time.time_ns", lambda: 1_000_000)
    outbox.post(A, callback("two"))
    assert [row.token for row in await store.owed_callbacks()] == ["one", "two"]
    assert await outbox.drain(0.0) == 2


async def test_a_callback_goes_out_when_it_cannot_be_written_down(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(record: OutboxRow) -> bool:
        return False

    app = Application(store)
    monkeypatch.setattr(store, "keep", refuse)
    outbox = make(store, app)
    outbox.post(A, callback("one"))
    assert await outbox.drain(10) == 0
    assert app.names == ["one"]
    assert "status callback could not be written down" in caplog.messages
