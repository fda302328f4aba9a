"""Nodes that start warm: forked from a process that has done the imports, which take seconds of CPU.

What is forked is ``b2bua serve`` before its first line has run. It becomes the supervisor without another
program's start, and forks the node's processes itself, each before its first line too. One such process
serves a pytest worker; it ends with it. If a node is covered, coverage begins in it: the lines that ran at
import are covered by the tests that import them.
"""

import array
import asyncio
import contextlib
import functools
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
from typing import Any

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
    import b2bua.cli
    import b2bua.engine.forkserver
    import b2bua.node.__main__
    import b2bua.relay.__main__
    import b2bua.sip.edge
    import b2bua.supervisor  # noqa: F401

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
        from b2bua.launch import Launch

        Launch.become_supervisor = functools.partialmethod(_supervise, watch)  # type: ignore[assignment]
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


def _supervise(launch: Any, watch: str) -> int:
    from setproctitle import setproctitle

    from b2bua.supervisor import Supervisor

    setproctitle("b2bua")
    return Supervisor(launch.plan(), functools.partial(_Forked, watch)).run()


class _Forked:
    """A process of the node; has the parts of ``subprocess.Popen`` that the supervisor uses."""

    def __init__(self, watch: str, command: list[str], fds: Sequence[int]) -> None:
        self._status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            self._run(watch, command[2], command[3:], {0, 1, 2, *fds})

    def poll(self) -> int | None:
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    @staticmethod
    def _run(watch: str, module: str, arguments: list[str], kept: set[int]) -> None:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            for name in os.listdir("/proc/self/fd"):
                if int(name) not in kept:
                    with contextlib.suppress(OSError):
                        os.close(int(name))
            sys.argv = [module, *arguments]
            if watch and module == "b2bua.node":
                name, *given = watch.split(" ", 1)
                importlib.import_module(name).install(*given)
            name = module if module in ("b2bua.sip.edge", "b2bua.engine.forkserver") else f"{module}.__main__"
            code = sys.modules[name].main() or 0
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
