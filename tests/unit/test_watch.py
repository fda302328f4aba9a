"""Background tasks: none ends silently, each is restarted, and one that does not come back is a reason."""

import ast
import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import b2bua
from b2bua import watch as watch_module
from b2bua.core.errors import B2buaError
from b2bua.watch import Restarts, Watch

pytestmark = pytest.mark.unit


class TestRestarts:
    def test_pauses_grow_up_to_a_limit(self) -> None:
        restarts = Restarts()
        pauses = []
        for now in range(20):
            restarts.works(now)
            pauses.append(restarts.ended("x", now))
        assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
        assert pauses[-1] == 30.0
        assert pauses == sorted(pauses)

    def test_who_has_worked_for_long_begins_anew(self) -> None:
        restarts = Restarts()
        restarts.works(0)
        restarts.ended("x", 1)
        restarts.works(2)
        assert restarts.ended("x", 31.9) == 0.2
        restarts.works(32)
        assert restarts.ended("x", 62) == 0.1

    def test_what_is_long_depends_on_the_task(self) -> None:
        restarts = Restarts(steady_s=1.0)
        for now in (0, 10, 20):
            restarts.works(now)
            assert restarts.ended("x", now + 1) == 0.1
        restarts.works(30)
        assert restarts.ended("x", 30.9) == 0.2

    def test_one_end_that_is_mended_soon_is_no_trouble(self) -> None:
        restarts = Restarts()
        restarts.works(0)
        assert restarts.trouble(0) == ""
        restarts.ended("it has died", 10)
        assert restarts.trouble(10.1) == ""
        assert restarts.trouble(12) == "it has died"
        restarts.works(13)
        assert restarts.trouble(13) == ""

    def test_one_that_ends_again_before_it_works_is(self) -> None:
        restarts = Restarts()
        restarts.works(0)
        restarts.ended("it has died", 10)
        restarts.ended("no such file", 10.1)
        assert restarts.trouble(10.1) == "no such file"

    def test_one_that_has_not_begun_to_work_yet_is_not(self) -> None:
        assert Restarts().trouble(100) == ""


@pytest.fixture
async def watch(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watch]:
    monkeypatch.setattr(watch_module, "_FIRST_PAUSE_S", 0.0)
    watch = Watch()
    yield watch
    await watch.close()


class Work:
    """Fails in one way after another, then works."""

    def __init__(self, *ends: BaseException | None) -> None:
        self.ends = list(ends)
        self.lasts = asyncio.Event()
        self.runs = 0

    async def __call__(self) -> None:
        self.runs += 1
        if not self.ends:
            self.lasts.set()
            await asyncio.Event().wait()
        end = self.ends.pop(0)
        if end is not None:
            raise end


@pytest.mark.parametrize("end", [ValueError("secret"), None, asyncio.CancelledError()], ids=repr)
async def test_however_it_ends_it_is_logged_and_run_again(
    watch: Watch, end: BaseException | None, caplog: pytest.LogCaptureFixture
) -> None:
    work = Work(end)
    watch.run("upkeep", work)
    async with asyncio.timeout(5):
        await work.lasts.wait()
    assert work.runs == 2
    (line,) = caplog.records
    assert (line.levelno, line.message, line.__dict__["task"]) == (
        logging.ERROR,
        "a background task has ended",
        "upkeep",
    )
    assert watch.reasons() == []


async def test_while_it_does_not_come_back_that_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "_PATIENCE_S", 0.0)
    watch = Watch()
    ended = asyncio.Event()

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            ended.set()

    handler = Told()
    watch_module.log.addHandler(handler)
    try:
        for name, end in (
            ("b", B2buaError("it has died")),
            ("a", FileNotFoundError(2, "No such file or directory", "/home/somebody")),
            ("c", KeyError("+14155550100")),
        ):
            ended.clear()
            watch.run(name, Work(end))
            await ended.wait()
        assert watch.reasons() == [
            "a does not run: No such file or directory",
            "b does not run: it has died",
            "c does not run: KeyError",
        ]
    finally:
        watch_module.log.removeHandler(handler)
        await watch.close()
    assert watch.reasons() == []


async def test_what_announces_itself_works_only_then(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "_PATIENCE_S", 0.0)
    work = Work(B2buaError("it has died"))
    watched = watch.run("fork server", work, announces=True)
    await work.lasts.wait()
    assert watch.reasons() == ["fork server does not run: it has died"]
    watched.works()
    assert watch.reasons() == []


async def test_what_may_end_is_let_go(watch: Watch) -> None:
    work = Work(ValueError(), None)
    watched = watch.run("callbacks", work, ends=True)
    async with asyncio.timeout(5):
        await watched.task
    assert work.runs == 2


async def test_what_is_closed_is_not_run_again(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    work = Work()
    watched = watch.run("upkeep", work)
    await work.lasts.wait()
    await watched.close()
    assert watched.task.cancelled()
    assert not caplog.records


_OTHERS = {
    "app.py",  # waits for its two, then ends them
    "node/__main__.py",  # the line to the supervisor, which ends a controller that is silent
    "node/inheritance.py",  # each finds recordings that are to be finished, and logs its failure
    "node/announcements.py",  # each ends with its announcement, whose failure is logged and reported
    "node/session_tasks.py",  # a call's own, each with an end; a failure is logged
    "node/edge_link.py",  # the end of the process, while it starts
    "node/prompt_maker.py",  # each is awaited by who wants the sound
    "phone/audio.py",  # of the doctor and the demo, which run for seconds
    "phone/phone.py",
    "sip/edge.py",  # a name's resolution: catches all
    "sip/tls.py",  # one handshake
    "sip/transport.py",  # one connection
    "store/outbox.py",  # awaited by the callback's first try
    "watch.py",
}
"""Places where short-lived tasks are created."""


def test_every_task_that_is_for_good_is_watched() -> None:
    root = Path(b2bua.__file__).parent
    makers = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("create_task", "ensure_future"):
                makers.add(path.relative_to(root).as_posix())
    assert makers <= _OTHERS
