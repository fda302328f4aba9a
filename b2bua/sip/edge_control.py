"""What controller and edge say to each other."""

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
    srtp: Srtp | Literal[""] = ""
    """Of the calls that it makes; empty: as of all others."""
    max_calls: int = 0
    """That it may make at once; 0: as many as there are."""

    def __repr__(self) -> str:
        return f"TrunkSpec({self.name})"


class UserSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A user as the registrar sees it: not the password, but what proves that it is known."""

    name: str
    md5: str
    """H(A1) by MD5 for the realm ``domain``, in hexadecimal; so the next."""
    sha256: str
    srtp: Srtp | Literal[""] = ""
    """Of the calls that its phones make; empty: as of all others."""
    max_calls: int = 0
    """That its phones may make at once; 0: as many as there are."""
    trunk: str = ""
    """It is no user but this trunk, which calls from anywhere with its password; nobody registers as it."""

    def __repr__(self) -> str:
        return f"UserSpec({self.name})"


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """Where a phone of a user can be reached (RFC 3261 §10)."""

    user: str
    contact: str
    """Its Contact URI as it came: the Request-URI of what is sent to it."""
    call_id: str
    cseq: int
    expires_at: float
    """CLOCK_MONOTONIC seconds."""
    source: str
    """Where it registered from, ``udp:192.0.2.1:5060``: what is sent to it goes there."""
    listener: int = 0
    """At which of our listening points."""
    path: tuple[str, ...] = ()
    """Proxies on the way to it (RFC 3327), the nearest to us first."""
    instance: str = ""
    """``+sip.instance`` (RFC 5626)."""
    reg_id: int = 0
    """0: it has none."""
    user_agent: str = ""
    q: float = 1.0

    @property
    def id(self) -> str:
        """Names it in the URI that workers call; the same after a restart.

        Two flows of a phone may have the same Contact (RFC 5626 §3.1).
        """
        words = (self.user, self.contact, self.instance, str(self.reg_id))
        return blake2s("\n".join(words).encode("utf-8", "replace"), digest_size=8).hexdigest()


class EdgeConfig(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """First message to the edge; a later one changes admission (allow, trunks, users, rate, max_calls) and
    reads the TLS files again."""

    secret: str
    """Of this start of the node, known to its edge and workers (``sip.inside``); hexadecimal."""
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
    codecs: tuple[str, ...] = ("PCMU", "PCMA", "G722")
    """That the workers have."""
    max_calls_per_source: int = 0
    """Of an address that is no trunk's; 0: as many as there are."""
    tls: TlsSpec | None = None
    """There when there is a TLS listening point."""
    users: tuple[UserSpec, ...] = ()
    srtp: Srtp = "off"
    """Which media new calls may offer."""

    def __repr__(self) -> str:
        return "EdgeConfig()"


class GrantLease(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """This worker is idle: a call may be sent to it without asking."""

    worker: WorkerId
    sip_port: int
    """On 127.0.0.1, UDP."""


class WorkerTaken(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """This worker has a session that did not come by the edge: it may send, and has dialogs, but no lease."""

    worker: WorkerId
    sip_port: int
    leased: bool = False
    """It had a lease; where it has been given a call since (``LeaseTaken`` is under way), it stays so."""


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
    """An INVITE is about to be sent to this worker: the lease is spent.

    It goes to the controller before the INVITE goes to the worker, so that nobody has to wait for it.
    """

    worker: WorkerId
    lease: Lease


class WorkerKnown(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """``WorkerTaken`` was read: what this worker sends is forwarded from now on."""

    worker: WorkerId


class CallRefused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """INVITEs that never reached a worker, at most once a second for a reason."""

    reason: str
    source: str
    """Of the latest."""
    count: int


class BindingsChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A phone has registered, has left, or its time is over: these are all of the user's now.

    To the edge: these were the user's before the edge was started.
    """

    user: str
    bindings: tuple[Binding, ...]


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


ToEdge = EdgeConfig | BindingsChanged | GrantLease | WorkerTaken | WorkerGone | SetDraining
FromEdge = EdgeReady | EdgeFailed | LeaseTaken | WorkerKnown | CallRefused | TrunkState | BindingsChanged
