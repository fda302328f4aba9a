"""What controller and edge say to each other."""

from typing import Literal

import msgspec

from b2bua.core.ids import SipCallId, WorkerId

__all__ = [
    "CallRefused",
    "EdgeConfig",
    "EdgeFailed",
    "EdgeReady",
    "FromEdge",
    "GrantLease",
    "LeaseTaken",
    "ListenSpec",
    "SetDraining",
    "TlsSpec",
    "ToEdge",
    "TrunkSpec",
    "TrunkState",
    "WorkerGone",
    "WorkerTaken",
]


class ListenSpec(msgspec.Struct, frozen=True):
    """A public listening point."""

    transport: str
    """``udp``, ``tcp`` or ``tls``."""
    host: str
    port: int
    """0: any free one."""


class TlsSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Files of the TLS listening points and of the connections we make."""

    certificate: str
    """Chain and all."""
    key: str
    ca: str = ""
    """Authorities that other ends' certificates may be from; empty: the system's."""
    clients: Literal["off", "optional", "required"] = "off"
    """Whether whoever connects is asked for a certificate, and has to have one."""


class TrunkSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A trunk as the edge sees it."""

    name: str
    match: tuple[str, ...]
    """Networks, as ``192.0.2.0/24``."""
    uri: str = "sip:invalid.invalid"
    username: str = ""
    password: str = ""
    registers: bool = False
    expires_s: int = 600
    """How long a registration is asked to last."""
    keepalive_s: float = 0
    """Seconds between two OPTIONS; 0: none are sent."""

    def __repr__(self) -> str:
        return f"TrunkSpec({self.name})"


class EdgeConfig(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """First message to the edge; a later one changes admission (allow, trunks, rate, max_calls) and reads the
    TLS files again."""

    listen: tuple[ListenSpec, ...]
    advertise: str
    """The address others see."""
    domain: str
    allow: tuple[str, ...]
    """Networks that need no digest."""
    trunks: tuple[TrunkSpec, ...]
    invite_rate_per_s: float
    nameservers: tuple[str, ...]
    max_calls: int
    tls: TlsSpec | None = None
    """There when there is a TLS listening point."""


class GrantLease(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """This worker is idle: a call may be sent to it without asking."""

    worker: WorkerId
    sip_port: int
    """On 127.0.0.1, UDP."""


class WorkerTaken(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """This worker has a session that did not come by the edge: it may send, and has dialogs, but no lease."""

    worker: WorkerId
    sip_port: int


class WorkerGone(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Neither leases nor dialogs of this worker any more."""

    worker: WorkerId


class SetDraining(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """While true, new calls get 503 with Retry-After."""

    draining: bool


class EdgeReady(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """All sockets are bound."""

    listening: tuple[ListenSpec, ...]
    """With the ports that were chosen."""
    inner_port: int
    """On 127.0.0.1, UDP and TCP: where workers speak to the edge."""


class EdgeFailed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """It cannot listen; the process ends."""

    text: str


class LeaseTaken(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An INVITE was sent to this worker."""

    worker: WorkerId
    sip_call_id: SipCallId
    source: str


class CallRefused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """INVITEs that never reached a worker, at most once a second for a reason."""

    reason: str
    source: str
    """Of the latest."""
    count: int


class TrunkState(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How a trunk is, told whenever that changes."""

    trunk: str
    registration: Literal["off", "trying", "registered", "failed"]
    """``off``: it does not want to be registered."""
    reachable: bool | None
    """Whether it answers OPTIONS; None: it has not been asked."""
    sip_code: int
    """Of what failed last; 0: nothing has, or no answer came."""

    @property
    def down(self) -> bool:
        """No call is worth trying while another trunk is there."""
        return self.reachable is False


ToEdge = EdgeConfig | GrantLease | WorkerTaken | WorkerGone | SetDraining
FromEdge = EdgeReady | EdgeFailed | LeaseTaken | CallRefused | TrunkState
