"""What ``b2bua serve`` does before it becomes the supervisor: binds the sockets and plans the processes.

The sockets are bound here and inherited from then on, so that the node's addresses outlive all its processes.
"""

import json
import os
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from b2bua.core.errors import ConfigError
from b2bua.run_folder import RunFolder
from b2bua.settings import Settings
from b2bua.sip.edge_control import ListenSpec
from b2bua.sip.listening import Sockets, bind

__all__ = ["Launch", "listening_http"]


@dataclass(slots=True)
class Launch:
    """A node that is about to be started.

    Args:
        settings: the configuration.
        config: its file; None: there is none.
        log_format: ``console`` or ``json``.
    """

    settings: Settings
    config: Path | None
    log_format: str
    run: RunFolder = field(init=False)
    sip: Sockets = field(init=False)
    http: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        """Bind all sockets and make the run folder.

        Raises:
            ConfigError: an address cannot be listened on, or the folder cannot be made.
        """
        self.sip = bind(tuple(ListenSpec(e.transport, e.host, e.port) for e in self.settings.sip.listen))
        self.http = listening_http(self.settings.http.listen.host, self.settings.http.listen.port)
        try:
            self.run = RunFolder.make(self.settings.node.run_folder)
        except OSError as error:
            raise ConfigError(f"node.run_folder: {error}") from error

    def plan(self) -> dict[str, Any]:
        """Return the supervisor's plan; each process inherits its sockets."""
        made = self.settings.node.run_folder is None
        sip = [sock.fileno() for sock in (*self.sip.outer, *self.sip.inner)]
        edge = self._command("b2bua.sip.edge", "--control", self.run.edge)
        edge += ["--sockets", ",".join(map(str, sip))]
        controller = self._command("b2bua.node", "--run-folder", self.run.path)
        controller += ["--http", str(self.http.fileno())]
        if self.config is not None:
            controller += ["--config", str(self.config)]
        return {
            "log_format": self.log_format,
            "folder": str(self.run.path) if made else "",
            "processes": [
                self._process("relay", self._command("b2bua.relay", "--control", self.run.relay)),
                self._process("edge", edge, sip),
                self._process("forks", self._command("b2bua.engine.forkserver", "--control", self.run.forks)),
                {"name": "controller", "command": controller, "fds": [self.http.fileno()]},
            ],
        }

    def _process(self, name: str, command: list[str], fds: list[int] | None = None) -> dict[str, Any]:
        path = self.run.path / f"{name}.sock"
        return {"name": name, "command": command, "fds": fds or [], "socket": str(path)}

    def _command(self, module: str, option: str, path: Path) -> list[str]:
        return [sys.executable, "-m", module, option, str(path), "--log-format", self.log_format]

    def become_supervisor(self) -> int:
        """Run the supervisor in place of this program; returns only if that is impossible.

        The imports and the settings of this program would otherwise be the supervisor's for its whole life.
        """
        plan = self.plan()
        for process in plan["processes"]:
            for fd in process["fds"]:
                os.set_inheritable(fd, True)
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, "-m", "b2bua.supervisor", json.dumps(plan)])


def listening_http(host: str, port: int) -> socket.socket:
    """Return a socket for ``HttpServer`` that listens on an address; port 0: any free one.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.create_server((host.strip("[]"), port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigError(f"http.listen: cannot listen on {host}:{port}: {error.strerror}") from error
    # Connections inherit this option. asyncio sets it only on sockets with an explicit protocol; without it,
    # an answer on a kept-alive connection takes 40 ms more.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock
