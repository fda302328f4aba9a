"""What the API asks of the node about its processes."""

from typing import Literal, Protocol

from pydantic import BaseModel

__all__ = ["Process", "ProcessList", "Processes"]


class Process(BaseModel):
    """A process of the node."""

    kind: Literal["supervisor", "edge", "relay", "controller", "forkserver", "worker"]
    name: str
    """As in the log: a worker's own; of the others there is one each, named by its kind."""
    pid: int
    calls: list[str] = []
    """CallSids of the calls, callers' and callees', whose legs it holds: a worker's. The others hold none."""


class ProcessList(BaseModel):
    """The processes of the node that run."""

    processes: list[Process]


class Processes(Protocol):
    """The node."""

    def running(self) -> list[Process]:
        """Those that run now, the workers last."""
