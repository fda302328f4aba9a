"""Native recorders: each recording is two mono WAVs, one a side, whose frames belong together.

What keeps the two aligned:

- A recorder without a source writes nothing, and its time shrinks. So the bridge's slot 0 (the sound device
  that we have not; it gives silence in every frame) is connected to both for all of their life; what a leg
  says is added to it.
- Both are connected, and both disconnected, between the same two frames: the bridge does what it is told in
  its next frame, and the thread that tells it is the one that makes its frames.

Which leg feeds which recorder is part of the media graph (``connections``), which is made anew with every
change of media.

A file's header is complete when the recorder is really gone, which the bridge does in one of its next frames.
What is lost with a killed worker is what two buffers hold, 4,000 bytes of the library's and 4,096 of the C
library's: half a second at 8 kHz, and up to that long no file has a byte.

Thread: the SIP thread.
"""

import enum
import logging
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pjsua2 as pj

from b2bua.core.commands import Connection, RecordLegs, StartRecording
from b2bua.core.events import RecordingEvent, RecordingStarted, RecordingStopped
from b2bua.core.ids import LegId
from b2bua.engine.endpoint import PTIME_MS, Library

__all__ = ["RECORDER", "Recorders"]

log = logging.getLogger(__name__)

RECORDER = "rec"
"""Recorders are called ``rec:ID:parent`` and ``rec:ID:child`` in the media graph."""

_SIDES = ("parent", "child")
_HEADER_BYTES = 44
_TWO_TICKS = 2
"""After its connections are gone, before a recorder may go (a frame may be on its way to it)."""
_HEADER_TICKS = 100
"""The header is completed one frame after that; when it is not after 2 s it never will be."""


class _State(enum.StrEnum):
    RUNNING = "running"
    DISCONNECTED = "disconnected"
    DESTROYED = "destroyed"


@dataclass(slots=True)
class _Recording:
    order: StartRecording
    legs: tuple[LegId | None, LegId | None]
    recorders: list[pj.AudioMediaRecorder]
    first_tick: int
    state: _State = _State.RUNNING
    frames: int = 0
    stopped_at: float = 0.0
    since_tick: int = 0
    """When it got into ``state``, if that is not RUNNING."""


class Recorders:
    """All recordings of the worker's session.

    Args:
        library: gives silence, and counts the bridge's frames.
        post: takes what is to be told.
    """

    def __init__(self, library: Library, post: Callable[[RecordingEvent], None]) -> None:
        self._library = library
        self._post = post
        self._recordings: dict[str, _Recording] = {}

    @property
    def stopping(self) -> bool:
        """Something waits for the next frames: ``step`` is to be called after each."""
        return any(recording.state is not _State.RUNNING for recording in self._recordings.values())

    @property
    def busy(self) -> bool:
        """Some recording is not over yet."""
        return bool(self._recordings)

    def connections(self) -> tuple[Connection, ...]:
        """What the recorders want to hear."""
        return tuple(
            Connection(leg, f"{RECORDER}:{name}:{side}")
            for name, recording in self._recordings.items()
            if recording.state is _State.RUNNING
            for side, leg in zip(_SIDES, recording.legs, strict=True)
            if leg is not None
        )

    def port(self, name: str) -> pj.AudioMedia | None:
        """The recorder ``ID:SIDE``, as long as it may be connected and disconnected."""
        which, _, side = name.rpartition(":")
        recording = self._recordings.get(which)
        if recording is None or not recording.recorders:
            return None
        return recording.recorders[_SIDES.index(side)]

    # -- commands -----------------------------------------------------------------------------------

    def start(self, order: StartRecording) -> None:
        """Begin with the next frame."""
        if order.recording in self._recordings:
            log.error("a recording was started twice", extra={"recording": order.recording})
            return
        now = time.monotonic()
        recorders: list[pj.AudioMediaRecorder] = []
        try:
            for path in order.files:
                recorder = pj.AudioMediaRecorder()
                recorder.createRecorder(path)
                recorders.append(recorder)
        except pj.Error as error:
            log.error("could not record", extra={"recording": order.recording, "reason": error.reason})
            for path in order.files[: len(recorders)]:
                Path(path).unlink(missing_ok=True)
            self._post(
                RecordingStopped(
                    recording=order.recording, at=now, files=(), duration_s=0.0, reason=error.reason
                )
            )
            return
        self._library.feed_silence(True)
        silence = self._library.silence()
        for recorder in recorders:
            silence.startTransmit(recorder)
        self._recordings[order.recording] = _Recording(
            order, (order.parent, order.child), recorders, self._library.ticks
        )
        self._post(RecordingStarted(recording=order.recording, at=now))

    def set_legs(self, order: RecordLegs) -> None:
        """Other legs from the next frame on; nothing when it has been stopped."""
        recording = self._recordings.get(order.recording)
        if recording is not None:
            recording.legs = (order.parent, order.child)

    def stop(self, which: str) -> None:
        """No frame more; nothing when it has been stopped before."""
        recording = self._recordings.get(which)
        if recording is None or recording.state is not _State.RUNNING:
            return
        recording.state = _State.DISCONNECTED
        recording.since_tick = self._library.ticks
        recording.frames = recording.since_tick - recording.first_tick
        recording.stopped_at = time.monotonic()
        silence = self._library.silence()
        for recorder in recording.recorders:
            silence.stopTransmit(recorder)

    def stop_all(self) -> None:
        """The session is over."""
        for which in self._recordings:
            self.stop(which)

    # -- after each frame ---------------------------------------------------------------------------

    def step(self) -> None:
        """Bring those that are being stopped further."""
        for which, recording in list(self._recordings.items()):
            waited = self._library.ticks - recording.since_tick
            if recording.state is _State.DISCONNECTED and waited >= _TWO_TICKS:
                recording.recorders.clear()  # nobody else has them: this destroys them
                recording.state, recording.since_tick = _State.DESTROYED, self._library.ticks
            elif recording.state is _State.DESTROYED and (
                waited >= _HEADER_TICKS or all(map(_is_complete, recording.order.files))
            ):
                del self._recordings[which]
                self._library.feed_silence(bool(self._recordings))
                self._post(_stopped(recording, self._library.samples_a_frame * 2))


def _stopped(recording: _Recording, frame_bytes: int) -> RecordingStopped:
    files = recording.order.files
    missing = recording.frames - min(_sound_bytes(path) for path in files) // frame_bytes
    frame_s = PTIME_MS / 1000
    reason = ""
    if missing > 1:  # the frame that a command falls into may count or not
        reason = f"{missing * frame_s:.2f} s could not be written"
        log.error("a recording is not complete", extra={"recording": recording.order.recording})
    return RecordingStopped(
        recording=recording.order.recording,
        at=recording.stopped_at,
        files=files,
        duration_s=recording.frames * frame_s,
        reason=reason,
    )


def _is_complete(path: str) -> bool:
    """The sizes are in the header (of a recording without a frame as well)."""
    try:
        with open(path, "rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError:
        return False
    return len(header) == _HEADER_BYTES and struct.unpack_from("<I", header, 4)[0] != 0


def _sound_bytes(path: str) -> int:
    try:
        return max(0, Path(path).stat().st_size - _HEADER_BYTES)
    except OSError:
        return 0
