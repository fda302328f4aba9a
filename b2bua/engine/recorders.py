"""Native recorders: each recording is two mono WAVs, one per side, whose frames are aligned.

What keeps the two aligned:

- A recorder without a source writes nothing, so its file would lose time. So the bridge's slot 0 (for the
  sound device that we do not have; a source of silence) is connected to both for all of their life; a leg's
  audio is mixed into it.
- Both are connected, and both disconnected, between the same two frames: the bridge carries out operations in
  its next frame, and the thread that requests them is the one that drives its frames.

The media graph (``connections``), which is reconciled after every change of media, determines which leg feeds
which recorder.

A file's header is complete once the recorder is destroyed, which the bridge does in one of its next frames.
A killed worker loses the contents of two buffers, 4,000 bytes in pjsip and 4,096 in the C library: half a
second at 8 kHz, and for up to that long after the start the files are empty.

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

from b2bua.core.commands import Connection, RecordingCommand, RecordLegs, StartRecording, StopRecording
from b2bua.core.events import RecordingEvent, RecordingStarted, RecordingStopped
from b2bua.core.ids import LegId
from b2bua.engine.endpoint import PTIME_MS, Library

__all__ = ["RECORDER", "Recorders"]

log = logging.getLogger(__name__)

RECORDER = "rec"
"""Recorders are named ``rec:ID:parent`` and ``rec:ID:child`` in the media graph."""

_SIDES = ("parent", "child")
_HEADER_BYTES = 44
_TWO_TICKS = 2
"""Ticks between a recorder's disconnection and its destruction; a frame may be on its way to it."""
_HEADER_TICKS = 100
"""The header is completed one frame after the destruction; if not within 2 s, it never will be."""


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
    """When it entered ``state``, if that is not RUNNING."""


class Recorders:
    """All recordings of the worker's session.

    Args:
        library: provides silence, and counts the bridge's frames.
        post: takes the events.
    """

    def __init__(self, library: Library, post: Callable[[RecordingEvent], None]) -> None:
        self._library = library
        self._post = post
        self._recordings: dict[str, _Recording] = {}

    @property
    def stopping(self) -> bool:
        """Whether a recording is stopping, so that ``step`` has to be called after each frame."""
        return any(recording.state is not _State.RUNNING for recording in self._recordings.values())

    @property
    def busy(self) -> bool:
        """Whether a recording is not over yet."""
        return bool(self._recordings)

    def connections(self) -> tuple[Connection, ...]:
        """Return a connection from each recorded leg to its recorder."""
        return tuple(
            Connection(leg, f"{RECORDER}:{name}:{side}")
            for name, recording in self._recordings.items()
            if recording.state is _State.RUNNING
            for side, leg in zip(_SIDES, recording.legs, strict=True)
            if leg is not None
        )

    def port(self, name: str) -> pj.AudioMedia | None:
        """Return the recorder ``ID:SIDE``, as long as it may be connected and disconnected."""
        which, _, side = name.rpartition(":")
        recording = self._recordings.get(which)
        if recording is None or not recording.recorders:
            return None
        return recording.recorders[_SIDES.index(side)]

    # -- commands -----------------------------------------------------------------------------------

    def obey(self, order: RecordingCommand) -> None:
        """Carry out a command about a recording."""
        match order:
            case StartRecording():
                self.start(order)
            case RecordLegs():
                self.set_legs(order)
            case StopRecording():
                self.stop(order.recording)

    def start(self, order: StartRecording) -> None:
        """Begin a recording with the next frame."""
        if order.recording in self._recordings:
            log.error("recording started twice", extra={"recording": order.recording})
            return
        now = time.monotonic()
        recorders: list[pj.AudioMediaRecorder] = []
        try:
            for path in order.files:
                recorder = pj.AudioMediaRecorder()
                recorder.createRecorder(path)
                recorders.append(recorder)
        except pj.Error as error:
            log.error(
                "recording could not start", extra={"recording": order.recording, "reason": error.reason}
            )
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
        """Record other legs from the next frame on; does nothing if the recording has been stopped."""
        recording = self._recordings.get(order.recording)
        if recording is not None:
            recording.legs = (order.parent, order.child)

    def stop(self, which: str) -> None:
        """Stop recording at once; does nothing if the recording has been stopped before."""
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
        """Stop all recordings: the session is over."""
        for which in self._recordings:
            self.stop(which)

    # -- after each frame ---------------------------------------------------------------------------

    def step(self) -> None:
        """Advance the recordings that are being stopped."""
        for which, recording in list(self._recordings.items()):
            waited = self._library.ticks - recording.since_tick
            if recording.state is _State.DISCONNECTED and waited >= _TWO_TICKS:
                recording.recorders.clear()  # the last references: this destroys them
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
    if missing > 1:  # the frame in which a command arrives may count or not
        reason = f"{missing * frame_s:.2f} s could not be written"
        log.error("recording is incomplete", extra={"recording": recording.order.recording})
    return RecordingStopped(
        recording=recording.order.recording,
        at=recording.stopped_at,
        files=files,
        duration_s=recording.frames * frame_s,
        reason=reason,
    )


def _is_complete(path: str) -> bool:
    """Whether the header contains the sizes (also true for a complete recording without frames)."""
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
