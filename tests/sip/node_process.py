"""A real node for a test: its configuration in a folder, its process, its addresses."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.peer.ladder import PATIENCE_S
from tests.ports import port_block
from tests.sip.warm_start import WarmProcess, start_warm

START_LIMIT_S = 60.0
STAY_S = 2.0
"""A call that outlives its test is ended."""
ACCOUNT_SID = "AC" + "0" * 31 + "1"
AUTH_TOKEN = "token-of-the-tests"


@dataclass
class NodeProcess:
    """A running node; created by ``run_node``."""

    process: WarmProcess | asyncio.subprocess.Process
    log_path: Path
    sip: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Addresses by transport."""
    http: str = ""
    killed: bool = False
    _lines: list[dict[str, Any]] = field(default_factory=list)
    """The log as far as it was read."""
    _read: int = 0
    """Bytes of the log that were read."""

    @property
    def udp(self) -> tuple[str, int]:
        return self.sip["udp"]

    def uri(self, user: str) -> str:
        host, port = self.udp
        return f"sip:{user}@{host}:{port}"

    def log(self) -> list[dict[str, Any]]:
        """The log so far, one dict per line."""
        self._follow()
        return list(self._lines)

    def _follow(self) -> None:
        """Read the lines written since; an incomplete line stays for the next time."""
        with self.log_path.open("rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        if whole:
            self._read += len(whole) + 1
            lines = whole.decode(errors="replace").splitlines()
            self._lines += [json.loads(line) for line in lines if line.startswith("{")]

    async def expect_log(self, event: str, *, within_s: float = PATIENCE_S, **facts: Any) -> dict[str, Any]:
        """Wait for a log line; another process writes it, so the log is read repeatedly."""
        deadline, seen = time.monotonic() + within_s, 0
        while time.monotonic() < deadline:
            self._follow()
            for line in self._lines[seen:]:
                if line.get("event") == event and all(line.get(k) == v for k, v in facts.items()):
                    return line
            seen = len(self._lines)
            await asyncio.sleep(0.02)
        raise AssertionError(f"no {event!r} {facts} in the log:\n{self.log_path.read_text()}")

    def worker_pids(self) -> set[int]:
        """The worker processes: children of the node's fork server."""
        parents = dict(_parents())
        ours = {pid for pid, parent in parents.items() if parent == self.process.pid}
        forks = {pid for pid in ours if title_of(pid) == "b2bua-fork"}
        return {pid for pid, parent in parents.items() if parent in forks}

    def descriptors(self) -> int:
        """Open file descriptors of the supervisor and its children: edge, relay, fork server, controller."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.lasting_pids())

    def lasting_pids(self) -> list[int]:
        """The processes that live as long as the node: the supervisor and its children."""
        return [self.process.pid, *(pid for pid, parent in _parents() if parent == self.process.pid)]

    def pid_named(self, title: str) -> int:
        """Pid of the process with this name in ``ps``, workers excluded; a zombie has no title."""
        pids = [pid for pid in self.lasting_pids() if title_of(pid) == title]
        assert len(pids) == 1, f"{title}: {pids}"
        return pids[0]

    def warm_pids(self) -> set[int]:
        """Live workers that have said hello."""
        return {line["pid"] for line in self.log() if line.get("event") == "worker"} & self.worker_pids()

    def worker_pid(self, worker: str) -> int:
        """Pid of the worker with this name, from the log line of its start."""
        lines = [line for line in self.log() if line.get("event") == "worker" and line["worker"] == worker]
        return int(lines[-1]["pid"])

    async def kill(self) -> None:
        """``kill -9`` of the supervisor; the other processes end by themselves."""
        self.killed = True
        self.process.kill()
        await self.process.wait()

    async def quiet(self) -> None:
        """Wait until no call is left and no callback is pending; remaining calls are ended."""
        headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
        begun = time.monotonic()
        async with aiohttp.ClientSession(self.http, headers=headers) as session:
            while await _owes(session):
                assert time.monotonic() - begun < PATIENCE_S, (
                    f"it is not quiet:\n{self.log_path.read_text()[-4000:]}"
                )
                if time.monotonic() - begun > STAY_S:
                    await _end_calls(session)
                await asyncio.sleep(0.02)

    async def stop(self) -> int:
        """End it as an operator would, and return its exit status."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise AssertionError(f"the node did not end:\n{self.log_path.read_text()}") from None


def title_of(pid: int) -> str:
    """What ``ps -o args`` shows for a process; empty if it does not exist."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
    except OSError:
        return ""


async def _owes(session: aiohttp.ClientSession) -> bool:
    """Live calls and undelivered callbacks."""
    async with session.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return any(
        float(line.split()[-1]) for line in lines if line.startswith(("b2bua_calls{", "b2bua_outbox "))
    )


async def _end_calls(session: aiohttp.ClientSession) -> None:
    calls = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls"
    for status in ("queued", "ringing", "in-progress"):
        async with session.get(f"{calls}.json", params={"Status": status}) as answer:
            live = (await answer.json())["calls"]
        for call in live:
            form = {"Status": "completed"}
            async with session.post(f"{calls}/{call['sid']}.json", data=form):
                pass


def _parents() -> list[tuple[int, int]]:
    pairs = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                stat = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
                pairs.append((int(name), int(stat[1])))
    return pairs


def config_text(
    numbers: dict[str, dict[str, str]], *, extra: str = "", sections: dict[str, dict[str, Any]] | None = None
) -> str:
    """TOML for a test node on free ports. ``numbers``: pattern to keys of ``[[numbers]]``."""
    first = port_block(400)
    given: dict[str, dict[str, Any]] = {
        "account": {"sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN},
        "node": {"drain_s": 0},
        "sip": {"listen": ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"]},
        "rtp": {"bind": "127.0.0.1", "ports": [first, first + 399]},
        "http": {"listen": "127.0.0.1:0"},
        "workers": {"idle": 2, "max": 16},
    }
    for name, values in (sections or {}).items():
        given.setdefault(name, {}).update(values)
    lines = []
    for name, values in given.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    for match, keys in numbers.items():
        lines += ["[[numbers]]", f"match = {json.dumps(match)}"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n" + extra


@contextlib.asynccontextmanager
async def run_node(
    folder: Path, text: str, *, python: Path | None = None, watch: str = "", log_format: str = "json"
) -> AsyncIterator[NodeProcess]:
    """Start ``b2bua serve`` with the configuration ``text``; stop it at the end and require exit status 0.

    Args:
        folder: for its files.
        text: its configuration.
        python: the interpreter it is run by, and runs its other processes by; None: this one, warm.
        watch: see ``start_warm``.
        log_format: its lines can be waited for (``expect_log``) in json only.
    """
    config = folder / "b2bua.toml"
    config.write_text(text)
    log_path = folder / "node.log"
    with log_path.open("wb") as log:
        arguments = ("serve", "--config", str(config), "--log-format", log_format)
        if python is None:
            process: WarmProcess | asyncio.subprocess.Process = await start_warm(
                arguments, log.fileno(), watch
            )
        else:
            process = await asyncio.create_subprocess_exec(
                python, "-m", "b2bua", *arguments, stdout=asyncio.subprocess.PIPE, stderr=log
            )
    node = NodeProcess(process, log_path)
    try:
        await _wait_ready(node)
        yield node
    finally:
        status = await node.stop()
    assert status == 0 or node.killed, f"exit status {status}:\n{log_path.read_text()}"


async def _wait_ready(node: NodeProcess) -> None:
    assert node.process.stdout is not None
    try:
        async with asyncio.timeout(START_LIMIT_S):
            line = (await node.process.stdout.readline()).decode()
    except TimeoutError:
        line = ""
    if not line.startswith("ready "):
        raise AssertionError(f"the node did not start: {line!r}\n{node.log_path.read_text()}")
    words = dict(word.split("=", 1) for word in line.split()[1:])
    for address in words["sip"].split(","):
        transport, host, port = address.split(":")
        node.sip[transport] = (host, int(port))
    node.http = words["http"]
