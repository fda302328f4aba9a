"""A worker as one session sees it."""

from collections.abc import Callable

from b2bua.core.commands import EndSession, LegCommand
from b2bua.core.ids import WorkerId
from b2bua.engine.protocol import FromWorker, SessionOrders
from b2bua.ipc.channel import Channel

__all__ = ["WorkerHandle"]


class WorkerHandle:
    """One session's way to its worker. It ends with the session: who keeps it longer writes to nobody.

    What is on its way when the session ends does not reach the next one either: it is addressed.

    Args:
        worker: its name.
        session: which of the worker's it is (``SessionOrders``).
        capacity: legs it can hold.
        channel: to its process.
        on_ending: told when the session is told to end.
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
        self._session = session
        self._channel: Channel[FromWorker] | None = channel
        self._on_ending = on_ending

    def send(self, *orders: LegCommand) -> None:
        """Tell the worker; lost without an error when it is dead (``worker_lost`` says so)."""
        if self._channel is None:
            return
        self._channel.send(SessionOrders(self._session, orders))
        if any(isinstance(order, EndSession) for order in orders):
            self.close()
            self._on_ending(self.worker)

    def close(self) -> None:
        """The session orders nothing more."""
        self._channel = None
