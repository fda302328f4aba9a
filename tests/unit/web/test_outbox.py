import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from b2bua.core.errors import LocalStateError, WebhookError
from b2bua.core.ids import CallSid
from b2bua.web import outbox as outbox_module
from b2bua.web.outbox import MemoryOutbox, RetryPolicy
from b2bua.web.webhooks import WebhookAnswer, WebhookRequest

pytestmark = pytest.mark.unit

A, B = CallSid("CA" + "a" * 32), CallSid("CA" + "b" * 32)
AT_ONCE = RetryPolicy(first_delay_s=0.0)
OK = WebhookAnswer(url="", status=204, content_type="", charset="utf-8", body=b"", attempts=1, elapsed_s=0.0)


def callback(name: str) -> WebhookRequest:
    return WebhookRequest(url=f"http://a/{name}", idempotency_token=name, expects_document=False)


def failure(number: int = 11205, status: int = 0) -> WebhookError:
    return WebhookError(number, "no", url="http://a/", status=status)


class Application:
    """Receives what the outbox sends; fails as often as set."""

    def __init__(self) -> None:
        self.got: list[WebhookRequest] = []
        self.failures: list[BaseException] = []
        self.hang = asyncio.Event()
        self.hang.set()
        self.asked = asyncio.Event()

    @property
    def names(self) -> list[str | None]:
        return [request.idempotency_token for request in self.got]

    async def request(self, request: WebhookRequest) -> WebhookAnswer:
        self.got.append(request)
        self.asked.set()
        await self.hang.wait()
        if self.failures:
            raise self.failures.pop(0)
        return OK


Settled = list[tuple[CallSid, str | None, int | None]]


def make(app: Application, policy: RetryPolicy = AT_ONCE) -> tuple[MemoryOutbox, Settled]:
    settled: Settled = []

    def report(call: CallSid, request: WebhookRequest, error: WebhookError | None) -> None:
        settled.append((call, request.idempotency_token, error.number if error else None))

    return MemoryOutbox(lambda: app, policy=policy, report=report), settled


async def test_callbacks_of_a_call_go_out_in_order_one_at_a_time() -> None:
    app = Application()
    outbox, settled = make(app)
    app.hang.clear()
    for name in ("initiated", "ringing", "completed"):
        outbox.post(A, callback(name))
    await app.asked.wait()
    assert app.names == ["initiated"] and len(outbox) == 3
    app.hang.set()
    assert await outbox.drain(10) == 0
    assert app.names == ["initiated", "ringing", "completed"]
    assert settled == [(A, name, None) for name in app.names]
    assert len(outbox) == 0


async def test_a_call_that_hangs_delays_no_other() -> None:
    dead, alive = Application(), Application()
    dead.hang.clear()
    outbox, _ = make(Application())
    outbox.post(A, callback("one"), via=dead)
    outbox.post(A, callback("two"), via=dead)
    await dead.asked.wait()
    outbox.post(B, callback("three"), via=alive)
    await alive.asked.wait()
    assert dead.names == ["one"]
    dead.hang.set()
    assert await outbox.drain(10) == 0


async def test_a_lane_that_is_broken_off_goes_on_where_it_was() -> None:
    app = Application()
    app.failures = [asyncio.CancelledError()]  # somebody else's: no Exception, so that nothing catches it
    outbox, settled = make(app)
    for name in ("initiated", "ringing"):
        outbox.post(A, callback(name))
    assert await outbox.drain(10) == 0
    assert app.names == ["initiated", "initiated", "ringing"]
    assert settled == [(A, "initiated", None), (A, "ringing", None)]
    assert len(outbox) == 0


async def test_every_try_is_the_same_request() -> None:
    app = Application()
    app.failures = [failure(), failure(11200, 503), failure(11200, 429)]
    outbox, settled = make(app)
    outbox.post(A, callback("x"))
    assert await outbox.drain(10) == 0
    assert app.got == [callback("x")] * 4
    assert settled == [(A, "x", None)]


@pytest.mark.parametrize(("number", "status"), [(11100, 0), (11200, 404), (11200, 410)])
async def test_what_cannot_succeed_is_not_tried_again(number: int, status: int) -> None:
    app = Application()
    app.failures = [failure(number, status)]
    outbox, settled = make(app)
    outbox.post(A, callback("bad"))
    outbox.post(A, callback("good"))
    assert await outbox.drain(10) == 0
    assert app.names == ["bad", "good"]
    assert settled == [(A, "bad", number), (A, "good", None)]


