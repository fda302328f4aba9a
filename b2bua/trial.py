"""A trial call through a node of its own: a caller and two callees, a fork, ringback, talk, ``*``.

``demo`` shows the call, ``doctor`` checks its result.
"""

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from b2bua.core.errors import B2buaError
from b2bua.phone.phone import Exchange, Phone
from media.measure import goertzel_dbfs

__all__ = [
    "CALLEE_HZ",
    "CALLER_HZ",
    "Measured",
    "Trial",
    "TrialResult",
    "run_trial",
    "trial_config",
    "trial_node",
    "trial_phones",
]

HOST = "127.0.0.1"
CALLER_HZ = 440.0
CALLEE_HZ = 660.0
RING_S = 2.6
TALK_S = 2.0
_RATE = 8000
_LIMIT_S = 15.0

_TWIML = """<Response>
  <Dial answerOnBridge="true" ringTone="uk" hangupOnStar="true" timeout="20"
        record="record-from-ringing-dual">
    <Sip>{anna}</Sip>
    <Sip>{ben}</Sip>
  </Dial>
  <Hangup/>
</Response>
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Measured level of one tone where it should be heard."""

    what: str
    hz: float
    dbfs: float
    wanted_dbfs: float

    @property
    def good(self) -> bool:
        """Whether the level is high enough to be that tone."""
        return self.dbfs >= self.wanted_dbfs


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The result of a trial call."""

    tones: tuple[Measured, ...]
    heard: dict[str, npt.NDArray[np.int16]]
    """Audio by phone: int16[n] at 8000 Hz."""
    ladder: tuple[Exchange, ...]
    recording: npt.NDArray[np.int16]
    """int16[n, 2] at 8000 Hz: the caller, and Anna from her answer on. From the first ringing to the end."""

    @property
    def good(self) -> bool:
        """Whether all tones were heard where they should be."""
        return all(tone.good for tone in self.tones)


@dataclass(slots=True)
class Trial:
    """The phones of a trial."""

    caller: Phone
    anna: Phone
    ben: Phone

    def __iter__(self) -> Any:
        return iter((self.caller, self.anna, self.ben))


async def run_trial(folder: Path, note: Callable[[Exchange], None]) -> TrialResult:
    """Run the trial: start a node, call, talk, press ``*``, measure, end the node.

    Args:
        folder: for the TwiML file and the node's own files.
        note: called with each SIP message as a phone sends or receives it.

    Raises:
        TimeoutError: an expected event did not happen.
        B2buaError: the node did not start.
    """
    ladder: list[Exchange] = []

    def keep(exchange: Exchange) -> None:
        ladder.append(exchange)
        note(exchange)

    async with trial_phones(("caller", "anna", "ben"), keep) as opened:
        phones = Trial(*opened)
        twiml = folder / "demo.xml"
        twiml.write_text(_TWIML.format(anna=phones.anna.uri, ben=phones.ben.uri))
        async with (
            trial_node(folder, trial_config({"100": "demo.xml"}, 27000, idle=1)) as port,
            asyncio.timeout(_LIMIT_S),
        ):
            ringback = await _call(phones, port)
        heard = {phone.name: phone.audio.heard() for phone in phones}
    recording = _recording(folder / "recordings")
    tones = _measure(ringback, heard, recording)
    return TrialResult(tones=tones, heard=heard, ladder=tuple(ladder), recording=recording)


def _recording(folder: Path) -> npt.NDArray[np.int16]:
    """Read the node's recording; returns no frames if there is none."""
    for path in folder.glob("RE*.wav"):
        samples: npt.NDArray[np.int16] = soundfile.read(path, dtype="int16", always_2d=True)[0]
        return samples
    return np.zeros((0, 2), np.int16)


