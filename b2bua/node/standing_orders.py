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
        self._taps: dict[str, list[RecordTaps | RecordRoom | StopTaps]] = {}
        """The last order to record, then the one to stop, by recording, until the relay reports its end."""

    def note(self, message: msgspec.Struct) -> None:
        """Take a message that was sent to the relay, or one of its own."""
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
                self._taps[message.recording] = [message]
            case StopTaps() if message.recording in self._taps:
                self._taps[message.recording] = [self._taps[message.recording][0], message]
            case TapsEnded():
                self._taps.pop(message.recording, None)
            case _:
                pass

    def again(self) -> list[msgspec.Struct]:
        """Return everything that stands.

        A recording that was being stopped is begun again and stopped: the relay then completes its file.
        """
        taps = [order for orders in self._taps.values() for order in orders]
        return [*self._held.values(), *self._rooms.values(), *taps, *self._joins.values()]
