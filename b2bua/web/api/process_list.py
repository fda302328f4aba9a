"""The processes of the node, as the API reads them."""

from typing import Literal, Protocol

from pydantic import BaseModel

__all__ = ["Process", "ProcessList", "Processes"]


class Process(BaseModel):
    """A process of the node."""

    kind: Literal["supervisor", "edge", "relay", "controller", "forkserver", "worker"]
    name: str
    """Name as in the log: each worker has its own; every other process is named by its kind."""
    pid: int
    calls: list[str] = []
    """CallSids of the calls (parent and child calls) whose legs a worker holds; empty for other processes."""


class ProcessList(BaseModel):
    """The processes of the node that run."""

    processes: list[Process]


class Processes(Protocol):
    """The node, as the API lists its processes."""

    def running(self) -> list[Process]:
        """Return the processes that run now, the workers last."""
