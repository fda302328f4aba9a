"""What a node says of itself when it is ready."""

from dataclasses import dataclass

__all__ = ["Ready"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The addresses and the capacity of a node that is ready."""

    sip: tuple[str, ...]
    """``udp:127.0.0.1:5060``"""
    http: str
    workers: int
    capacity: int
    """Concurrent calls the node can carry; a caller and its callees count as one."""

    def line(self) -> str:
        """Return the line that ``serve`` prints when the node is ready."""
        return (
            f"ready sip={','.join(self.sip)} http={self.http} workers={self.workers} capacity={self.capacity}"
        )
