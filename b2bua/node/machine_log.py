"""Logs of what comes into rooms and queues, which outlive sessions; both are made again from them.

Like a session's log (``calls.input_log``) it is a header and a record for each input. A queue's log begins
anew whenever the queue is empty. Thread: the controller's loop.
"""

import logging
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, cast

import msgspec

from b2bua.core.queue import Queue
from b2bua.core.queue_inputs import QueueInput
from b2bua.core.queue_outputs import QueueOutput
from b2bua.core.room import Room
from b2bua.core.room_inputs import Entrant, RoomInput
from b2bua.core.room_outputs import RoomOutput
from b2bua.node.input_logs import FoundLog
from b2bua.node.session_log import MAX_LOG, LogFile
from b2bua.store.records import ConferenceRow, QueueRow

__all__ = [
    "FoundMachine",
    "LoggedQueue",
    "LoggedRoom",
    "MachineHeader",
    "MachineLog",
    "MachineLogs",
    "MachineStep",
    "read_machine_log",
    "recall_queue",
    "recall_room",
]

log = logging.getLogger(__name__)

_LENGTH = struct.Struct(">I")
_ENCODER = msgspec.msgpack.Encoder()


class MachineHeader(msgspec.Struct, frozen=True, kw_only=True):
    """Which room or queue a log is of."""

    code: str
    """The version of the code that has written it."""
    boot: str
    """As in ``LogHeader``."""
    settings: str = ""
    """Neither a room nor a queue has any."""
    room: ConferenceRow | None = None
    first: Entrant | None = None
    """The room's first entrant."""
    queue: str = ""
    """The sid of the queue."""
    max_size: int = 0
    """Of the queue, when the log began."""


class MachineStep(msgspec.Struct, frozen=True, array_like=True):
    """One input."""

    at: float
    """Monotonic seconds."""
    given: RoomInput | QueueInput | None
    """None: something was due."""


_HEADERS = msgspec.msgpack.Decoder(MachineHeader)
_STEPS = msgspec.msgpack.Decoder(MachineStep)


def read_machine_log(data: bytes) -> tuple[MachineHeader, list[MachineStep], int] | None:
    """Read a log; see ``calls.input_log.read_log``."""
    bodies: list[bytes] = []
    start = 0
    while len(data) - start >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(data, start)
        if length > len(data) - start - _LENGTH.size:
            break
        start += _LENGTH.size + length
        bodies.append(data[start - length : start])
    if not bodies:
        return None
    return _HEADERS.decode(bodies[0]), [_STEPS.decode(body) for body in bodies[1:]], start


def _framed(record: msgspec.Struct) -> bytes:
    body = _ENCODER.encode(record)
    return _LENGTH.pack(len(body)) + body


