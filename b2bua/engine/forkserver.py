"""The process that workers are forked from: it imports pjsua2 and creates the library's endpoint for them.

A worker forked from it shares the interpreter's and the library's pages (5.8 MiB of its own instead of 24)
and is up in milliseconds. The fork server itself stays single-threaded and never initialises the endpoint:
that starts a thread, and forking a process with threads would be undefined.

``multiprocessing``'s fork server could preload as much, but it cannot be watched: its death shows only at the
next fork, and a failed preload is ignored.

It outlives controllers, which connect to its Unix socket, and ends with its life line. Its workers hold the
same line: they outlive the fork server, and end their calls when the node is over.
"""

import argparse
import contextlib
import gc
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from typing import Final, cast

import msgspec
from setproctitle import setproctitle

from b2bua.core.ids import WorkerId
from b2bua.engine import endpoint, worker
from b2bua.engine.protocol import (
    ForkServerReady,
    KillChild,
    SpawnWorker,
    ToForkServer,
    WorkerExited,
    WorkerSpec,
)
from b2bua.ipc.channel import BlockingChannel
from b2bua.ipc.connecting import listening_at
from b2bua.logs import set_up_logging

__all__ = ["main"]

log = logging.getLogger(__name__)

_WORKERS_END_S: Final = 2.0
"""For workers to end their calls when the node ends."""


class ForkServer:
    """Forks workers on demand and reaps them.

    Args:
        path: of the Unix socket to listen on.
        life: descriptor of the life line.
    """

    def __init__(self, path: str, life: int) -> None:
        self._server = listening_at(path)
        self._life = life
        self._channel: BlockingChannel[ToForkServer] | None = None
        """To the present controller."""
        self._children: dict[int, WorkerId] = {}
        self._wake_r, self._wake_w = os.pipe()
        os.set_blocking(self._wake_r, False)
        os.set_blocking(self._wake_w, False)
        signal.set_wakeup_fd(self._wake_w)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        """Serve until the life line ends; then give the workers time to end their calls."""
        while True:
            reads = [self._server.fileno(), self._wake_r, self._life]
            if self._channel is not None:
                reads.append(self._channel.socket.fileno())
            ready = select.select(reads, [], [])[0]
            if self._life in ready:
                break
            self._look(self._server.fileno() in ready)
        deadline = time.monotonic() + _WORKERS_END_S
        while self._children and (left_s := deadline - time.monotonic()) > 0:
            select.select([self._wake_r], [], [], left_s)
            self._look(False)

    def _look(self, connects: bool) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_r, 4096)
        self._reap()
        if connects:
            self._accept()
        if self._channel is None:
            return
        for order in self._channel.receive():
            match order:
                case SpawnWorker():
                    self._spawn(order)
                case KillChild():
                    self._kill(order.worker)
        if self._channel.closed:
            self._channel.socket.close()
            self._channel = None

    def _accept(self) -> None:
        """Serve a controller that connects, in place of the one before."""
        with contextlib.suppress(OSError):
            sock, _ = self._server.accept()
            if self._channel is not None:
                self._channel.socket.close()
            decoder = msgspec.msgpack.Decoder(ToForkServer)
            self._channel = cast(BlockingChannel[ToForkServer], BlockingChannel(sock, decoder))
            self._tell([ForkServerReady(library=endpoint.library_version())])

    def _tell(self, messages: Sequence[ForkServerReady | WorkerExited]) -> None:
        if self._channel is not None:
            self._channel.send(messages)

    def _kill(self, worker: WorkerId) -> None:
        for pid, name in self._children.items():
            if name == worker:  # not reaped yet, so no other process has this pid
                os.kill(pid, signal.SIGKILL)

    def _spawn(self, order: SpawnWorker) -> None:
        try:
            pid = os.fork()
        except OSError as error:  # out of memory or processes, which may be temporary
            log.error("cannot fork", extra={"worker": order.spec.worker, "text": error.strerror})
            self._tell([WorkerExited(worker=order.spec.worker, status=1)])
            return
        if pid == 0:
            self._become_worker(order.spec)
        self._children[pid] = order.spec.worker

    def _become_worker(self, spec: WorkerSpec) -> None:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for fd in (self._wake_r, self._wake_w):
                os.close(fd)
            self._server.close()
            if self._channel is not None:
                self._channel.socket.close()
            setproctitle("b2bua-worker")
            worker.run_worker(spec, self._life)
            status = 0
        except Exception:
            log.exception("worker failed", extra={"worker": spec.worker})
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        gone = []
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                name = self._children.pop(pid, None)
                if name is not None:
                    gone.append(WorkerExited(worker=name, status=os.waitstatus_to_exitcode(status)))
        if gone:
            self._tell(gone)


def main() -> None:
    """Run ``python -m b2bua.engine.forkserver --control PATH --life FD --log-format console|json``."""
    parser = argparse.ArgumentParser(prog="python -m b2bua.engine.forkserver")
    parser.add_argument("--control", required=True, help="the Unix socket to listen on")
    parser.add_argument("--life", required=True, type=int, help="descriptor of the life line")
    parser.add_argument("--log-format", choices=("console", "json"), default="console")
    options = parser.parse_args()
    set_up_logging(options.log_format)
    setproctitle("b2bua-fork")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # ^C signals the whole process group
        signal.signal(number, signal.SIG_IGN)
    endpoint.create_endpoint()
    gc.collect()
    gc.freeze()
    ForkServer(options.control, options.life).run()
    os._exit(0)  # not by the endpoint's destructor, which expects an initialised library


if __name__ == "__main__":
    main()
