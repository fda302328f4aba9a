"""Which leg is recorded into which raw file, by the controller's names of legs."""

from typing import Protocol

from b2bua.relay.control import LegKey, RecordRoom, RecordTaps
from b2bua.relay.control import Tap as Side
from b2bua.relay.taps import CHILD, PARENT, Recording, RoomTap, Tap

__all__ = ["Files", "Tapping"]


class Files(Protocol):
    """Where raw files are written. It reports ``TapsBegun`` and ``TapsEnded`` to the controller by itself."""

    def begin(self, recording: str, path: str, now: float) -> None:
        """Create the file, or append to it."""

    def write(self, pieces: list[tuple[str, bytes]]) -> None:
        """Append to each of some recordings."""

    def end(self, recording: str, now: float) -> None:
        """Complete the file, after all its pieces."""


class Tapping:
    """The recordings that are under way.

    Args:
        files: where they are written.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._recordings: dict[str, Recording] = {}
        self._sides: dict[str, tuple[tuple[int, Side], ...]] = {}
        self._taps: dict[LegKey, dict[str, tuple[tuple[bool, Tap], ...]]] = {}
        """Leg -> recording -> its taps, with whether they take what the leg hears."""

    def record(self, order: RecordTaps, now: float) -> set[LegKey]:
        """Begin a recording or change its sides; return the legs whose taps have changed."""
        recording = self._begun(order.recording, order.path, now)
        changed = self._forget(order.recording)
        sides = tuple(
            (n, side) for n, side in ((PARENT, order.parent), (CHILD, order.child)) if side is not None
        )
        self._sides[order.recording] = sides
        for number, side in sides:
            of_leg = self._taps.setdefault(side.leg, {})
            tap = (side.heard, recording.tap(number))
            of_leg[order.recording] = (*of_leg.get(order.recording, ()), tap)
            changed.add(side.leg)
        return changed

    def record_room(self, order: RecordRoom, now: float) -> RoomTap:
        """Begin the recording of a room; return what takes the room's frames."""
        return RoomTap(self._begun(order.recording, order.path, now))

    def _begun(self, name: str, path: str, now: float) -> Recording:
        recording = self._recordings.get(name)
        if recording is None:
            recording = self._recordings[name] = Recording()
            self._files.begin(name, path, now)
        return recording

    def stop(self, name: str, now: float) -> set[LegKey]:
        """End a recording; return the legs whose taps have changed."""
        changed = self._forget(name)
        recording = self._recordings.pop(name, None)
        if recording is not None:
            self._files.write([(name, recording.take())])
        self._files.end(name, now)
        return changed

    def of(self, leg: LegKey, *, heard: bool) -> tuple[Tap, ...]:
        """Return the taps of one direction of a leg."""
        recordings = self._taps.get(leg, {}).values()
        return tuple(tap for taps in recordings for is_heard, tap in taps if is_heard is heard)

    def flush(self) -> None:
        """Write what has come since the last time."""
        pieces = [(name, piece) for name, one in self._recordings.items() if (piece := one.take())]
        if pieces:
            self._files.write(pieces)

    def _forget(self, name: str) -> set[LegKey]:
        changed = {side.leg for _, side in self._sides.pop(name, ())}
        for leg in changed:
            self._taps[leg].pop(name, None)
            if not self._taps[leg]:
                del self._taps[leg]
        return changed
