"""A call that the edge has admitted: the INVITE, from the worker, and its origin, from the edge."""

import msgspec

from b2bua.core.events import LegIncoming
from b2bua.core.ids import SipCallId

__all__ = ["AdmittedCall", "Lease", "Origin"]


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """The origin of a call: a trunk, a user, or (with neither) an address that is allowed."""

    source: str
    """Transport and address that the INVITE came from: ``udp:192.0.2.1:5060``."""
    trunk: str = ""
    """Name of the trunk, which owns the source address or has authenticated by digest."""
    user: str = ""
    """Name of the user, whose phone has authenticated by digest or is known by its registered address."""

    @property
    def host(self) -> str:
        """IP address of the source; IPv6 in brackets."""
        return self.source.partition(":")[2].rpartition(":")[0]


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's lease as the edge has used it."""

    sip_call_id: SipCallId
    """Call-ID of the INVITE that the edge has sent to the worker."""
    origin: Origin


class AdmittedCall(msgspec.Struct, frozen=True, kw_only=True):
    """The INVITE and its origin, joined by worker and Call-ID: the start of a session."""

    invite: LegIncoming
    origin: Origin
