"""Messages between controller and edge."""

from hashlib import blake2s
from typing import Literal

import msgspec

from b2bua.core.admission import Lease
from b2bua.core.commands import Srtp
from b2bua.core.ids import WorkerId

__all__ = [
    "Binding",
    "BindingsChanged",
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
    "UserSpec",
    "WorkerGone",
    "WorkerKnown",
    "WorkerTaken",
]


class ListenSpec(msgspec.Struct, frozen=True):
    """A public listening point."""

    transport: str
    """``udp``, ``tcp`` or ``tls``."""
    host: str
    port: int
    """0: any free port."""


class TlsSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Files for the TLS listening points and for the TLS connections that the edge opens."""

    certificate: str
    """The certificate with its chain."""
    key: str
    ca: str = ""
    """Authorities that peers' certificates may be issued by; empty: the system's."""
    clients: Literal["off", "optional", "required"] = "off"
    """Whether a connecting peer is asked for a certificate, and whether it must present one."""


class TrunkSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A trunk as the edge sees it."""

    name: str
    match: tuple[str, ...]
    """Networks of the trunk, such as ``192.0.2.0/24``."""
    uri: str = "sip:invalid.invalid"
    username: str = ""
    password: str = ""
    registers: bool = False
    expires_s: int = 600
    """Lifetime that a registration asks for."""
    keepalive_s: float = 0
    """Seconds between two OPTIONS; 0: none are sent."""
    srtp: Srtp | Literal[""] = ""
    """Media encryption of the trunk's calls; empty: the node's setting."""
    max_calls: int = 0
    """Concurrent calls from the trunk; 0: no limit of its own."""

    def __repr__(self) -> str:
        return f"TrunkSpec({self.name})"


class UserSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A user as the registrar sees it: without the password, but with the hashes that verify it."""

    name: str
    md5: str
    """H(A1) with MD5 for the realm ``domain``, in hexadecimal."""
    sha256: str
    """H(A1) with SHA-256, in the same form."""
    srtp: Srtp | Literal[""] = ""
    """Media encryption of the calls from the user's phones; empty: the node's setting."""
    max_calls: int = 0
    """Concurrent calls from the user's phones; 0: no limit of its own."""
    trunk: str = ""
    """Name of a trunk that this entry stands for instead of a user: the trunk calls from any address with its
    password, and nobody can register as it."""

    def __repr__(self) -> str:
        return f"UserSpec({self.name})"


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """An address at which a user's phone can be reached (RFC 3261 §10)."""

    user: str
    contact: str
    """The phone's Contact URI as received: the Request-URI of requests to it."""
    call_id: str
    cseq: int
    expires_at: float
    """Time of expiry, in seconds of CLOCK_MONOTONIC."""
    source: str
    """Address that the phone registered from, ``udp:192.0.2.1:5060``; requests to the phone go there."""
    listener: int = 0
    """Index of our listening point that the phone registered at."""
    path: tuple[str, ...] = ()
    """Proxies on the way to the phone (RFC 3327), the nearest to us first."""
    instance: str = ""
    """``+sip.instance`` (RFC 5626)."""
    reg_id: int = 0
    """0: the binding has none."""
    user_agent: str = ""
    q: float = 1.0

    @property
    def id(self) -> str:
        """Name of the binding in the URI that workers call; stable across restarts.

        Two flows of a phone may have the same Contact (RFC 5626 §3.1).
        """
        words = (self.user, self.contact, self.instance, str(self.reg_id))
        return blake2s("\n".join(words).encode("utf-8", "replace"), digest_size=8).hexdigest()


class EdgeConfig(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first message to the edge.

    A later one changes admission (allow, trunks, users, rate, max_calls) and reloads the TLS files.
    """

    secret: str
    """Secret made at each start of the node, shared by edge and workers (``sip.inside``); hexadecimal."""
    listen: tuple[ListenSpec, ...]
    advertise: str
    """The address that peers see."""
    domain: str
    allow: tuple[str, ...]
    """Networks that need no digest."""
    trunks: tuple[TrunkSpec, ...]
    invite_rate_per_s: float
    nameservers: tuple[str, ...]
    max_calls: int
    codecs: tuple[str, ...] = ("PCMU", "PCMA", "G722")
    """Names of the workers' codecs."""
    max_calls_per_source: int = 0
    """Concurrent calls from one address that is not a trunk's; 0: no limit."""
    tls: TlsSpec | None = None
    """Set if there is a TLS listening point."""
    users: tuple[UserSpec, ...] = ()
    srtp: Srtp = "off"
    """Media encryption of new calls."""
    relay: str = ""
    """Path of the relay's Unix socket; empty: there is none, and session descriptions pass unchanged."""
    media_host: str = ""
    """IP address at which parties reach the relay."""
    media_bind: str = ""
    """IP address that the relay's ports for parties are bound to; empty: ``media_host``."""
    inner_host: str = ""
    """IPv4 loopback address at which workers reach the relay."""

    def __repr__(self) -> str:
        return "EdgeConfig()"


class GrantLease(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A worker is idle: the edge may send a call to it without asking."""

    worker: WorkerId
    sip_port: int
    """On 127.0.0.1, UDP."""


class WorkerTaken(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A worker has a session that did not arrive by the edge: it may send and has dialogs, but no lease."""

    worker: WorkerId
    sip_port: int
    leased: bool = False
    """The worker had a lease; if it has meanwhile been given a call (``LeaseTaken`` is in flight), it keeps
    that call."""


class WorkerGone(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A worker no longer exists: forget its lease, and end its dialogs."""

    worker: WorkerId


class SetDraining(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """While true, new calls get 503 with Retry-After."""

    draining: bool


class EdgeReady(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """All sockets are bound."""

    listening: tuple[ListenSpec, ...]
    """With the actual ports."""
    inner_port: int
    """Port on 127.0.0.1, UDP and TCP, where workers reach the edge."""
    workers: tuple[WorkerId, ...] = ()
    """Workers that the edge knows already, from an earlier controller or an earlier edge. ``BindingsChanged``
    for each user that it knows follow."""


class EdgeFailed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The edge cannot listen; the process ends."""

    text: str


class LeaseTaken(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An INVITE is about to be sent to a worker: the lease is spent.

    This message leaves before the INVITE does, so that nothing has to wait for it.
    """

    worker: WorkerId
    lease: Lease


class WorkerKnown(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The edge has read ``WorkerTaken``: from now on it forwards what this worker sends."""

    worker: WorkerId


class CallRefused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """INVITEs that never reached a worker; sent at most once a second per reason."""

    reason: str
    source: str
    """Source of the latest one."""
    count: int


class BindingsChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A phone has registered, unregistered or expired: these are all current bindings of the user.

    To the edge: the bindings that the user had before the edge was started.
    """

    user: str
    bindings: tuple[Binding, ...]


class TrunkState(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The state of a trunk, reported whenever it changes."""

    trunk: str
    registration: Literal["off", "trying", "registered", "failed"]
    """``off``: registration is not wanted."""
    reachable: bool | None
    """Whether the trunk answers OPTIONS; None: it has not been asked."""
    sip_code: int
    """Status code of the last failure; 0: nothing has failed, or no answer arrived."""

    @property
    def down(self) -> bool:
        """Whether calls should avoid this trunk while another one is available."""
        return self.reachable is False


ToEdge = EdgeConfig | BindingsChanged | GrantLease | WorkerTaken | WorkerGone | SetDraining
FromEdge = EdgeReady | EdgeFailed | LeaseTaken | WorkerKnown | CallRefused | TrunkState | BindingsChanged