class MachineLog:
    """The log of one room or queue; it has a file from its first input on.

    Args:
        header: which it is of.
        new_file: returns a file; None: nothing is kept.
        file: where the log is, if it exists already.
        size: of that log.
    """

    def __init__(
        self,
        header: MachineHeader,
        new_file: Callable[[], LogFile | None],
        file: LogFile | None = None,
        size: int = 0,
    ) -> None:
        self._header = header
        self._new_file = new_file
        self._file = file
        self._size = size
        self._is_closed = False
        self.is_recalling = False

    def note(self, given: RoomInput | QueueInput | None, now: float) -> None:
        """Note an input before it is handled."""
        if self._is_closed or self.is_recalling:
            return
        if self._file is None and (file := self._new_file()) is not None:
            self._file, self._size = file, 0
            self._write(_framed(self._header))
        self._write(_framed(MachineStep(now, given)))

    def begin_anew(self, **changes: int) -> None:
        """Drop all that was noted: the machine is as if it were new."""
        self._header = msgspec.structs.replace(self._header, **changes)
        self._leave()

    def close(self) -> None:
        """Drop the log: the room or queue is over."""
        self._is_closed = True
        self._leave()

    def _leave(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _write(self, data: bytes) -> None:
        if self._file is None:
            return
        self._size += len(data)
        if self._size > MAX_LOG:
            log.warning("a room or queue has too long a log and will not outlive its controller")
            self.close()
        else:
            self._file.write(data)


class LoggedRoom(Room):
    """A room whose inputs are noted.

    Args:
        notes: takes them.
    """

    def __init__(self, notes: MachineLog) -> None:
        super().__init__()
        self.notes = notes

    def handle(self, event: RoomInput, now: float) -> list[RoomOutput]:
        """See ``Room``."""
        self.notes.note(event, now)
        return super().handle(event, now)

    def tick(self, now: float) -> list[RoomOutput]:
        """See ``Room``."""
        self.notes.note(None, now)
        return super().tick(now)


class LoggedQueue(Queue):
    """A queue whose inputs are noted.

    Args:
        max_size: see ``Queue``.
        notes: takes the inputs.
    """

    def __init__(self, max_size: int, notes: MachineLog) -> None:
        super().__init__(max_size)
        self.notes = notes

    def handle(self, event: QueueInput, now: float) -> list[QueueOutput]:
        """See ``Queue``."""
        self.notes.note(event, now)
        outputs = super().handle(event, now)
        if self.unused and not self.notes.is_recalling:
            self.notes.begin_anew(max_size=self.max_size)
        return outputs

    def tick(self, now: float) -> list[QueueOutput]:
        """See ``Queue``."""
        self.notes.note(None, now)
        return super().tick(now)


def recall_room(machine: LoggedRoom, steps: Iterable[MachineStep]) -> list[RoomOutput]:
    """Give a room its inputs again; returns its outputs, which were carried out before."""
    machine.notes.is_recalling = True
    outputs: list[RoomOutput] = []
    for step in steps:
        given = cast(RoomInput | None, step.given)
        outputs += machine.tick(step.at) if given is None else machine.handle(given, step.at)
    machine.notes.is_recalling = False
    return outputs


def recall_queue(machine: LoggedQueue, steps: Iterable[MachineStep]) -> None:
    """Give a queue its inputs again; its outputs were carried out before."""
    machine.notes.is_recalling = True
    for step in steps:
        given = cast(QueueInput | None, step.given)
        machine.tick(step.at) if given is None else machine.handle(given, step.at)
    machine.notes.is_recalling = False


class NewLogs(Protocol):
    """Gives files to logs (``input_logs``)."""

    @property
    def code(self) -> str:
        """Identifies the code that runs."""

    @property
    def boot(self) -> str:
        """Identifies the run of the machine's clock."""

    def new_file(self) -> LogFile | None:
        """Return a file; None: nothing is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMachine:
    """The log of a room or queue that an earlier run has left."""

    header: MachineHeader
    steps: tuple[MachineStep, ...]
    notes: MachineLog
    """Goes on with the log."""


class MachineLogs:
    """Makes the logs of a node's rooms and queues.

    Args:
        files: keeps them; None: nothing is kept.
    """

    def __init__(self, files: NewLogs | None = None) -> None:
        self._files = files

    def of_room(self, row: ConferenceRow, first: Entrant) -> MachineLog:
        """Return the log of a new room."""
        return self._new(MachineHeader(code="", boot="", room=row, first=first))

    def of_queue(self, row: QueueRow) -> MachineLog:
        """Return the log of a queue that is empty."""
        return self._new(MachineHeader(code="", boot="", queue=row.sid, max_size=row.max_size))

    def found(self, found: FoundLog[MachineHeader, MachineStep]) -> FoundMachine | None:
        """Return the room or queue of a log; None: the code that runs now cannot use it."""
        header, files = found.header, self._files
        if header is None or files is None or (header.code, header.boot) != (files.code, files.boot):
            found.file.close()
            return None
        notes = MachineLog(header, files.new_file, found.file, found.size)
        return FoundMachine(header=header, steps=found.steps, notes=notes)

    def _new(self, header: MachineHeader) -> MachineLog:
        files = self._files
        if files is None:
            return MachineLog(header, lambda: None)
        return MachineLog(msgspec.structs.replace(header, code=files.code, boot=files.boot), files.new_file)
