"""The supervisor: ``python -m b2bua.supervisor PLAN``. Starts a node's processes and starts again what dies.

It holds the listening sockets, which its processes inherit, so that a restart loses no datagram and no
connection attempt. It knows process ids and file descriptors, and nothing of SIP, calls or settings; it has
little to die of, and it imports the standard library only.

The processes find each other by sockets in the run folder. Each but the controller ends when its *life line*
does, a pipe whose other end is here: so nothing is left when the supervisor itself is killed, and signals to
the whole group end nothing too early. With the controller it speaks in single bytes over a socket pair:
``e`` (end: the first drains, the second ends at once), ``h`` (read the configuration again) and ``n`` (make
room at once for a controller that runs new code: the calls stay); it hears ``r`` (ready) and ``.`` (alive).
"""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from b2bua.process_name import name_process

__all__ = ["Child", "Supervisor", "main"]

CONTROLLER = "controller"
_PAUSES_S = (0.0, 0.1, 0.5, 2.0)
"""Before the restart after the first death within a minute, the second, …"""
_DEATHS_MOST = 5
_A_MINUTE_S = 60.0
_NO_PROGRAM_PAUSE_S = 0.5
"""Between attempts while there is no interpreter to start, as in the middle of an upgrade."""
_END_LIMIT_S = 4.0
_ALIVE_LIMIT_S = 15.0
"""A controller that has said nothing for so long is not alive to the watchdog."""


class Child(Protocol):
    """A running process; ``subprocess.Popen`` is one."""

    pid: int

    def poll(self) -> int | None:
        """Return its exit status, negative after a signal; None while it runs."""

    def kill(self) -> None:
        """Send SIGKILL."""


Spawn = Callable[[list[str], Sequence[int]], Child]


