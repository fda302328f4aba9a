"""The controller process: ``python -m b2bua.node``, started by the supervisor.

It ignores signals: the supervisor tells it by single bytes what it was asked (``b2bua.supervisor``), and is
told that the node is ready, and each second that this loop turns. Without a supervisor it ends at once.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import uvloop
from setproctitle import setproctitle

from b2bua.core.errors import B2buaError, ConfigError
from b2bua.logs import set_up_logging
from b2bua.node.node import Node
from b2bua.run_folder import RunFolder
from b2bua.settings import Settings, load_settings

__all__ = ["main"]

log = logging.getLogger(__name__)

_GC_THRESHOLDS = (20_000, 20, 100)
"""Collections are rarer than by default (700, 10, 10): a call leaves few cycles, and each full collection
delays all calls."""

_SWITCH_S = 0.0005
"""How long a database thread may keep the loop from running; the default is ten times as long."""
_ALIVE_S = 1.0


def main() -> int:
    """Run a controller until the supervisor has it end.

    Returns: the exit status: 0 after a drain, 2 for a wrong configuration, 1 for anything else.
    """
    parser = argparse.ArgumentParser(prog="python -m b2bua.node")
    parser.add_argument("--run-folder", required=True, type=Path)
    parser.add_argument("--http", required=True, type=int, help="descriptor of the socket for HTTP")
    parser.add_argument("--supervisor", required=True, type=int, help="descriptor of the line to it")
    parser.add_argument("--start", required=True, type=int, help="counts the node's controllers, from 1")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--log-format", choices=("console", "json"), default="console")
    options = parser.parse_args()
    setproctitle("b2bua-control")
    set_up_logging(options.log_format)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        settings = load_settings(options.config)
        return uvloop.run(_serve(settings, options))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except (B2buaError, OSError) as error:
        log.critical("the node could not run", extra={"text": str(error)})
        return 1


async def _serve(settings: Settings, options: argparse.Namespace) -> int:
    run = RunFolder.open(options.run_folder)
    node = Node(settings, run, socket.socket(fileno=options.http), options.start)
    line = _Line(socket.socket(fileno=options.supervisor), node, lambda: load_settings(options.config))
    ready = await node.start()
    # Objects created so far are permanent: collecting over them again would delay all calls by some 50 ms.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    sys.setswitchinterval(_SWITCH_S)
    if options.start == 1:
        print(ready.line(), flush=True)
    line.ready()
    await line.asked.wait()
    await line.unless_again(node.drain(settings.node.drain_s))
    await node.close()
    return 0


class _Line:
    """The line to the supervisor, whose words are events of the loop."""

    def __init__(self, sock: socket.socket, node: Node, reload: Callable[[], Settings]) -> None:
        self.asked = asyncio.Event()
        """Set when the node is to end."""
        self._again = asyncio.Event()
        self._sock = sock
        self._node = node
        self._reload = reload
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        sock.setblocking(False)
        asyncio.get_running_loop().add_reader(sock.fileno(), self._hear)

    def ready(self) -> None:
        """Say that the node is ready, and from now on that it is alive."""
        self._say(b"r")
        self._spawn(self._live())

    def _hear(self) -> None:
        try:
            words = self._sock.recv(64)
        except BlockingIOError:
            return
        except OSError:
            words = b""
        if not words:  # there is nobody to start what dies, and to hold the sockets
            log.critical("the supervisor is gone")
            os._exit(1)
        for word in words:
            if word == ord("e"):
                (self._again if self.asked.is_set() else self.asked).set()
            elif word == ord("n"):
                self._spawn(self._make_room())
            elif word == ord("h"):
                self._spawn(self._read_again())

    def _say(self, word: bytes) -> None:
        with contextlib.suppress(OSError):
            self._sock.send(word)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _live(self) -> None:
        while True:
            self._say(b".")
            await asyncio.sleep(_ALIVE_S)

    async def _make_room(self) -> None:
        """End without ending anything: the next controller goes on with the calls."""
        try:
            await self._node.leave()
        finally:
            os._exit(0)

    async def _read_again(self) -> None:
        async with self._turn:  # one reload at a time, so that the last one counts
            try:
                self._node.reload(await asyncio.to_thread(self._reload))
                log.info("configuration read again")
            except (ConfigError, OSError) as error:
                log.error("new configuration rejected", extra={"text": str(error)})

    async def unless_again(self, work: Coroutine[None, None, None]) -> None:
        """Do ``work``, but stop when asked to end once more."""
        task = asyncio.ensure_future(work)
        again = asyncio.ensure_future(self._again.wait())
        await asyncio.wait([task, again], return_when=asyncio.FIRST_COMPLETED)
        for each in (task, again):
            each.cancel()


if __name__ == "__main__":
    sys.exit(main())
