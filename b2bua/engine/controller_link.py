"""A worker's socket to the controller, which is opened again when a controller has gone and another has come.

Thread: the SIP thread.
"""

import contextlib
import socket
from collections.abc import Iterable
from typing import Final, cast

import msgspec

from b2bua.engine.protocol import ToWorker
from b2bua.ipc.channel import BlockingChannel

__all__ = ["KNOCK_S", "ControllerLink"]

KNOCK_S: Final = 0.1
"""Pause between attempts to connect."""


class ControllerLink:
    """One connection at a time.

    Args:
        path: of the controller's Unix socket.
        grace_s: how long the worker goes on without a controller.

    Raises:
        OSError: there is no controller to begin with.
    """

    def __init__(self, path: str, grace_s: float) -> None:
        self._path = path
        self._grace_s = grace_s
        self._channel: BlockingChannel[ToWorker] | None = self._connected()
        self._lost_at: float | None = None
        self._knock_at = 0.0

    def fileno(self) -> int | None:
        """Return the descriptor to wait for; None while there is no controller."""
        return None if self._channel is None else self._channel.socket.fileno()

    def receive(self) -> list[ToWorker]:
        """Return the orders that have come."""
        if self._channel is None:
            return []
        orders = self._channel.receive()
        self._check()
        return orders

    def send(self, messages: Iterable[msgspec.Struct]) -> None:
        """Send messages; what a controller has not read when it dies is lost."""
        if self._channel is not None:
            self._channel.send(messages)
            self._check()

    def flush(self) -> None:
        """Send what the socket did not take before."""
        if self._channel is not None:
            self._channel.flush()
            self._check()

    def connects(self, now: float) -> bool:
        """Try to reach a controller, at most every ``KNOCK_S``; return whether there is one again."""
        if self._lost_at is None:
            self._lost_at = now
        if now < self._knock_at or not self._grace_s:
            return False
        self._knock_at = now + KNOCK_S
        with contextlib.suppress(OSError):
            self._channel = self._connected()
            self._lost_at = None
            return True
        return False

    def is_lost(self, now: float) -> bool:
        """Return whether there has been no controller for too long."""
        return self._lost_at is not None and now - self._lost_at >= self._grace_s

    def _check(self) -> None:
        if self._channel is not None and self._channel.closed:
            self._channel.socket.close()
            self._channel = None

    def _connected(self) -> BlockingChannel[ToWorker]:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(self._path)
        except OSError:
            sock.close()
            raise
        decoder = msgspec.msgpack.Decoder(ToWorker)
        return cast(BlockingChannel[ToWorker], BlockingChannel(sock, decoder))
