"""The supervisor with processes that stand in for a node's: restarts, giving up, signals, systemd."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sip.node_process import title_of

pytestmark = pytest.mark.process

LIMIT_S = 30

_PART = """
import os, sys
folder, name = sys.argv[1:3]
with open(os.path.join(folder, name), "a") as file:
    print(os.getpid(), file=file)
life = int(sys.argv[sys.argv.index("--life") + 1])
{before}
os.read(life, 1)
with open(os.path.join(folder, "ends"), "a") as file:
    print(name, file=file)
"""
_CONTROLLER = """
import os, socket, sys
folder, name = sys.argv[1:3]
with open(os.path.join(folder, name), "a") as file:
    print(os.getpid(), file=file)
line = socket.socket(fileno=int(sys.argv[sys.argv.index("--supervisor") + 1]))
{before}
line.send(b"r")
while True:
    words = line.recv(16)
    with open(os.path.join(folder, "words"), "ab") as file:
        file.write(words)
    if b"e" in words or b"n" in words or not words:
        break
with open(os.path.join(folder, "ends"), "a") as file:
    print(name, file=file)
"""


class Scene:
    """A supervisor and its parts, which write their pids into files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, part: str = "", controller: str = "", **environ: str) -> "Scene":
        entries = [self._entry(name, _PART.format(before=part)) for name in ("relay", "edge")]
        entries.append(self._entry("controller", _CONTROLLER.format(before=controller)))
        plan = {"log_format": "json", "folder": "", "processes": entries}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "b2bua.supervisor", json.dumps(plan)],
                stderr=log,
                env=os.environ | environ,
            )
        return self

    def _entry(self, name: str, script: str) -> dict[str, Any]:
        command = [sys.executable, "-c", script, str(self.folder), name]
        return {"name": name, "command": command, "socket": str(self.folder / f"{name}.sock")}

    def pids(self, name: str, count: int = 1) -> list[int]:
        """The pids of all lives of a part, as soon as there are so many."""
        deadline = time.monotonic() + LIMIT_S
        while len(found := self._lines(name)) < count:
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)
        return [int(each) for each in found]

    def _lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().split() if path.exists() else []

    def until_ready(self) -> None:
        """Wait until it has heard that the controller is ready: then a death is repaired."""
        for name in ("relay", "edge", "controller"):
            self.pids(name)

    def status(self) -> int:
        assert self.process is not None
        return self.process.wait(LIMIT_S)

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    if scene.process is not None:
        scene.process.kill()
        scene.process.wait()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(LIMIT_S)
        yield sock


def test_systemd_is_told_and_the_end_is_in_order(scene: Scene, systemd: socket.socket) -> None:
    scene.start(NOTIFY_SOCKET=systemd.getsockname(), WATCHDOG_USEC="200000")
    while systemd.recv(100) != b"READY=1":
        pass
    assert scene.process is not None
    assert systemd.recv(100) == b"WATCHDOG=1"
    assert title_of(scene.process.pid) == "b2bua"
    (stubborn,) = scene.pids("relay")
    for name in ("relay", "edge", "controller"):
        assert len(scene.pids(name)) == 1
    scene.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + LIMIT_S
    while not (scene.folder / "words").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    scene.process.send_signal(signal.SIGTERM)
    while systemd.recv(100) != b"STOPPING=1":
        pass
    assert scene.status() == 0
    assert (scene.folder / "words").read_bytes() == b"he"
    assert (scene.folder / "ends").read_text().split() == ["controller", "edge", "relay"]
    with pytest.raises(ProcessLookupError):
        os.kill(stubborn, 0)


def test_what_dies_is_started_again_and_nothing_else(scene: Scene, systemd: socket.socket) -> None:
    scene.start(NOTIFY_SOCKET=systemd.getsockname())
    assert systemd.recv(100) == b"READY=1"
    for name in ("edge", "controller"):
        (scene.folder / f"{name}.sock").touch()
        (first,) = scene.pids(name)
        os.kill(first, signal.SIGKILL)
        second = scene.pids(name, 2)[-1]
        assert second != first
    assert not (scene.folder / "edge.sock").exists(), "nobody is to knock at a dead process's door"
    assert len(scene.pids("relay")) == 1
    died = scene.logged("a process has died")
    assert [(line["process"], line["status"]) for line in died] == [("edge", -9), ("controller", -9)]


def test_a_controller_makes_room_for_another(scene: Scene, systemd: socket.socket) -> None:
    """More often than a controller may die, and nothing else is started again."""
    scene.start(NOTIFY_SOCKET=systemd.getsockname())
    assert scene.process is not None
    for lives in range(1, 8):
        scene.pids("controller", lives)
        assert systemd.recv(64) == b"READY=1"
        scene.process.send_signal(signal.SIGUSR1)
    scene.pids("controller", 8)
    assert len(scene.pids("relay")) == len(scene.pids("edge")) == 1
    assert not scene.logged("a process has died")


def test_one_that_keeps_dying_ends_the_node_with_a_reason(scene: Scene, systemd: socket.socket) -> None:
    scene.start(
        part="import time\nif name == 'edge':\n"
        "    while not os.path.exists(os.path.join(folder, 'dies')): time.sleep(0.01)\n"
        "    sys.exit(3)",
        NOTIFY_SOCKET=systemd.getsockname(),
    )
    assert systemd.recv(100) == b"READY=1"
    (scene.folder / "dies").touch()
    assert scene.status() == 1
    (line,) = scene.logged("the node gives up")
    assert (line["process"], line["text"], line["status"]) == ("edge", "it has died 5 times in a minute", 3)
    assert len(scene.pids("edge")) == 5
    pauses = [each["again_in_s"] for each in scene.logged("a process has died")]
    assert pauses == sorted(set(pauses)) and pauses[0] == 0


@pytest.mark.parametrize(("code", "status"), [(2, 2), (1, 1), (3, 1)])
def test_a_controller_that_does_not_start_ends_the_node(scene: Scene, code: int, status: int) -> None:
    scene.start(controller=f"sys.exit({code})")
    assert scene.status() == status
    assert len(scene.pids("controller")) == 1


def test_nothing_outlives_a_supervisor_that_is_killed(scene: Scene, systemd: socket.socket) -> None:
    scene.start(NOTIFY_SOCKET=systemd.getsockname())
    assert systemd.recv(100) == b"READY=1"
    pids = [pid for name in ("relay", "edge", "controller") for pid in scene.pids(name)]
    assert scene.process is not None
    scene.process.kill()
    scene.process.wait()
    deadline = time.monotonic() + LIMIT_S
    while left := [pid for pid in pids if title_of(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)
