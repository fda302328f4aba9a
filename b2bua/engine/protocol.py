"""What controller, fork server and workers say to each other besides leg events and commands.

Events of legs and recordings (``core.events``) and commands to them (``core.commands``) travel as they are;
what follows is about the workers themselves.
"""

import msgspec

from b2bua.core.commands import LegCommand
from b2bua.core.events import MediaMeasured, SessionEvent
from b2bua.core.ids import WorkerId

__all__ = [
    "ForkServerReady",
    "FromForkServer",
    "FromWorker",
    "KillChild",
    "Retire",
    "SessionDone",
    "SessionOrders",
    "SpawnWorker",
    "ToForkServer",
    "ToWorker",
    "WorkerExited",
    "WorkerHello",
    "WorkerSpec",
]


class WorkerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """All that a worker is told at its birth."""

    worker: WorkerId
    control_path: str
    """Unix socket of the controller."""
    edge_port: int
    """The edge's inner port on 127.0.0.1, for UDP and TCP."""
    secret: str
    """Known to the node's edge and workers (``sip.inside``); hexadecimal."""
    rtp_bind: str
    rtp_advertise: str
    """The address in our SDP; empty: that of ``rtp_bind``."""
    rtp_port: int
    """First port of the block that is this worker's."""
    rtp_ports: int
    """Size of the block."""
    codecs: tuple[str, ...]
    """By preference, of ``PCMU PCMA G722``."""
    tones_folder: str
    """Where ``CODE.wav`` are, the ringback loops at the bridge's clock rate."""
    user_agent: str
    srtp: bool = False
    """Whether calls that come may be encrypted; which of them must be, the edge says."""
    clock_rate_hz: int = 8000
    """Of the conference bridge, and so of recordings and of what is played. G.711 is not resampled at 8000,
    G.722 keeps its band at 16000 (docs/adr/0005)."""

    def __repr__(self) -> str:
        return f"WorkerSpec({self.worker})"


class SpawnWorker(msgspec.Struct, frozen=True, tag=True):
    """Controller to fork server: make one."""

    spec: WorkerSpec


class KillChild(msgspec.Struct, frozen=True, tag=True):
    """Controller to fork server: this one is not what it should be; its pid is known to you only."""

    worker: WorkerId


class ForkServerReady(msgspec.Struct, frozen=True, tag=True):
    """Fork server to controller: pjsua2 is imported."""

    library: str
    """Version of pjsua2."""


class WorkerExited(msgspec.Struct, frozen=True, tag=True):
    """Fork server to controller: a worker's process is gone."""

    worker: WorkerId
    status: int
    """Exit status; negative: the signal."""


class WorkerHello(msgspec.Struct, frozen=True, tag=True):
    """First word of a worker: it can take a session."""

    worker: WorkerId
    sip_port: int
    pid: int
    capacity: int
    """Calls (legs) its library can hold."""


class SessionDone(msgspec.Struct, frozen=True, tag=True):
    """A worker's session is over and its library holds no call: it can take the next one."""

    sessions: int
    """How many it has had."""
    healthy: bool
    """False after anything unexpected: better replaced."""


class SessionOrders(msgspec.Struct, frozen=True, tag=True):
    """Controller to worker: commands of one session. Those of another than it is at are for nobody."""

    session: int
    """The worker's first is 1; it is at the one after ``SessionDone.sessions``."""
    orders: tuple[LegCommand, ...]


class Retire(msgspec.Struct, frozen=True, tag=True):
    """Controller to worker: end your process."""


FromWorker = SessionEvent | MediaMeasured | WorkerHello | SessionDone
ToWorker = SessionOrders | Retire
ToForkServer = SpawnWorker | KillChild
FromForkServer = ForkServerReady | WorkerExited
