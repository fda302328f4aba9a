"""SIPp as a caller or a callee: one process runs one scenario of ``tests/sip/sipp`` and exits by itself.

A scenario is text with ``@name@`` where SIPp itself takes no variable; ``Sipp.values`` fills them in.
SIPp sends real RTP (a tone, looped) but never reads what it gets: what is heard is for ``tests.peer`` to say.
"""

import asyncio
import contextlib
import csv
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from media.g711 import ulaw_encode
from tests.peer.ladder import PATIENCE_S
from tests.peer.tones import sine
from tests.ports import port_block

SCENARIOS = Path(__file__).with_name("sipp")
DEFAULT_VALUES = {"ring_ms": "50", "talk_ms": "300", "hold_ms": "300"}
TRANSCRIPT_LIMIT = 20_000


@dataclass(frozen=True, kw_only=True)
class SippOptions:
    """Options of a run."""

    target: tuple[str, int] | None = None
    """Address that a caller calls; None for a callee."""
    user: str = "1000"
    """User part that a caller calls."""
    port: int = 0
    """Its own SIP port; 0: any free one."""
    calls: int = 1
    """Number of calls after which it exits."""
    rate_per_s: float = 10.0
    duration_ms: int = 500
    """How long a caller talks."""
    limit_s: int = 40
    """Time limit, after which the run has failed."""
    values: Mapping[str, str] = field(default_factory=dict)
    """Values for the scenario's ``@name@``."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Values for the scenario's ``[name]``."""
    transport: str = "udp"
    tone_hz: float = 440.0
    trace: bool = True
    """Keep every message for the transcript."""


@dataclass(frozen=True, kw_only=True)
class SippResult:
    """Result of a run."""

    scenario: str
    exit_status: int
    """0: every call followed the scenario. 1: one did not, or the time was up."""
    successful: int
    failed: int
    retransmissions: int
    errors: str
    transcript: str
    """The last messages sent and received."""

    @property
    def ok(self) -> bool:
        return self.exit_status == 0 and self.failed == 0

    def check(self) -> "SippResult":
        """Return itself, or raise with everything known about the failure."""
        if not self.ok:
            raise AssertionError(
                f"SIPp {self.scenario}: exit status {self.exit_status}, {self.successful} calls well, "
                f"{self.failed} not\n{self.errors}\n{self.transcript}"
            )
        return self


@dataclass
class Sipp:
    """A running SIPp; created by ``sipp``."""

    scenario: str
    port: int
    folder: Path
    process: asyncio.subprocess.Process
    limit_s: int

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    def uri(self, user: str = "callee") -> str:
        return f"sip:{user}@127.0.0.1:{self.port}"

    async def wait(self) -> SippResult:
        """Wait until it has exited."""
        # Its own limit comes first; after that it may still say goodbye to calls that it has up.
        async with asyncio.timeout(self.limit_s + PATIENCE_S):
            status = await self.process.wait()
        counts = _last_counts(self.folder / "counts.csv")
        return SippResult(
            scenario=self.scenario,
            exit_status=status,
            successful=counts.get("SuccessfulCall(C)", 0),
            failed=counts.get("FailedCall(C)", 0),
            retransmissions=counts.get("Retransmissions(C)", 0),
            errors=_tail(self.folder / "errors.log") + _complaints(self.folder / "stderr.log"),
            transcript=_tail(self.folder / "messages.log"),
        )

    async def kill(self) -> None:
        """End it now, if it is still running."""
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


async def run_sipp(scenario: str, options: SippOptions | None = None) -> SippResult:
    """Run a scenario to its end."""
    async with sipp(scenario, options) as running:
        return await running.wait()


