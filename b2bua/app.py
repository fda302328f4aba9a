"""``b2bua serve``: a node in the foreground, its signals and its exit status.

SIGTERM and SIGINT drain the node, a second one ends it at once; SIGHUP reloads the configuration.
"""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import uvloop
from setproctitle import setproctitle

from b2bua.core.errors import B2buaError, ConfigError
from b2bua.logs import set_up_logging
from b2bua.node.node import Node
from b2bua.settings import Settings, load_settings

__all__ = ["serve"]

log = logging.getLogger(__name__)

_GC_THRESHOLDS = (20_000, 20, 100)
"""Collections are rarer than by default (700, 10, 10): a call leaves few cycles, and each full collection
delays all calls."""

_SWITCH_S = 0.0005
"""How long a database thread may keep the loop from running; the default is ten times as long."""


def serve(config: Path | None, log_format: str) -> int:
    """Run a node until a signal ends it.

    Returns: the exit status: 0 after a drain, 2 for a wrong configuration, 1 for anything else.
    """
    setproctitle("b2bua-control")
    set_up_logging(log_format)
    try:
        settings = load_settings(config)
        return uvloop.run(_serve(settings, log_format, lambda: load_settings(config)))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except (B2buaError, OSError) as error:
        log.critical("the node could not run", extra={"text": str(error)})
        return 1


async def _serve(settings: Settings, log_format: str, reload: Callable[[], Settings]) -> int:
    node = Node(settings, log_format)
    ending = _Signals(node, reload)
    ready = await node.start()
    # Objects created so far are permanent: collecting over them again would delay all calls by some 50 ms.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    sys.setswitchinterval(_SWITCH_S)
    print(ready.line(), flush=True)
    failed = await ending.wait_for_first(node.failed)
    if not failed:
        await ending.unless_again(node.drain(settings.node.drain_s))
    await node.close()
    return 1 if failed else 0


class _Signals:
    """SIGTERM, SIGINT and SIGHUP as events of the loop."""

    def __init__(self, node: Node, reload: Callable[[], Settings]) -> None:
        self._asked = asyncio.Event()
        self._again = asyncio.Event()
        self._node = node
        self._reload = reload
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def _end(self) -> None:
        (self._again if self._asked.is_set() else self._asked).set()

    def _hang_up(self) -> None:
        task = asyncio.ensure_future(self._read_again())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read_again(self) -> None:
        async with self._turn:  # one reload at a time, so that the last one counts
            try:
                self._node.reload(await asyncio.to_thread(self._reload))
                log.info("configuration read again")
            except (ConfigError, OSError) as error:
                log.error("new configuration rejected", extra={"text": str(error)})

    async def wait_for_first(self, failed: asyncio.Event) -> bool:
        """Wait until asked to end, or until the node has failed; return whether it has failed."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._asked, failed)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return failed.is_set()

    async def unless_again(self, work: Coroutine[None, None, None]) -> None:
        """Do ``work``, but stop when asked to end once more."""
        task = asyncio.ensure_future(work)
        again = asyncio.ensure_future(self._again.wait())
        await asyncio.wait([task, again], return_when=asyncio.FIRST_COMPLETED)
        for each in (task, again):
            each.cancel()
