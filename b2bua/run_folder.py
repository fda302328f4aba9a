"""The run folder of a node: the sockets by which its processes find each other, and what all of them know.

It is private, made before the first process and removed after the last. What is in it outlives every single
process: the secret between edge and workers, and the node's own loopback address.
"""

import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

__all__ = ["RunFolder"]

_FACTS: Final = "node.json"


class _Facts(msgspec.Struct, frozen=True):
    secret: str
    inner_host: str
    pid: int = 0


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A node's run folder and its contents."""

    path: Path
    secret: str
    """Shared by edge and workers (``sip.inside``); hexadecimal."""
    inner_host: str
    """The node's own loopback address, ``127.x.y.1``."""
    pid: int = 0
    """Process id of the supervisor, which runs in the process that has made the folder."""

    @classmethod
    def make(cls, path: Path | None) -> "RunFolder":
        """Make a folder, or take an existing one.

        Args:
            path: of the folder; None: a new one in the system's folder for temporary files.

        Raises:
            OSError: it cannot be made or written to.
        """
        if path is None:
            path = Path(tempfile.mkdtemp(prefix="b2bua-"))
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        chosen = secrets.SystemRandom()
        facts = _Facts(
            secret=secrets.token_hex(16),
            pid=os.getpid(),
            inner_host=f"127.{chosen.randint(64, 250)}.{chosen.randint(0, 255)}.1",
        )
        (path / "legs.log").unlink(missing_ok=True)  # of an earlier node, whose calls are over
        file = path / _FACTS
        file.touch(mode=0o600)
        file.write_bytes(msgspec.json.encode(facts))
        return cls(path, facts.secret, facts.inner_host, facts.pid)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Return the folder that a process was started with."""
        facts = msgspec.json.decode((path / _FACTS).read_bytes(), type=_Facts)
        return cls(path, facts.secret, facts.inner_host, facts.pid)

    @property
    def edge(self) -> Path:
        """The edge's socket, for the controller."""
        return self.path / "edge.sock"

    @property
    def relay(self) -> Path:
        """The relay's socket, for the edge and the controller."""
        return self.path / "relay.sock"

    @property
    def forks(self) -> Path:
        """The fork server's socket, for the controller."""
        return self.path / "forks.sock"