@contextlib.asynccontextmanager
async def sipp(scenario: str, options: SippOptions | None = None) -> AsyncIterator[Sipp]:
    """Start a scenario; it accepts (or makes) calls inside the block, and has exited after it."""
    options = options or SippOptions()
    with tempfile.TemporaryDirectory(prefix="sipp-") as name:
        folder = Path(name)
        (folder / "tone.ulaw").write_bytes(ulaw_encode(sine(options.tone_hz, -10.0, 8000)))
        (folder / "scenario.xml").write_text(_filled(scenario, options, folder))
        running = await _start(scenario, options, folder)
        try:
            yield running
        finally:
            await running.kill()


async def _start(scenario: str, options: SippOptions, folder: Path) -> Sipp:
    port = options.port or port_block(2)
    process = await _spawn(options, folder, port)
    running = Sipp(scenario, port, folder, process, options.limit_s)
    await _listens(running, options.transport)
    return running


async def _spawn(options: SippOptions, folder: Path, port: int) -> asyncio.subprocess.Process:
    program = shutil.which("sipp")
    if program is None:
        raise AssertionError("no sipp on PATH: apt-get install sip-tester")
    with (folder / "stderr.log").open("wb") as stderr:
        return await asyncio.create_subprocess_exec(
            program,
            *_arguments(options, folder, port),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=stderr,
            cwd=folder,
            env={**os.environ, "TERM": "dumb"},
        )


def _arguments(options: SippOptions, folder: Path, port: int) -> list[str]:
    given = {
        "sf": str(folder / "scenario.xml"),
        "i": "127.0.0.1",
        "mi": "127.0.0.1",
        "p": str(port),
        "mp": str(port_block(4)),
        "t": {"udp": "u1", "tcp": "t1"}[options.transport],
        "m": str(options.calls),
        "r": str(options.rate_per_s),
        "d": str(options.duration_ms),
        "s": options.user,
        "timeout": str(options.limit_s),
        "watchdog_interval": "0",  # it ends SIPp when the machine is busy
        "error_file": str(folder / "errors.log"),
        "stf": str(folder / "counts.csv"),
        "fd": "1",
    }
    words = [word for key, value in given.items() for word in (f"-{key}", value)]
    words += ["-timeout_error", "-aa", "-nostdin", "-trace_err", "-trace_stat"]
    if options.trace:
        words += ["-trace_msg", "-message_file", str(folder / "messages.log")]
    for key, value in {"from_user": "caller", **options.keys}.items():
        words += ["-key", key, value]
    if options.target is not None:
        words.append("{}:{}".format(*options.target))
    return words


def _filled(scenario: str, options: SippOptions, folder: Path) -> str:
    values = {**DEFAULT_VALUES, "tone": "tone.ulaw", **options.values}
    text = (SCENARIOS / f"{scenario}.xml").read_text()
    head, start, body = text.partition("<scenario")
    return head + start + re.sub(r"@([a-z_]+)@", lambda found: values[found[1]], body)


async def _listens(running: Sipp, transport: str) -> None:
    """Wait until its port is bound, or it has exited. SIPp does not report it, the kernel does."""
    wanted = f":{running.port:04X}"
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while running.process.returncode is None:
        if wanted in _bound(transport):
            return
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"SIPp does not listen\n{_tail(running.folder / 'stderr.log')}")
        await asyncio.sleep(0.005)


def _bound(transport: str) -> set[str]:
    """Local ports in use, as the kernel writes them."""
    lines = Path("/proc/net", transport).read_text().splitlines()[1:]
    return {line.split()[1][-5:] for line in lines}


def _last_counts(path: Path) -> dict[str, int]:
    if not path.exists():
        return {}
    rows = list(csv.DictReader(path.read_text().splitlines(), delimiter=";"))
    last = rows[-1] if rows else {}
    return {key: int(value) for key, value in last.items() if key and value and value.isdigit()}


def _complaints(path: Path) -> str:
    lines = _tail(path).splitlines(keepends=True)
    return "".join(line for line in lines if line.strip() and not line.startswith("Resolving remote host"))


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-TRANSCRIPT_LIMIT:] if path.exists() else ""
