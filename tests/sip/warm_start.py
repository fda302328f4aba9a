"""Nodes that start warm: forked from a process that has done the imports, which take seconds of CPU.

What is forked is the controller's process before its first line has run; all that it starts is started as
ever. One such process serves a pytest worker; it ends with it. If a node is covered, coverage begins in it:
the lines that ran at import are covered by the tests that import them.
"""

import array
import asyncio
import contextlib
import importlib
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Sequence

_HEAD = struct.Struct("!I")
_COVERAGE = "COVERAGE_PROCESS_CONFIG"
"""The environment variable with which coverage starts."""


class WarmProcess:
    """A forked node; has the parts of ``asyncio.subprocess.Process`` that tests use."""

    def __init__(
        self,
        pid: int,
        stdout: asyncio.StreamReader,
        pipe: asyncio.BaseTransport,
        exited: "asyncio.Future[int]",
    ) -> None:
        self.pid = pid
        self.stdout = stdout
        self._pipe = pipe
        self._exited = exited

    @property
    def returncode(self) -> int | None:
        return self._exited.result() if self._exited.done() else None

    async def wait(self) -> int:
        status = await asyncio.shield(self._exited)
        self._pipe.close()
        return status

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and that is not told yet
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Nursery:
    """This side of the warm process: requests forks, and receives ends, in a thread of its own."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-m", "tests.sip.warm_start", str(theirs.fileno())],
                {name: value for name, value in os.environ.items() if name != _COVERAGE},
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), theirs.fileno())],
            )
        self._socket = ours
        self._born: list[threading.Event] = []
        self._pids: list[int] = []
        self._waiting: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Future[int]]] = {}
        self._ended: dict[int, int] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def fork(self, arguments: Sequence[str], stdout: int, stderr: int, watch: str) -> int:
        born = threading.Event()
        with self._lock:
            self._born.append(born)
            message = json.dumps([os.environ.get(_COVERAGE, ""), watch, *arguments]).encode()
            fds = array.array("i", [stdout, stderr])
            self._socket.sendmsg(
                [_HEAD.pack(len(message)) + message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)]
            )
        assert born.wait(60), "the warm process does not answer"
        return self._pids.pop(0)

    def exit_of(self, pid: int) -> "asyncio.Future[int]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        with self._lock:
            if pid in self._ended:
                future.set_result(self._ended.pop(pid))
            else:
                self._waiting[pid] = (loop, future)
        return future

    def _listen(self) -> None:
        with self._socket.makefile("rb") as lines:
            for line in lines:
                kind, pid, status = json.loads(line)
                with self._lock:
                    if kind == "born":
                        self._pids.append(pid)
                        self._born.pop(0).set()
                    elif pid in self._waiting:
                        loop, future = self._waiting.pop(pid)
                        if not loop.is_closed():
                            loop.call_soon_threadsafe(future.set_result, status)
                    else:
                        self._ended[pid] = status


_nursery: list[_Nursery] = []


async def start_warm(arguments: Sequence[str], stderr: int, watch: str = "") -> WarmProcess:
    """Start ``b2bua ARGUMENTS``; stdout is the process's, ``stderr`` a file of the test's.

    ``watch`` is a module of the tests whose ``install`` is called in the process first, with what is behind
    its name.
    """
    if not _nursery:
        _nursery.append(_Nursery())
    reading, writing = os.pipe()
    pid = await asyncio.to_thread(_nursery[0].fork, arguments, writing, stderr, watch)
    os.close(writing)
    stdout = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    end = os.fdopen(reading, "rb")
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdout), end)
    return WarmProcess(pid, stdout, pipe, _nursery[0].exit_of(pid))


# -- the warm process itself --------------------------------------------------------------------------------


def _serve(control: socket.socket) -> None:
    import phonenumbers

    import b2bua.app
    import b2bua.cli  # noqa: F401

    phonenumbers.PhoneMetadata.load_all()
    reading, writing = os.pipe()
    signal.signal(signal.SIGCHLD, lambda *_: os.write(writing, b"x"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([control, reading], (), ())
        if reading in ready:
            os.read(reading, 4096)
            _tell_ends(control)
        if control in ready:
            head, ancillary, _, _ = control.recvmsg(_HEAD.size, socket.CMSG_SPACE(8))
            if not head:
                return
            (length,) = _HEAD.unpack(head)
            coverage, watch, *arguments = json.loads(control.recv(length, socket.MSG_WAITALL))
            fds = array.array("i")
            fds.frombytes(ancillary[0][2][:8])
            pid = os.fork()
            if pid == 0:
                control.close()
                _measure(coverage)
                _become(watch, arguments, fds[0], fds[1])
            os.close(fds[0])
            os.close(fds[1])
            control.sendall(json.dumps(["born", pid, 0]).encode() + b"\n")


def _tell_ends(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        code = os.waitstatus_to_exitcode(status)
        control.sendall(json.dumps(["ended", pid, code]).encode() + b"\n")


def _measure(config: str) -> None:
    """In the child: start coverage here, and in the processes that are started from here."""
    if config:
        os.environ[_COVERAGE] = config
        import coverage

        coverage.process_startup()


def _become(watch: str, arguments: list[str], stdout: int, stderr: int) -> None:
    """In the child: run ``b2bua ARGUMENTS``, and never return."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        sys.argv = ["b2bua", *arguments]
        os.environ["PYTHONASYNCIODEBUG"] = ""  # "0" would turn it on
        from b2bua.cli import main

        if watch:
            module, *given = watch.split(" ", 1)
            importlib.import_module(module).install(*given)
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
