"""A trial conference through a node of its own: three phones, a recording, and the room's events.

``demo --conference`` shows it.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
import numpy.typing as npt
import soundfile

from b2bua.phone.phone import Exchange, Phone
from b2bua.trial import HOST, Measured, trial_config, trial_node, trial_phones
from media.measure import goertzel_dbfs

__all__ = ["NAMES", "ConferenceResult", "Told", "run_conference"]

NAMES = ("ann", "ben", "cleo")
_HZ = {"ann": 500.0, "ben": 700.0, "cleo": 1000.0}
_RATE = 8000
_WAIT_S = 1.0
_TURN_S = 0.8
_LIMIT_S = 30.0
_WANTED_DBFS = -20.0

_TWIML = """<Response>
  <Dial>
    <Conference participantLabel="{name}" endConferenceOnExit="{ends}"
        record="record-from-start" trim="do-not-trim" recordingStatusCallback="{url}"
        statusCallback="{url}" statusCallbackEvent="start end join leave speaker">demo</Conference>
  </Dial>
</Response>
"""


@dataclass(frozen=True, slots=True)
class Told:
    """One event that the application is told."""

    at: float
    name: str
    who: str
    """The participant; empty: the conference."""


@dataclass(frozen=True, slots=True)
class ConferenceResult:
    """The result of a trial conference."""

    tones: tuple[Measured, ...]
    tracks: npt.NDArray[np.int16]
    """int16[n, 4] at 8000 Hz, from the start of the conference: its recording, and what each phone heard."""
    recording: npt.NDArray[np.int16]
    """int16[n, 1] at 8000 Hz."""
    story: tuple[Exchange | Told, ...]
    started_at: float

    @property
    def good(self) -> bool:
        """Whether all tones were heard where they should be."""
        return all(tone.good for tone in self.tones)


class _Events:
    """The application: it takes the room's events, one after another."""

    def __init__(self, note: Callable[[Told], None]) -> None:
        self._note = note
        self._seen: list[Told] = []
        self._fresh = asyncio.Condition()
        self._server: asyncio.Server | None = None

    async def open(self) -> str:
        """Listen; returns the URL."""
        self._server = await asyncio.start_server(self._take, HOST, 0)
        return f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}/events"

    def close(self) -> None:
        """Listen no longer."""
        if self._server is not None:
            self._server.close()

    async def expect(self, name: str, who: str = "") -> Told:
        """Wait for an event."""

        def found() -> Told | None:
            return next((each for each in self._seen if (each.name, each.who) == (name, who)), None)

        async with self._fresh:
            await self._fresh.wait_for(found)
        told = found()
        assert told is not None
        return told

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), contextlib.closing(writer):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = int(head.partition("content-length:")[2].split("\r\n")[0] or 0)
                form = dict(parse_qsl((await reader.readexactly(length)).decode()))
                recorded = f"recording-{form.get('RecordingStatus', '')}"
                name = form.get("StatusCallbackEvent", recorded)
                told = Told(time.monotonic(), name, form.get("ParticipantLabel", ""))
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                self._note(told)
                async with self._fresh:
                    self._seen.append(told)
                    self._fresh.notify_all()


async def run_conference(folder: Path, note: Callable[[Exchange | Told], None]) -> ConferenceResult:
    """Run the trial: start a node, let three phones talk in a room, measure, end the node.

    Args:
        folder: for the TwiML files and the node's own files.
        note: called with each SIP message as a phone sends or receives it, and with each event.

    Raises:
        TimeoutError: an expected event did not happen.
        B2buaError: the node did not start.
    """
    story: list[Exchange | Told] = []

    def keep(each: Exchange | Told) -> None:
        story.append(each)
        note(each)

    events = _Events(keep)
    async with trial_phones(NAMES, keep) as phones:
        url = await events.open()
        try:
            async with trial_node(folder, _config(folder, url)) as port, asyncio.timeout(_LIMIT_S):
                answered, started_at = await _talk(phones, events, port)
        finally:
            events.close()
        heard = {phone.name: phone.audio.heard() for phone in phones}
    recording = _recording(folder / "recordings")
    return ConferenceResult(
        tones=_measure(heard, recording),
        tracks=_aligned(recording, heard, answered, started_at),
        recording=recording,
        story=tuple(story),
        started_at=started_at,
    )


