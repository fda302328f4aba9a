"""Sources and destinations of SIP messages, and the outputs that the proxy asks the process to carry out."""

from dataclasses import dataclass
from typing import Literal, cast

from msgspec import Struct

from b2bua.relay.control import CloseLeg, DescribeLeg, LegReplaced, OpenLeg
from b2bua.sip.edge_control import BindingsChanged, CallRefused, LeaseTaken, TrunkState, WorkerKnown
from b2bua.sip.uri import Uri

__all__ = ["Find", "Flow", "Output", "RelayNews", "Send", "Side", "Transport", "read_source"]

Side = Literal["outer", "inner"]
Transport = Literal["udp", "tcp", "tls"]


class Flow(Struct, frozen=True):
    """The far end of one of our sockets: a source or a destination."""

    side: Side
    """``outer``: the public sockets; ``inner``: the loopback sockets for workers."""
    transport: Transport
    host: str
    """An IP address; IPv6 without brackets."""
    port: int
    listener: int = 0
    """Index of the listening point of that side, in the order of the configuration."""
    name: str = ""
    """TLS: the name that the far end's certificate must have (RFC 5922); empty: an open connection to that
    address, whatever its certificate."""

    @property
    def source(self) -> str:
        """``udp:192.0.2.1:5060``; IPv6 in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}:{host}:{self.port}"


def read_source(text: str, listener: int) -> Flow:
    """Return the outer flow whose ``source`` is ``text``."""
    transport, _, rest = text.partition(":")
    host, _, port = rest.rpartition(":")
    return Flow("outer", cast(Transport, transport), host.strip("[]"), int(port), listener)


class Send(Struct, frozen=True):
    """A message for the wire."""

    data: bytes
    to: Flow
    connect: bool = True
    """TCP and TLS: whether a connection may be opened; False: only an open one is used."""
    otherwise: "Send | None" = None
    """The message to send instead if there is no connection and none can be opened."""


@dataclass(frozen=True, slots=True)
class Find:
    """A request to resolve the name of a waiting request's next hop, and then to call ``Proxy.found``."""

    branch: str
    uri: Uri


RelayNews = OpenLeg | DescribeLeg | LegReplaced | CloseLeg
"""What the relay has to hear; it leaves after the messages of its step."""
Output = Send | Find | LeaseTaken | WorkerKnown | CallRefused | TrunkState | BindingsChanged | RelayNews
"""Any result of handling a message or a tick."""
