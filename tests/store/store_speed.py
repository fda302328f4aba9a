"""Speed of the store: ``python -m tests.store.store_speed [URL ...]``; by default both databases.

Prints a JSON line each: rows per second through ``put`` until all are committed, what one ``put`` takes, how
long a promise takes when nothing else goes on and beside 1000 rows per second, and how late the loop was.
"""

import asyncio
import json
import sys
import tempfile
import time

import uvloop

from b2bua.store.store import Store
from tests.store.postgres import run_cluster
from tests.store.store_scene import a_call, a_callback, an_event

ROWS = 20_000
PROMISES = 300


def percentile(values: list[float], part: float) -> float:
    return round(sorted(values)[int(len(values) * part)] * 1000, 2)


async def measure(url: str) -> dict[str, object]:
    store = await Store.open(url)
    rows = [a_call(n) for n in range(ROWS // 4)]
    rows += [an_event(k, n) for n in range(ROWS // 4) for k in range(3)]  # type: ignore[misc]
    began = time.perf_counter()
    for row in rows:
        store.put(row)
    put_s = time.perf_counter() - began
    await store.flush(60)
    all_s = time.perf_counter() - began

    quiet = await promises(store, 0)
    stop = asyncio.Event()
    late: list[float] = []
    tasks = [asyncio.create_task(load(store, stop)), asyncio.create_task(lateness(late, stop))]
    busy = await promises(store, PROMISES)
    stop.set()
    await asyncio.gather(*tasks)
    await store.close()
    return {
        "database": url.split(":")[0],
        "rows_per_s": round(ROWS / all_s),
        "put_us": round(put_s / ROWS * 1e6, 1),
        "promise_ms": {"p50": percentile(quiet, 0.5), "p99": percentile(quiet, 0.99)},
        "promise_beside_1000_rows_per_s_ms": {"p50": percentile(busy, 0.5), "p99": percentile(busy, 0.99)},
        "loop_late_ms": {"p50": percentile(late, 0.5), "p99": percentile(late, 0.99)},
    }


async def promises(store: Store, first: int) -> list[float]:
    took = []
    for number in range(first, first + PROMISES):
        began = time.perf_counter()
        assert await store.keep(a_callback(number))
        took.append(time.perf_counter() - began)
        await asyncio.sleep(0.005)
    return took


async def load(store: Store, stop: asyncio.Event) -> None:
    number = 100_000
    while not stop.is_set():
        for _ in range(10):
            number += 1
            store.put(a_call(number))
        await asyncio.sleep(0.01)


async def lateness(late: list[float], stop: asyncio.Event) -> None:
    while not stop.is_set():
        began = time.perf_counter()
        await asyncio.sleep(0.002)
        late.append(time.perf_counter() - began - 0.002)


def main() -> None:
    if sys.argv[1:]:
        for url in sys.argv[1:]:
            print(json.dumps(uvloop.run(measure(url))))
        return
    with tempfile.TemporaryDirectory() as folder, run_cluster() as cluster:
        for url in (f"sqlite:///{folder}/b2bua.db", cluster.new_database()):
            print(json.dumps(uvloop.run(measure(url))))


if __name__ == "__main__":
    main()
