"""A node that cannot start reports why, and leaves neither a folder nor a process."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sip.node_process import config_text

pytestmark = pytest.mark.process


@contextlib.contextmanager
def taken(kind: socket.SocketKind) -> Iterator[int]:
    """A port that another socket listens on."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            sock.listen()
        yield sock.getsockname()[1]


def children_of(marker: str) -> list[int]:
    """Processes with this word in their environment."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):
                if marker.encode() in Path("/proc", name, "environ").read_bytes():
                    found.append(int(name))
    return found


@pytest.mark.parametrize("what", ["sip", "http", "cache", "recordings", "database"])
def test_a_start_that_fails_leaves_nothing(what: str, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("not a folder")
    with taken(socket.SOCK_DGRAM) as sip, taken(socket.SOCK_STREAM) as http:
        sections = {
            "sip": {"sip": {"listen": [f"udp://127.0.0.1:{sip}"]}},
            "http": {"http": {"listen": f"127.0.0.1:{http}"}},
            "cache": {"storage": {"cache": str(tmp_path / "a-file")}},
            "recordings": {"storage": {"recordings": str(tmp_path / "a-file")}},
            "database": {"storage": {"database": f"sqlite:///{tmp_path}/a-file/b.db"}},
        }[what]
        config = tmp_path / "b2bua.toml"
        config.write_text(config_text({}, sections=sections))
        temporary = tmp_path / "tmp"
        temporary.mkdir()
        done = subprocess.run(
            [sys.executable, "-m", "b2bua", "serve", "--config", str(config)],
            env=os.environ | {"TMPDIR": str(temporary)},
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert list(temporary.iterdir()) == []
    raw = tmp_path / "recordings" / ".raw"
    assert not raw.exists() or list(raw.iterdir()) == []
    deadline = time.monotonic() + 5
    while left := children_of(f"TMPDIR={temporary}"):
        assert time.monotonic() < deadline, f"processes are left: {left}"
        time.sleep(0.02)