async def _talk(phones: tuple[Phone, ...], events: _Events, port: int) -> tuple[dict[str, float], float]:
    """Hold the conference; returns when each phone was answered, and when the conference began."""
    ann, ben, cleo = phones
    answered: dict[str, float] = {}

    async def join(phone: Phone) -> None:
        phone.call(phone.name, HOST, port)
        await phone.answered.wait()
        answered[phone.name] = time.monotonic()
        await events.expect("participant-join", phone.name)

    await join(ann)
    await asyncio.sleep(_WAIT_S)  # she hears music
    await join(ben)
    started_at = (await events.expect("conference-start")).at
    await join(cleo)
    for turn in (*((phone,) for phone in phones), phones):
        for phone in turn:
            phone.audio.play(_HZ[phone.name])
        await asyncio.sleep(_TURN_S)
        for phone in turn:
            phone.audio.play(0.0)
        await asyncio.sleep(_TURN_S / 4)
    ben.hang_up()
    await events.expect("participant-leave", "ben")
    await asyncio.sleep(_TURN_S)
    ann.hang_up()  # her exit ends it
    await cleo.ended.wait()
    await events.expect("conference-end")
    await events.expect("recording-completed")
    return answered, started_at


def _measure(
    heard: dict[str, npt.NDArray[np.int16]], recording: npt.NDArray[np.int16]
) -> tuple[Measured, ...]:
    tones = []
    for talker in NAMES:
        for name in NAMES:
            if name != talker:
                level = _loudest_dbfs(heard[name], _HZ[talker])
                tones.append(Measured(f"{talker}'s tone, at {name}", _HZ[talker], level, _WANTED_DBFS))
        level = _loudest_dbfs(recording[:, 0], _HZ[talker])
        tones.append(Measured(f"{talker}'s tone, in the recording", _HZ[talker], level, _WANTED_DBFS))
    return tuple(tones)


def _loudest_dbfs(samples: npt.NDArray[np.int16], hz: float) -> float:
    """Return the level of a tone in the 200 ms in which it is loudest."""
    frames = _RATE // 5
    windows = (samples[at : at + frames] for at in range(0, max(1, len(samples) - frames), frames // 2))
    return max(goertzel_dbfs(window, hz, _RATE) for window in windows) if len(samples) else -120.0


def _aligned(
    recording: npt.NDArray[np.int16],
    heard: dict[str, npt.NDArray[np.int16]],
    answered: dict[str, float],
    started_at: float,
) -> npt.NDArray[np.int16]:
    """Return the recording and what each phone heard, on one time line."""
    tracks = np.zeros((len(recording), 1 + len(NAMES)), np.int16)
    tracks[:, 0] = recording[:, 0]
    for column, name in enumerate(NAMES, 1):
        at = round((answered[name] - started_at) * _RATE)
        samples = heard[name][max(0, -at) :]
        begin = max(0, at)
        samples = samples[: max(0, len(tracks) - begin)]
        tracks[begin : begin + len(samples), column] = samples
    return tracks


def _recording(folder: Path) -> npt.NDArray[np.int16]:
    """Read the node's recording; returns no frames if there is none."""
    for path in folder.glob("RE*.wav"):
        samples: npt.NDArray[np.int16] = soundfile.read(path, dtype="int16", always_2d=True)[0]
        return samples
    return np.zeros((0, 1), np.int16)


def _config(folder: Path, url: str) -> str:
    """Write the documents of the three; returns the node's configuration."""
    for name in NAMES:
        ends = "true" if name == "ann" else "false"
        (folder / f"{name}.xml").write_text(_TWIML.format(name=name, url=url, ends=ends))
    return trial_config({name: f"{name}.xml" for name in NAMES}, 27200, idle=3)
