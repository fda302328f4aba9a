"""The sides of the recordings that hosts make, as each host names them.

A host records legs of its own. Where one of the two sides is a leg on another host, the host records the
leg of the link that stands for it, which comes and goes during the recording. Sans I/O.
"""

from collections.abc import Iterable, Mapping

from msgspec import structs

from b2bua.calls.links import Links
from b2bua.core.commands import HostCommand, RecordLegs, StartRecording
from b2bua.core.ids import HostId, LegId, RecordingSid

__all__ = ["RecordingSides"]


class RecordingSides:
    """The sides of one session's recordings by hosts.

    Args:
        of_legs: the host of each leg that was ever placed; owned and changed by the placement.
        links: whose legs stand for legs on other hosts.
    """

    def __init__(self, of_legs: Mapping[LegId, HostId], links: Links) -> None:
        self._of_legs = of_legs
        self._links = links
        self._sides: dict[RecordingSid, tuple[HostId, RecordLegs, RecordLegs]] = {}
        """Of each recording: its host, the sides as the session and as the host names them."""

    def told(self, orders: Iterable[tuple[HostId, HostCommand]]) -> list[tuple[HostId, HostCommand]]:
        """Return commands for hosts with the sides of recordings as these hosts have them."""
        placed: list[tuple[HostId, HostCommand]] = []
        for host, order in orders:
            if isinstance(order, StartRecording | RecordLegs):
                sides = RecordLegs(recording=order.recording, parent=order.parent, child=order.child)
                told = self._on(host, sides)
                self._sides[RecordingSid(order.recording)] = (host, sides, told)
                order = structs.replace(order, parent=told.parent, child=told.child)
            placed.append((host, order))
        return placed

    def changes(self) -> list[tuple[HostId, HostCommand]]:
        """Return the sides that have changed because a link has come or gone, each once."""
        placed: list[tuple[HostId, HostCommand]] = []
        for sid, (host, sides, told) in self._sides.items():
            now_told = self._on(host, sides)
            if now_told != told:
                self._sides[sid] = (host, sides, now_told)
                placed.append((host, now_told))
        return placed

    def stopped(self, recording: str) -> None:
        """Forget a recording that has stopped."""
        self._sides.pop(RecordingSid(recording), None)

    def lose(self, host: HostId) -> None:
        """Forget the recordings by a lost host."""
        self._sides = {sid: sides for sid, sides in self._sides.items() if sides[0] != host}

    def _on(self, host: HostId, sides: RecordLegs) -> RecordLegs:
        """Return the sides with the links' legs in place of legs on other hosts."""
        parent, child = sides.parent, sides.child
        if child is None:
            return sides
        if self._of_legs.get(child, host) != host:
            child = self._links.stand_in(child, parent, host) or child
        elif self._of_legs.get(parent, host) != host:
            parent = self._links.stand_in(parent, child, host) or parent
        return structs.replace(sides, parent=parent, child=child)
