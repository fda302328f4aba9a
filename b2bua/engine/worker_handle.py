"""A worker as one session sees it."""

from collections.abc import Callable

from b2bua.core.commands import EndSession, HostCommand
from b2bua.core.ids import WorkerId
from b2bua.engine.protocol import FromWorker, SessionOrders
from b2bua.ipc.channel import Channel

__all__ = ["WorkerHandle"]


class WorkerHandle:
    """One session's link to its worker. It closes with the session; anything sent after that is dropped.

    Commands in transit when the session ends do not reach the next one: they carry the session's number.

    Args:
        worker: the worker's name.
        session: number of the session within the worker (``SessionOrders``).
        capacity: legs that the worker can hold.
        channel: to the worker's process.
        on_ending: called when the session is ordered to end.
    """

    def __init__(
        self,
        worker: WorkerId,
        session: int,
        capacity: int,
        channel: Channel[FromWorker],
        on_ending: Callable[[WorkerId], None],
    ) -> None:
        self.worker = worker
        self.capacity = capacity
        self.session = session
        self._channel: Channel[FromWorker] | None = channel
        self._on_ending = on_ending

    def send(self, *orders: HostCommand) -> None:
        """Send commands to the worker. If it has died they are lost; ``worker_lost`` reports that."""
        if self._channel is None:
            return
        self._channel.send(SessionOrders(self.session, orders))
        if any(isinstance(order, EndSession) for order in orders):
            self.close()
            self._on_ending(self.worker)

    def close(self) -> None:
        """Drop everything sent from now on."""
        self._channel = None