class _Process:
    """One of the node's processes, through all its lives."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.name: str = entry["name"]
        self.command: list[str] = entry["command"]
        self.fds: list[int] = entry.get("fds", [])
        self.socket: str = entry.get("socket", "")
        """Path of the socket it listens on, which its death leaves behind."""
        self.child: Child | None = None
        self.start_at: float | None = 0.0
        self.starts = 0
        self.deaths: deque[float] = deque(maxlen=_DEATHS_MOST)
        self.life = os.pipe() if self.name != CONTROLLER else (-1, -1)


class Supervisor:
    """All processes of a node.

    Args:
        plan: ``log_format``; ``folder`` to be removed at the end, if any; ``processes`` in the order of their
            start, the controller last: ``name``, ``command``, ``fds``, ``socket``.
        spawn: starts a process.
    """

    def __init__(self, plan: dict[str, Any], spawn: Spawn | None = None) -> None:
        self._json: bool = plan["log_format"] == "json"
        self._folder: str = plan.get("folder", "")
        self._processes = [_Process(entry) for entry in plan["processes"]]
        self._controller = self._processes[-1]
        self._spawn = spawn or _popen
        self._line: socket.socket | None = None
        """To the controller."""
        self._heard_at = time.monotonic()
        self._ready = False
        self._renew_until: float | None = None
        """When a controller that is to make room for another is killed; None: there is none."""
        self._asked = 0
        """How often we were told to end."""
        self._status: int | None = None
        self._wake, wake = socket.socketpair()
        self._signals = wake
        for end in (self._wake, wake):
            end.setblocking(False)
        self._watchdog_s = int(os.environ.get("WATCHDOG_USEC", "0") or 0) / 2e6
        self._watchdog_at = 0.0

    def run(self) -> int:
        """Run the node; return its exit status: 0 drained, 2 wrong configuration, 1 otherwise."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._signals.fileno(), warn_on_full_buffer=False)
        while self._status is None:
            now = time.monotonic()
            for process in self._processes:
                if process.child is None and process.start_at is not None and now >= process.start_at:
                    self._start(process, now)
            self._wait(now)
            self._reap()
        self._end_all()
        return self._status

    # -- processes --------------------------------------------------------------------------------------

    def _start(self, process: _Process, now: float) -> None:
        command, fds = list(process.command), list(process.fds)
        theirs: socket.socket | None = None
        if process is self._controller:
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            self._line, self._heard_at = ours, now
            command += ["--supervisor", str(theirs.fileno()), "--start", str(process.starts + 1)]
            fds.append(theirs.fileno())
        else:
            command += ["--life", str(process.life[0])]
            fds.append(process.life[0])
        try:
            process.child = self._spawn(command, fds)
            process.starts, process.start_at = process.starts + 1, None
        except OSError as error:
            process.start_at = now + _NO_PROGRAM_PAUSE_S
            self._log("error", "a process cannot be started", process=process.name, text=error.strerror)
        finally:
            if theirs is not None:
                theirs.close()

    def _reap(self) -> None:
        for process in self._processes:
            status = process.child.poll() if process.child is not None else None
            if status is None:
                continue
            process.child = None
            if process is self._controller and self._line is not None:
                self._line.close()
                self._line = None
            if process is self._controller and (self._asked or not self._ready):
                self._status = status if status in (0, 2) else 1
            elif not self._ready:
                self._log("critical", "a process did not start", process=process.name, status=status)
                self._status = 1
            elif process is self._controller and self._renew_until is not None:
                self._renew_until, process.start_at = None, 0.0
            elif self._status is None:
                self._died(process, status)

    def _died(self, process: _Process, status: int) -> None:
        now = time.monotonic()
        process.deaths.append(now)
        recent = [at for at in process.deaths if now - at < _A_MINUTE_S]
        if len(recent) >= _DEATHS_MOST:
            text = f"it has died {_DEATHS_MOST} times in a minute"
            self._log("critical", "the node gives up", process=process.name, text=text, status=status)
            self._status = 1
            return
        pause_s = _PAUSES_S[min(len(recent), len(_PAUSES_S)) - 1]
        self._log("error", "a process has died", process=process.name, status=status, again_in_s=pause_s)
        if process.socket:
            with contextlib.suppress(OSError):
                os.unlink(process.socket)
        process.start_at = now + pause_s

    def _end_all(self) -> None:
        """End what still runs: the controller, then the others in the order opposite to their start."""
        if self._line is not None:
            self._line.close()
        self._await_end(self._controller)
        for process in reversed(self._processes[:-1]):
            os.close(process.life[1])
            self._await_end(process)
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _await_end(self, process: _Process) -> None:
        deadline = time.monotonic() + _END_LIMIT_S
        while process.child is not None and process.child.poll() is None:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                self._log("warning", "a process is killed, because it does not end", process=process.name)
                process.child.kill()
                deadline += _A_MINUTE_S
            select.select([self._wake], [], [], max(0.0, min(left_s, 1.0)))
            with contextlib.suppress(BlockingIOError):
                self._wake.recv(4096)
        process.child = None

    # -- events -----------------------------------------------------------------------------------------

    def _wait(self, now: float) -> None:
        due = [process.start_at for process in self._processes if process.start_at is not None]
        if self._watchdog_s:
            due.append(self._watchdog_at)
        if self._renew_until is not None:
            due.append(self._renew_until)
        pause_s = max(0.0, min(due) - now) if due else None
        readable: list[socket.socket] = [self._wake, *([self._line] if self._line is not None else [])]
        ready = select.select(readable, [], [], pause_s)[0]
        if self._line is not None and self._line in ready:
            self._hear(self._line)
        if self._wake in ready:
            for number in self._wake.recv(4096):
                self._signaled(number)
        now = time.monotonic()
        if self._renew_until is not None and now >= self._renew_until and self._controller.child is not None:
            self._controller.child.kill()
        if self._watchdog_s and now >= self._watchdog_at:
            self._watchdog_at = now + self._watchdog_s
            if self._controller.child is None or now - self._heard_at < _ALIVE_LIMIT_S:
                _notify("WATCHDOG=1")

    def _signaled(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._tell(b"h")
        elif number == signal.SIGUSR1 and self._controller.child is not None and self._ready:
            self._log("info", "the controller makes room for another")
            self._renew_until = time.monotonic() + _END_LIMIT_S
            self._tell(b"n")
        elif number in (signal.SIGTERM, signal.SIGINT):
            self._asked += 1
            _notify("STOPPING=1")
            self._tell(b"e")
            if self._controller.child is None or not self._ready:
                self._status = 0

    def _tell(self, word: bytes) -> None:
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.send(word)

    def _hear(self, line: socket.socket) -> None:
        try:
            words = line.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            words = b""
        if not words:  # it is about to end
            line.close()
            self._line = None
            return
        self._heard_at = time.monotonic()
        if b"r" in words:
            self._ready = True
            _notify("READY=1")

    # -- log --------------------------------------------------------------------------------------------

    def _log(self, level: str, event: str, **facts: Any) -> None:
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if self._json:
            line = {"event": event, "level": level, "logger": "b2bua.supervisor", **facts, "timestamp": at}
            text = json.dumps(line)
        else:
            text = " ".join([at, f"[{level}]", event, *(f"{name}={fact}" for name, fact in facts.items())])
        print(text, file=sys.stderr, flush=True)


def _popen(command: list[str], fds: Sequence[int]) -> Child:
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=fds)


def _notify(state: str) -> None:
    """Tell systemd (sd_notify(3)), if it is there."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    if path.startswith("@"):
        path = "\0" + path[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(state.encode(), path)


def main() -> int:
    """Run ``python -m b2bua.supervisor PLAN``, PLAN being JSON."""
    plan = json.loads(sys.argv[1])
    name_process("b2bua")
    return Supervisor(plan).run()


if __name__ == "__main__":
    sys.exit(main())