@pytest.mark.parametrize(
    ("policy", "tries"), [(replace(AT_ONCE, max_tries=3), 3), (replace(AT_ONCE, max_age_s=-1.0), 1)]
)
async def test_tries_and_age_are_bounded(
    policy: RetryPolicy, tries: int, caplog: pytest.LogCaptureFixture
) -> None:
    app = Application()
    app.failures = [failure()] * 100
    outbox, settled = make(app, policy)
    outbox.post(A, callback("x"))
    assert await outbox.drain(10) == 0
    assert len(app.got) == tries
    assert settled == [(A, "x", 11205)]
    assert "status callback given up" in caplog.messages


async def test_it_is_tried_again_without_being_drained() -> None:
    app = Application()
    app.failures = [failure(), failure()]
    outbox, settled = make(app)
    outbox.post(A, callback("x"))
    async with asyncio.timeout(5):
        while len(outbox):
            app.asked.clear()
            await app.asked.wait()
            await asyncio.sleep(0)
    assert len(app.got) == 3 and settled == [(A, "x", None)]


async def test_draining_cuts_the_wait_between_tries_short() -> None:
    app = Application()
    app.failures = [failure()]
    outbox, settled = make(app, RetryPolicy(first_delay_s=100.0, max_delay_s=100.0))
    outbox.post(A, callback("x"))
    await app.asked.wait()
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert await outbox.drain(1000) == 0
    assert settled == [(A, "x", None)] and len(app.got) == 2


async def test_drain_ends_at_its_deadline_and_counts_what_is_left(caplog: pytest.LogCaptureFixture) -> None:
    app = Application()
    app.hang.clear()
    outbox, settled = make(app)
    outbox.post(A, callback("x"))
    outbox.post(A, callback("y"))
    outbox.post(B, callback("z"))
    await app.asked.wait()
    assert await outbox.drain(0.0) == 3
    assert settled == [] and len(outbox) == 0
    assert "status callbacks not delivered before the end" in caplog.messages
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_is_posted_while_draining_is_delivered_and_later_is_a_bug() -> None:
    app = Application()
    app.hang.clear()
    outbox, _ = make(app)
    outbox.post(A, callback("x"))
    draining = asyncio.create_task(outbox.drain(10))
    await app.asked.wait()
    outbox.post(A, callback("y"))
    outbox.post(B, callback("z"))
    app.hang.set()
    assert await draining == 0
    assert sorted(filter(None, app.names)) == ["x", "y", "z"]
    with pytest.raises(LocalStateError):
        outbox.post(A, callback("late"))


@pytest.mark.parametrize("in_report", [False, True])
async def test_a_bug_in_one_callback_ends_no_other(in_report: bool, caplog: pytest.LogCaptureFixture) -> None:
    app = Application()
    outbox, settled = make(app)
    if in_report:
        outbox = MemoryOutbox(lambda: app, report=_raise_once(settled))
    else:
        app.failures = [ZeroDivisionError("bug")]
    outbox.post(A, callback("x"))
    outbox.post(A, callback("y"))
    assert await outbox.drain(10) == 0
    assert app.names == ["x", "y"]
    assert settled == [(A, "y", None)]
    assert [r.levelno for r in caplog.records if r.exc_info] == [logging.ERROR]


def _raise_once(settled: Settled) -> Callable[[CallSid, WebhookRequest, WebhookError | None], None]:
    def report(call: CallSid, request: WebhookRequest, error: WebhookError | None) -> None:
        if request.idempotency_token == "x":
            raise ZeroDivisionError("bug")
        settled.append((call, request.idempotency_token, None))

    return report


async def test_a_full_outbox_drops_the_newest(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox_module, "MAX_PENDING", 2)
    app = Application()
    outbox, _ = make(app)
    for name in ("x", "y", "z"):
        outbox.post(A, callback(name))
    assert await outbox.drain(10) == 0
    assert app.names == ["x", "y"]
    assert "status callback dropped: outbox full" in caplog.messages


def test_the_back_off_doubles_up_to_a_limit_and_is_spread() -> None:
    policy = RetryPolicy(first_delay_s=1.0, factor=2.0, max_delay_s=60.0)
    assert [policy.delay_s(tries, 0.5) for tries in (1, 2, 3, 6, 7, 8, 5000)] == [1, 2, 4, 32, 60, 60, 60]
    assert (policy.delay_s(3, 0.0), policy.delay_s(3, 1.0)) == (2.0, 6.0)
