"""The options of the pool of workers."""

from dataclasses import dataclass, field
from pathlib import Path

from b2bua.core.ids import WorkerId
from b2bua.engine.protocol import WorkerSpec

__all__ = ["PoolOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """Options of a pool; see ``WorkerSpec`` for the fields of the same name."""

    folder: Path
    """The node's run folder: for the control socket, and with that of the fork server."""
    secret: str = field(repr=False)
    """Shared by the edge and the workers."""
    idle: int
    max: int
    rtp_bind: str
    rtp_advertise: str
    rtp_ports: tuple[int, int]
    codecs: tuple[str, ...]
    tones_folder: Path
    user_agent: str
    srtp: bool
    """Whether incoming calls may be encrypted."""
    clock_rate_hz: int
    orphan_grace_s: float = 0.0
    generation: int = 1
    """Counts the node's controllers: each names its workers otherwise."""

    @property
    def forks_path(self) -> Path:
        """Path of the fork server's socket."""
        return self.folder / "forks.sock"

    @property
    def control_path(self) -> Path:
        """Path of the control socket."""
        return self.folder / "workers.sock"

    def worker_spec(self, worker: WorkerId, ports: tuple[int, int], edge_port: int) -> WorkerSpec:
        """Return the specification of a worker; ``ports``: the first of its RTP ports, and their number."""
        first, size = ports
        return WorkerSpec(
            worker=worker,
            control_path=str(self.control_path),
            edge_port=edge_port,
            secret=self.secret,
            rtp_bind=self.rtp_bind,
            rtp_advertise=self.rtp_advertise,
            rtp_port=first,
            rtp_ports=size,
            codecs=self.codecs,
            tones_folder=str(self.tones_folder),
            user_agent=self.user_agent,
            srtp=self.srtp,
            clock_rate_hz=self.clock_rate_hz,
            orphan_grace_s=self.orphan_grace_s,
        )
