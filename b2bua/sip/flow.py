"""Where SIP messages come from and go to, and what the proxy asks the process to do."""

from dataclasses import dataclass
from typing import Literal, cast

from b2bua.sip.edge_control import BindingsChanged, CallRefused, LeaseTaken, TrunkState, WorkerKnown
from b2bua.sip.uri import Uri

__all__ = ["Find", "Flow", "Output", "Send", "Side", "Transport", "read_source"]

Side = Literal["outer", "inner"]
Transport = Literal["udp", "tcp", "tls"]


@dataclass(frozen=True, slots=True)
class Flow:
    """The far end of a socket of ours: an origin, or a destination."""

    side: Side
    """``outer``: the public sockets; ``inner``: the workers' on loopback."""
    transport: Transport
    host: str
    """An IP address; IPv6 without brackets."""
    port: int
    listener: int = 0
    """Which listening point of that side, by its place in the configuration."""
    name: str = ""
    """TLS: whom the certificate of the far end has to name (RFC 5922); empty: an open connection is meant,
    whoever's it is."""

    @property
    def source(self) -> str:
        """``udp:192.0.2.1:5060``; IPv6 in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}:{host}:{self.port}"


def read_source(text: str, listener: int) -> Flow:
    """The outer flow whose ``source`` is ``text``."""
    transport, _, rest = text.partition(":")
    host, _, port = rest.rpartition(":")
    return Flow("outer", cast(Transport, transport), host.strip("[]"), int(port), listener)


@dataclass(frozen=True, slots=True)
class Send:
    """A message for the wire."""

    data: bytes
    to: Flow
    connect: bool = True
    """TCP and TLS: whether a connection may be opened, or only one that is open be used."""
    otherwise: "Send | None" = None
    """What to send instead when there is no connection and none can be made."""


@dataclass(frozen=True, slots=True)
class Find:
    """The next hop of a waiting request has a name: resolve it, then call ``Proxy.found``."""

    branch: str
    uri: Uri


Output = Send | Find | LeaseTaken | WorkerKnown | CallRefused | TrunkState | BindingsChanged
"""What a message or the passing of time can lead to."""
