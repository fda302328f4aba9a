"""The orders to the relay that still stand, to be repeated to a relay that was restarted. No I/O."""

import msgspec

from b2bua.relay.control import (
    CloseLeg,
    HoldKeys,
    JoinLegs,
    LegKey,
    PartLegs,
    RecordRoom,
    RecordTaps,
    SetRoom,
    StopTaps,
    TapsEnded,
)

__all__ = ["StandingOrders"]


class StandingOrders:
    """Wishes to join, rooms, recordings and held keys."""

    def __init__(self) -> None:
        self._joins: dict[frozenset[LegKey], JoinLegs] = {}
        self._rooms: dict[str, SetRoom] = {}
        self._held: dict[LegKey, HoldKeys] = {}
        self._taps: dict[str, RecordTaps | RecordRoom] = {}
        """The last order to record, by recording, until it is to be stopped."""
        self._stopping: dict[str, float] = {}
        """Recordings whose end the relay has yet to report, and when they were to be stopped."""

    def note(self, message: msgspec.Struct, now: float) -> None:
        """Take a message that was sent to the relay, or one of its own; ``now`` in monotonic seconds."""
        match message:
            case JoinLegs():
                self._joins[frozenset((message.one, message.other))] = message
            case PartLegs():
                self._joins.pop(frozenset((message.one, message.other)), None)
            case HoldKeys() if message.digits:
                self._held[message.leg] = message
            case HoldKeys():
                self._held.pop(message.leg, None)
            case CloseLeg():
                self._held.pop(message.leg, None)
                self._joins = {legs: join for legs, join in self._joins.items() if message.leg not in legs}
            case SetRoom() if message.members:
                self._rooms[message.room] = message
            case SetRoom():
                self._rooms.pop(message.room, None)
            case RecordTaps() | RecordRoom():
                self._taps[message.recording] = message
                self._stopping.pop(message.recording, None)
            case StopTaps() if message.recording in self._taps:
                del self._taps[message.recording]
                self._stopping[message.recording] = now
            case TapsEnded():
                self._taps.pop(message.recording, None)
                self._stopping.pop(message.recording, None)
            case _:
                pass

    def again(self) -> list[msgspec.Struct]:
        """Return everything that stands."""
        return [*self._held.values(), *self._rooms.values(), *self._taps.values(), *self._joins.values()]

    def cut_off(self) -> list[TapsEnded]:
        """Return the ends that the relay cannot report any more: it is gone.

        The files have what it has written. A new relay could add nothing to them.
        """
        stopping, self._stopping = self._stopping, {}
        return [TapsEnded(recording=recording, at=at) for recording, at in stopping.items()]
