"""The rooms and queues of the controller before, made again with the calls that are in them.

What they have to say to their calls is brought when these go on. Thread: the controller's loop.
"""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from b2bua.calls.orders import ToQueue, ToRoom
from b2bua.core.ids import CallSid
from b2bua.node.input_logs import FoundLog
from b2bua.node.live_room import room_again
from b2bua.node.machine_log import MachineHeader, MachineLogs, MachineStep
from b2bua.node.queues import Queues
from b2bua.node.rooms import Rooms
from b2bua.node.running_session import RunningSession

__all__ = ["restore_waiting"]


def restore_waiting(
    found: Iterable[FoundLog[MachineHeader, MachineStep]],
    logs: MachineLogs,
    calls: Mapping[CallSid, RunningSession],
    queues: Queues,
    rooms: Rooms,
) -> None:
    """Make the queues and rooms again, and put the restored calls into them.

    A call whose queue or room cannot be made again enters it anew.
    """
    entrances = [(at, call, order) for call in calls.values() for order, at in call.recalled.entered.values()]
    entered = sorted(entrances, key=lambda each: each[0])
    machines = [made for each in found if (made := logs.found(each)) is not None]
    queues.restore(
        [each for each in machines if each.header.room is None],
        [(call, order, _wall_clock(at)) for at, call, order in entered if isinstance(order, ToQueue)],
    )
    in_rooms = {
        order.call_sid: (call, order, _wall_clock(at))
        for at, call, order in entered
        if isinstance(order, ToRoom)
    }
    for each in [each for each in machines if each.header.room is not None]:
        again = room_again(each, in_rooms, calls)
        if again is None:
            each.notes.close()
            continue
        rooms.put_back(*again)
        for call_sid in again[0].places:
            in_rooms.pop(call_sid)
    for call, order, _ in in_rooms.values():
        rooms.take(order, call)


def _wall_clock(monotonic: float) -> datetime:
    return datetime.fromtimestamp(time.time() - (time.monotonic() - monotonic), UTC)
