"""A locked, stopped or overloaded database, and a killed node."""

import asyncio
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from b2bua.store import database as database_module
from b2bua.store import writer as writer_module
from b2bua.store.store import Store
from b2bua.web.api.directory import CallQuery, PageRequest
from tests.store.postgres import Cluster, run_cluster
from tests.store.store_scene import a_call, a_callback, sid

pytestmark = pytest.mark.process

LOSS_S = 0.1

_CHILD = """
import asyncio, sys, time
from b2bua.store.store import Store
from tests.store.store_scene import a_call, a_callback

async def main():
    store = await Store.open(sys.argv[1])
    promised = None
    for number in range(1, 1_000_000):
        store.put(a_call(number))
        if number in (50, 100):  # then no more: a promise hurries what was put before it
            await store.keep(a_callback(number))
            promised = number
        print(number, promised, time.monotonic(), flush=True)
        await asyncio.sleep(0.001)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with run_cluster() as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/b2bua.db"
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.new_database()


@pytest.fixture
async def sqlite_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(database_module, "_PRAGMAS", (*database_module._PRAGMAS, "PRAGMA busy_timeout=20"))
    monkeypatch.setattr(writer_module, "_FIRST_PAUSE_S", 0.01)
    return tmp_path / "b2bua.db"


async def kept_calls(url: str) -> set[str]:
    store = await Store.open(url)
    found: set[str] = set()
    token: str | None = None
    while True:
        part = await store.directory.calls(CallQuery(), PageRequest(size=1000, token=token))
        found |= {call.sid for call in part.items}
        token = part.next_token
        if token is None:
            break
    await store.close()
    return found


async def test_kill_9_loses_at_most_a_tenth_of_a_second_and_nothing_promised(url: str) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CHILD, url, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    puts: list[tuple[int, float]] = []
    promised = 0
    killed_at = 0.0
    async for line in child.stdout:
        number, kept, at = line.decode().split()
        puts.append((int(number), float(at)))
        promised = int(kept) if kept != "None" else promised
        if len(puts) == 500:
            child.send_signal(signal.SIGKILL)
            killed_at = time.monotonic()
    await child.wait()

    assert promised == 100
    safe = {sid("CA", number) for number, at in puts if at < killed_at - LOSS_S}
    assert len(safe) > 200, "it was killed too early to show anything"
    assert safe <= await kept_calls(url)
    store = await Store.open(url)
    owed = {row.sequence for row in await store.owed_callbacks()}
    assert owed == {50, 100}
    await store.close()


async def test_a_locked_database_delays_rows_but_loses_none(
    sqlite_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = await Store.open(f"sqlite:///{sqlite_file}")
    other = sqlite3.connect(sqlite_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    took_s = []
    for number in (1, 3, 4):
        began = time.monotonic()
        store.put(a_call(number))
        took_s.append(time.monotonic() - began)
    assert min(took_s) < 0.01, took_s  # who waited for the database would do so each time
    assert await store.keep(a_call(2), limit_s=0.3) is False
    assert store.is_in_trouble and store.pending == 4
    other.execute("ROLLBACK")
    other.close()
    assert await store.flush(10)
    assert not store.is_in_trouble and store.pending == 0
    assert (
        await store.directory.call(sid("CA", 1)) is not None
        and await store.directory.call(sid("CA", 2)) is not None
    )
    await store.close()
    assert caplog.messages.count("store: cannot write; trying again") == 1
    assert caplog.messages.count("store: writing again") == 1


async def test_closing_gives_a_database_that_stays_locked_up(
    sqlite_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = await Store.open(f"sqlite:///{sqlite_file}")
    other = sqlite3.connect(sqlite_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.ensure_future(store.keep(a_call(1), limit_s=30))
    store.put(a_call(2))
    assert await store.close(limit_s=0.3) == 2
    assert await waiting is False
    assert "store: rows were lost at the end" in caplog.messages
    other.close()


async def test_too_many_waiting_rows_are_dropped_but_promises_are_not(
    sqlite_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer_module, "MAX_PENDING", 3)
    store = await Store.open(f"sqlite:///{sqlite_file}")
    for number in range(1, 10):
        store.put(a_call(number))
    assert await store.keep(a_callback(1))
    kept = (await store.directory.calls(CallQuery(), PageRequest(size=100))).items
    assert [call.sid for call in kept] == [sid("CA", number) for number in (3, 2, 1)]
    assert caplog.messages.count("store: too many rows wait; dropping what is not promised") == 1
    await store.close()


async def test_a_postgresql_that_restarts_gets_everything(cluster: Cluster) -> None:
    store = await Store.open(cluster.new_database())
    assert await store.keep(a_call(1))
    await asyncio.to_thread(cluster.stop)
    try:
        store.put(a_call(2))
        assert await store.keep(a_call(3), limit_s=0.5) is False
        assert store.is_in_trouble
    finally:
        await asyncio.to_thread(cluster.start)
    assert await store.flush(20)
    assert [call.sid for call in (await store.directory.calls(CallQuery(), PageRequest(size=9))).items] == [
        sid("CA", number) for number in (3, 2, 1)
    ]
    await store.close()
