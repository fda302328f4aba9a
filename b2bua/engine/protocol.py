"""Messages between controller, fork server and workers, besides leg events and commands.

Events of legs and recordings (``core.events``) and commands to them (``core.commands``) are sent as they are;
the messages here are about the workers themselves.
"""

import msgspec

from b2bua.core.commands import HostCommand
from b2bua.core.events import SessionEvent
from b2bua.core.ids import LegId, WorkerId

__all__ = [
    "ForkServerReady",
    "FromForkServer",
    "FromWorker",
    "KillChild",
    "Resume",
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
    """Settings that a worker is started with."""

    worker: WorkerId
    control_path: str
    """Unix socket of the controller."""
    edge_port: int
    """The edge's inner port on 127.0.0.1, for UDP and TCP."""
    secret: str
    """Shared by the node's edge and workers (``sip.inside``); hexadecimal."""
    rtp_bind: str
    rtp_advertise: str
    """The address in our SDP; empty: that of ``rtp_bind``."""
    rtp_port: int
    """First port of this worker's block."""
    rtp_ports: int
    """Size of the block."""
    codecs: tuple[str, ...]
    """Some of ``PCMU PCMA G722``, by preference."""
    tones_folder: str
    """Contains the ringback loops ``CODE.wav``, at the bridge's clock rate."""
    user_agent: str
    srtp: bool = False
    """Whether incoming calls may be encrypted; the edge says which of them must be."""
    orphan_grace_s: float = 0.0
    """How long the worker goes on without a controller."""
    clock_rate_hz: int = 8000
    """Clock rate of the conference bridge, and so of recordings and played files. G.711 is not resampled at
    8000, G.722 keeps its band at 16000 (docs/adr/0005)."""

    def __repr__(self) -> str:
        return f"WorkerSpec({self.worker})"


class SpawnWorker(msgspec.Struct, frozen=True, tag=True):
    """Controller to fork server: fork a worker."""

    spec: WorkerSpec


class KillChild(msgspec.Struct, frozen=True, tag=True):
    """Controller to fork server: kill this worker, whose pid only the fork server knows."""

    worker: WorkerId


class ForkServerReady(msgspec.Struct, frozen=True, tag=True):
    """Fork server to controller: pjsua2 is imported."""

    library: str
    """Version of pjsua2."""


class WorkerExited(msgspec.Struct, frozen=True, tag=True):
    """Fork server to controller: a worker's process is gone."""

    worker: WorkerId
    status: int
    """Exit status; negative: number of the signal."""


class WorkerHello(msgspec.Struct, frozen=True, tag=True):
    """A worker's first message: it can take a session."""

    worker: WorkerId
    sip_port: int
    pid: int
    capacity: int
    """Calls (legs) its library can hold."""
    sessions: int = 0
    """Number of sessions it has had (``SessionDone``); not 0 for a controller that comes after another."""
    busy: bool = False
    """It has a session."""
    ending: bool = False
    """It has been told that its session is over."""
    healthy: bool = True
    """See ``SessionDone``."""
    rtp_port: int = 0
    """As in its ``WorkerSpec``."""
    events: int = 0
    """Events of its session so far (``Resume``)."""
    orders: int = 0
    """Orders of its session so far, without those about recordings."""
    recordings: tuple[str, ...] = ()
    """Recordings that its session has begun."""
    legs: tuple[LegId, ...] = ()
    """Legs of its session that have not ended."""


class SessionDone(msgspec.Struct, frozen=True, tag=True):
    """A worker's session is over and its library holds no call: it can take the next one."""

    sessions: int
    """Number of sessions it has had."""
    healthy: bool
    """False after anything unexpected: the worker should be replaced."""


class SessionOrders(msgspec.Struct, frozen=True, tag=True):
    """Controller to worker: commands of one session. The worker drops those of any but its current one."""

    session: int
    """Counted from 1 in each worker; the current one follows ``SessionDone.sessions``."""
    orders: tuple[HostCommand, ...]


class Resume(msgspec.Struct, frozen=True, tag=True):
    """Controller to worker: another controller goes on with the session. The events that it lacks follow."""

    session: int
    """As in ``SessionOrders``."""
    heard: int
    """How many events of the session it knows."""


class Retire(msgspec.Struct, frozen=True, tag=True):
    """Controller to worker: end the process."""


FromWorker = SessionEvent | WorkerHello | SessionDone
ToWorker = SessionOrders | Resume | Retire
ToForkServer = SpawnWorker | KillChild
FromForkServer = ForkServerReady | WorkerExited
