"""The time and the input log of one session: each input is noted before anything follows from it.

Thread: the controller's loop.
"""

import time
from collections.abc import Callable, Iterable
from typing import Protocol

from msgspec import structs

from b2bua.calls.input_log import (
    LoggedStep,
    LogHeader,
    LogInput,
    Lookups,
    check_of,
    encode_header,
    encode_step,
)
from b2bua.core.ids import HostId

__all__ = ["LogFile", "SessionLog"]

MAX_LOG = 1 << 20
"""Bytes of one session's log. A session that has more inputs goes on without one."""
_NOWHERE = HostId("")


class LogFile(Protocol):
    """Where a log is kept."""

    def write(self, data: bytes) -> None:
        """Append to the log."""

    def restart(self, data: bytes) -> None:
        """Replace all that was written."""

    def close(self) -> None:
        """Delete the log: its session is over."""


class SessionLog:
    """Notes the inputs of one session.

    Args:
        header: how the session began.
        file: where the log is kept; None: it is not kept.
        lookups: what the session asks its node.
        clock: returns monotonic seconds.
        is_kept: the log exists already; its steps are recalled first.
    """

    def __init__(
        self,
        header: LogHeader,
        file: LogFile | None,
        lookups: Lookups,
        clock: Callable[[], float] = time.monotonic,
        *,
        is_kept: bool = False,
    ) -> None:
        self.header = header
        self._file = file
        self._lookups = lookups
        self._clock = clock
        self._at = header.began_at
        self._given: LogInput | None = None
        self._host = _NOWHERE
        self._is_recalling = is_kept
        self._recalled: LoggedStep | None = None
        self._differs = False
        self._heard = {header.host: 1} if header.incoming is not None else {}
        self._size = 0
        self._open = False

    @property
    def now(self) -> float:
        """The time of the latest input, in monotonic seconds."""
        return self._at

    @property
    def is_recalling(self) -> bool:
        """Whether inputs come from the log: what follows from them was done already."""
        return self._is_recalling

    @property
    def differs(self) -> bool:
        """Whether the outputs of a recalled step were not those that the log tells of."""
        return self._differs

    def heard_of(self, host: HostId) -> int:
        """Return how many inputs a host has given."""
        return self._heard.get(host, 0)

    def begin(self) -> None:
        """Write the header, unless the log exists already."""
        self._open = self._file is not None and not self._is_recalling
        self._write(encode_header(self.header))

    def take(self, given: LogInput, host: HostId = _NOWHERE) -> float:
        """Note an input, and return its time; what was asked because of it follows with ``settle``."""
        if self._given is not None:
            self.settle(())
        self._given, self._host = given, host
        if host:
            self._heard[host] = self._heard.get(host, 0) + 1
        self._at = self._clock() if self._recalled is None else self._recalled.at
        return self._at

    def settle(self, outputs: Iterable[object]) -> None:
        """Write the input down; to be called before any of the outputs takes effect."""
        given, self._given = self._given, None
        looked = self._lookups.take()
        if self._is_recalling:
            if self._recalled is not None and given is not None and check_of(outputs) != self._recalled.check:
                self._differs = True
        elif self._open and (given is not None or looked):
            self._write(encode_step(LoggedStep(self._at, given, self._host, looked, check_of(outputs))))

    def recall(self, step: LoggedStep) -> None:
        """The next input is this one; what is asked because of it was answered before."""
        self._recalled = step if step.given is not None else None
        self._lookups.recall(step.looked)

    def resume(self, size: int) -> None:
        """Note what comes from now on, at the end of a log of ``size`` bytes."""
        if self._given is not None:
            self.settle(())
        self._is_recalling, self._recalled = False, None
        self._lookups.recall(())
        self._size, self._open = size, self._file is not None

    def close(self) -> None:
        """The session is over: nothing of it is kept."""
        self._open = False
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, data: bytes) -> None:
        if not self._open or self._file is None:
            return
        self._size += len(data)
        if self._size <= MAX_LOG:
            self._file.write(data)
        else:
            self._open = False
            self._file.restart(encode_header(structs.replace(self.header, is_whole=False)))
