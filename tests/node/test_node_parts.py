"""Whichever part of a node fails, while starting or stopping, nothing of the others is left."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from b2bua.engine.pool import Pool
from b2bua.node import node as node_module
from b2bua.node.edge_link import EdgeLink
from b2bua.node.node import Node
from b2bua.node.prompt_maker import PromptMaker
from b2bua.node.recordings import Recordings
from b2bua.node.registrations import Registrations
from b2bua.settings import load_settings
from b2bua.store.outbox import StoreOutbox
from b2bua.store.store import Store
from b2bua.web.server import HttpServer
from b2bua.web.webhooks import WebhookClient
from tests.node.companions import companions
from tests.sip.node_process import config_text

pytestmark = pytest.mark.process

STARTS = [
    (Store, "account"),
    (Store, "unfinished_calls"),
    (Recordings, "open"),
    (StoreOutbox, "resume"),
    (EdgeLink, "start"),
    (Pool, "prepare"),
    (PromptMaker, "start"),
    (node_module, "write_tones"),
    (Store, "registrations"),
    (Registrations, "restore"),
    (Pool, "start"),
    (HttpServer, "start"),
    (Recordings, "start"),
]
ENDS = [
    (Recordings, "close"),
    (StoreOutbox, "drain"),
    (HttpServer, "close"),
    (Pool, "close"),
    (EdgeLink, "close"),
    (PromptMaker, "close"),
    (WebhookClient, "close"),
    (Store, "close"),
]


class Broken(Exception):
    """The injected error."""


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    config = tmp_path / "b2bua.toml"
    text = config_text({}, sections={"workers": {"idle": 1, "max": 2}})
    config.write_text(text[text.index("[node]") :])  # without an account, which is made then
    with companions(load_settings(config), tmp_path / "run") as launch:
        yield Node(launch.settings, launch.run, launch.http.dup())


@contextlib.contextmanager
def failing(owner: Any, name: str) -> Iterator[None]:
    """The part does all its work and then raises: what it has started exists."""
    function = getattr(owner, name)

    async def in_time(*args: Any, **kwargs: Any) -> None:
        await function(*args, **kwargs)
        raise Broken(name)

    def at_once(*args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)
        raise Broken(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, in_time if asyncio.iscoroutinefunction(function) else at_once)
        yield


def children() -> set[int]:
    """Our processes, and their children."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                stat = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
                if stat[0] != "Z":
                    parents[int(name)] = int(stat[1])
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def sockets() -> set[str]:
    """Our open file descriptors."""
    links = set()
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            links.add(os.readlink(f"/proc/self/fd/{descriptor}"))
    return {link for link in links if link.startswith("socket:")}


class Leftovers:
    """Files that a node may leave."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = self._all()

    def _all(self) -> dict[str, set[Any]]:
        raw = self._folder / "recordings" / ".raw"
        folders = [*(self._folder / "tmp").iterdir(), *(raw.iterdir() if raw.exists() else ())]
        return {
            "tasks": {task.get_name() for task in asyncio.all_tasks()},
            "processes": children(),
            "sockets": sockets(),
            "folders": set(folders),
        }

    async def none(self) -> None:
        """Wait until there are none: a process takes a moment to exit."""
        left: dict[str, set[Any]] = {}
        try:
            async with asyncio.timeout(10):
                while left := self._new():  # noqa: ASYNC110 (the end of a process of a process is no event)
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"left: {left}")

    def _new(self) -> dict[str, set[Any]]:
        new = {kind: there - self._before[kind] for kind, there in self._all().items()}
        return {kind: there for kind, there in new.items() if there}


@pytest.mark.parametrize(("owner", "name"), STARTS, ids=[f"{o.__name__}.{n}" for o, n in STARTS])
async def test_a_part_that_fails_at_the_start_leaves_nothing(
    owner: Any, name: str, node: Node, tmp_path: Path
) -> None:
    left = Leftovers(tmp_path)
    with failing(owner, name), pytest.raises(Broken):
        await node.start()
    await left.none()


@pytest.mark.parametrize(("owner", "name"), ENDS, ids=[f"{o.__name__}.{n}" for o, n in ENDS])
async def test_a_part_that_fails_at_the_end_keeps_no_other_from_it(
    owner: Any, name: str, node: Node, tmp_path: Path
) -> None:
    left = Leftovers(tmp_path)
    with failing(owner, name):
        await node.start()
        with pytest.raises(Broken):
            await node.close()
    await left.none()


async def test_a_start_that_is_cancelled_leaves_nothing(node: Node, tmp_path: Path) -> None:
    left = Leftovers(tmp_path)
    under_way = asyncio.Event()
    start = Pool.start

    async def stuck(self: Pool, edge_port: int) -> None:
        under_way.set()
        await start(self, edge_port)
        await asyncio.Event().wait()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pool, "start", stuck)
        starting = asyncio.ensure_future(node.start())
        await asyncio.wait_for(under_way.wait(), 60)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    await left.none()
