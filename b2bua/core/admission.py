"""A call that the edge has admitted: the INVITE that the worker has, and whose it is, as the edge knows."""

import msgspec

from b2bua.core.events import LegIncoming
from b2bua.core.ids import SipCallId

__all__ = ["AdmittedCall", "Lease", "Origin"]


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Whose call it is; without trunk and user: of an address that is allowed."""

    source: str
    """Where its INVITE came from: ``udp:192.0.2.1:5060``."""
    trunk: str = ""
    """Name of the trunk that the source address belongs to, or that has proven by digest who it is."""
    user: str = ""
    """Name of the user whose phone it is, proven by digest or known by where it has registered from."""

    @property
    def host(self) -> str:
        """The source's IP address; IPv6 in brackets."""
        return self.source.partition(":")[2].rpartition(":")[0]


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What the edge has used a worker's lease for."""

    sip_call_id: SipCallId
    """Of the INVITE that it has sent to the worker."""
    origin: Origin


class AdmittedCall(msgspec.Struct, frozen=True, kw_only=True):
    """Both halves, joined by worker and Call-ID: what a session begins with."""

    invite: LegIncoming
    origin: Origin
