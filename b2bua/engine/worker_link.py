"""A worker that has said hello: its process, its socket and its session.

Thread: the controller's loop.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from b2bua.core.events import SessionEvent
from b2bua.core.ids import WorkerId
from b2bua.engine.pool_clients import SessionSink
from b2bua.engine.process import Process
from b2bua.engine.protocol import FromWorker, Resume, WorkerHello
from b2bua.engine.worker_handle import WorkerHandle
from b2bua.ipc.channel import Channel

__all__ = ["WorkerLink"]


@dataclass(slots=True, kw_only=True)
class WorkerLink:
    """The pool's link to one worker."""

    worker: WorkerId
    channel: Channel[FromWorker]
    sip_port: int
    capacity: int
    """Legs that it can hold."""
    process: Process
    on_ending: Callable[[WorkerId], None]
    """Called when its session is ordered to end."""
    sessions: int = 0
    """Number of sessions it has had."""
    found: WorkerHello | None = None
    """Its greeting, if an earlier controller has started it and no session has claimed it yet."""
    early: list[SessionEvent] = field(default_factory=list)
    """Events of a call whose session has not begun; the first is its INVITE."""
    session: SessionSink | None = None
    _handle: WorkerHandle | None = None
    """The present session's handle."""

    @classmethod
    def greeted(
        cls, hello: WorkerHello, channel: Channel[FromWorker], on_ending: Callable[[WorkerId], None]
    ) -> "WorkerLink":
        """Return the link to a worker that has just said ``hello``."""
        return cls(
            worker=hello.worker,
            channel=channel,
            sip_port=hello.sip_port,
            capacity=hello.capacity,
            process=Process(hello.pid),
            on_ending=on_ending,
            sessions=hello.sessions,
        )

    def open(self) -> WorkerHandle:
        """Return a new session's handle on the worker."""
        self._handle = WorkerHandle(
            self.worker, self.sessions + 1, self.capacity, self.channel, self.on_ending
        )
        return self._handle

    def follow(self, session: SessionSink, number: int, heard: int) -> WorkerHandle | None:
        """Give a session that an earlier controller has begun its worker; None: the worker has another."""
        found = self.found
        if found is None or not found.busy or found.sessions + 1 != number:
            return None
        self.found, self.session = None, session
        handle = self.open()
        self.channel.send(Resume(number, heard))
        return handle

    def close_session(self) -> SessionSink | None:
        """Close the session's handle and return the session, which is over or lost."""
        session, self.session = self.session, None
        if self._handle is not None:
            self._handle.close()
            self._handle = None
        return session

    def close(self) -> None:
        """Close the socket to a worker that is gone."""
        self.process.close()
        self.channel.close()