async def _call(phones: Trial, port: int) -> int:
    """Make the call; returns how many samples the caller had heard before the answer."""
    phones.anna.answers_after_s = RING_S
    phones.caller.audio.play(CALLER_HZ)
    phones.anna.audio.play(CALLEE_HZ)
    phones.caller.call("100", HOST, port)
    await phones.caller.answered.wait()
    ringback = len(phones.caller.audio.heard())
    await phones.ben.ended.wait()
    await asyncio.sleep(TALK_S)
    phones.caller.audio.press("*")
    await phones.anna.ended.wait()
    await phones.caller.ended.wait()
    return ringback


def _measure(
    ringback: int, heard: dict[str, npt.NDArray[np.int16]], recording: npt.NDArray[np.int16]
) -> tuple[Measured, ...]:
    waiting = _loudest(heard["caller"][:ringback])
    talking = heard["caller"][-_RATE:]
    at_anna = heard["anna"][-_RATE:]
    wanted = (
        (waiting, 400.0, -25.0),
        (waiting, 450.0, -25.0),
        (talking, CALLEE_HZ, -18.0),
        (at_anna, CALLER_HZ, -18.0),
        (recording[-_RATE:, 0], CALLER_HZ, -18.0),
        (recording[-_RATE:, 1], CALLEE_HZ, -18.0),
    )
    names = (
        "ringback of the UK, at the caller",
        "ringback of the UK, at the caller",
        "Anna's tone, at the caller",
        "the caller's tone, at Anna",
        "the caller's tone, first channel of the recording",
        "Anna's tone, second channel of the recording",
    )
    return tuple(
        Measured(name, hz, goertzel_dbfs(samples, hz, _RATE), level)
        for name, (samples, hz, level) in zip(names, wanted, strict=True)
    )


def _loudest(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Return the loudest 200 ms, so that a tone with a cadence is measured while it sounds."""
    frames = max(1, _RATE // 5)
    windows = [samples[at : at + frames] for at in range(0, max(1, len(samples) - frames), frames // 4)]
    return max(windows, key=lambda window: float(np.abs(window.astype(np.float64)).sum()))


@contextlib.asynccontextmanager
async def trial_phones(
    names: Sequence[str], note: Callable[[Exchange], None]
) -> AsyncIterator[tuple[Phone, ...]]:
    """Open phones of these names, in their order; ``note`` is called with each SIP message of theirs."""
    phones = tuple([await Phone.open(name, HOST, note) for name in names])
    try:
        yield phones
    finally:
        for phone in phones:
            phone.close()


_CONFIG = """
[node]
drain_s = 0
[sip]
listen = ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"]
[rtp]
bind = "127.0.0.1"
ports = [{first_port}, {last_port}]
[http]
listen = "127.0.0.1:0"
[workers]
idle = {idle}
max = {most}
[storage]
database = "sqlite:///demo.db"
recordings = "recordings"
"""


def trial_config(numbers: Mapping[str, str], first_port: int, *, idle: int) -> str:
    """Return the configuration of a trial's node.

    Args:
        numbers: the TwiML file of each number.
        first_port: of the two hundred for media.
        idle: workers kept warm; one more may be started.
    """
    ports = {"first_port": first_port, "last_port": first_port + 199}
    entries = (f'[[numbers]]\nmatch = "{match}"\ntwiml = "{file}"\n' for match, file in numbers.items())
    return _CONFIG.format(**ports, idle=idle, most=idle + 1) + "".join(entries)


@contextlib.asynccontextmanager
async def trial_node(folder: Path, text: str) -> AsyncIterator[int]:
    """Run ``b2bua serve``; yields its SIP port.

    Args:
        folder: for its configuration and its own files.
        text: its configuration.

    Raises:
        B2buaError: the node did not start.
    """
    config = folder / "demo.toml"
    config.write_text(text)
    log = folder / "node.log"
    with log.open("wb") as errors:  # its lines would be among those of the ladder
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "b2bua", "serve", "--config", str(config)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode()
        ready = re.match(r"ready sip=udp:[^:]+:(\d+),", line)
        if ready is None:
            raise B2buaError(f"the node did not start:\n{log.read_text(errors='replace')[-4000:]}")
        yield int(ready[1])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
