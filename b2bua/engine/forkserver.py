"""The process that workers are forked from: it imports pjsua2 and does nothing else with it.

A worker forked from it shares the interpreter's and the library's pages (5.8 MiB of its own instead of 24)
and is up in milliseconds. The fork server itself stays single-threaded and never creates an endpoint: forking
a process with pjsua2's threads would be undefined.

``multiprocessing``'s fork server could preload as much, but it cannot be watched: its death shows only at the
next fork, and a failed preload is ignored.

The fork server ends when the controller's end of the socket closes. Workers detect that by themselves.
"""

import contextlib
import gc
import logging
import os
import select
import signal
import socket
import sys
from typing import cast

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
from b2bua.logs import set_up_logging

__all__ = ["main"]

log = logging.getLogger(__name__)


class ForkServer:
    """Forks workers on demand and reaps them; ``fd`` is its end of the controller's socket pair."""

    def __init__(self, fd: int) -> None:
        decoder = msgspec.msgpack.Decoder(ToForkServer)
        sock = socket.socket(fileno=fd)
        self._channel = cast(BlockingChannel[ToForkServer], BlockingChannel(sock, decoder))
        self._children: dict[int, WorkerId] = {}
        self._wake_r, self._wake_w = os.pipe()
        os.set_blocking(self._wake_r, False)
        os.set_blocking(self._wake_w, False)
        signal.set_wakeup_fd(self._wake_w)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        """Serve until the controller is gone."""
        self._channel.send([ForkServerReady(library=endpoint.library_version())])
        while not self._channel.closed:
            select.select([self._channel.socket.fileno(), self._wake_r], [], [])
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_r, 4096)
            self._reap()
            for order in self._channel.receive():
                match order:
                    case SpawnWorker():
                        self._spawn(order)
                    case KillChild():
                        self._kill(order.worker)

    def _kill(self, worker: WorkerId) -> None:
        for pid, name in self._children.items():
            if name == worker:  # not reaped yet, so no other process has this pid
                os.kill(pid, signal.SIGKILL)

    def _spawn(self, order: SpawnWorker) -> None:
        try:
            pid = os.fork()
        except OSError as error:  # out of memory or processes, which may be temporary
            log.error("cannot fork", extra={"worker": order.spec.worker, "text": error.strerror})
            self._channel.send([WorkerExited(worker=order.spec.worker, status=1)])
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
            self._channel.socket.close()
            setproctitle("b2bua-worker")
            worker.run_worker(spec)
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
            self._channel.send(gone)


def main() -> None:
    """Run ``python -m b2bua.engine.forkserver FD LOGFORMAT``."""
    set_up_logging(sys.argv[2])
    setproctitle("b2bua-fork")
    # The controller decides when we end; ^C in the terminal signals the whole process group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    ForkServer(int(sys.argv[1])).run()


if __name__ == "__main__":
    main()
