"""A worker that has said hello: its process, its socket, the session that it has.

Thread: the controller's loop.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from b2bua.core.events import SessionEvent
from b2bua.core.ids import WorkerId
from b2bua.engine.pool_clients import SessionSink
from b2bua.engine.process import Process
from b2bua.engine.protocol import FromWorker, WorkerHello
from b2bua.engine.worker_handle import WorkerHandle
from b2bua.ipc.channel import Channel

__all__ = ["WorkerLink"]


@dataclass(slots=True, kw_only=True)
class WorkerLink:
    """See the module's docstring."""

    worker: WorkerId
    channel: Channel[FromWorker]
    sip_port: int
    capacity: int
    """Legs that it can hold."""
    process: Process
    on_ending: Callable[[WorkerId], None]
    """Told when its session is told to end."""
    sessions: int = 0
    """How many it has had."""
    early: list[SessionEvent] = field(default_factory=list)
    """What has happened to a call whose session has not begun; its INVITE is the first."""
    session: SessionSink | None = None
    _handle: WorkerHandle | None = None
    """The session's."""

    @classmethod
    def greeted(
        cls, hello: WorkerHello, channel: Channel[FromWorker], on_ending: Callable[[WorkerId], None]
    ) -> "WorkerLink":
        """The worker that has just said ``hello``."""
        return cls(
            worker=hello.worker,
            channel=channel,
            sip_port=hello.sip_port,
            capacity=hello.capacity,
            process=Process(hello.pid),
            on_ending=on_ending,
        )

    def open(self) -> WorkerHandle:
        """A new session's way to the worker."""
        self._handle = WorkerHandle(
            self.worker, self.sessions + 1, self.capacity, self.channel, self.on_ending
        )
        return self._handle

    def close_session(self) -> SessionSink | None:
        """The session is over, or lost: whoever has its handle writes to nobody from now on."""
        session, self.session = self.session, None
        if self._handle is not None:
            self._handle.close()
            self._handle = None
        return session

    def close(self) -> None:
        """The worker is gone."""
        self.process.close()
        self.channel.close()
