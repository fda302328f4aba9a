"""What a controller leaves to the next one of its node, and takes over from the one before.

Thread: the controller's loop.
"""

import asyncio
from collections.abc import Iterable, MutableMapping
from pathlib import Path
from typing import Protocol

from b2bua.calls.input_log import LoggedStep, LogHeader, read_log
from b2bua.core.ids import CallSid, WorkerId
from b2bua.engine.earlier_workers import EarlierWorkers
from b2bua.node.caretaker import CaredCall, Caretaker, group_by_session
from b2bua.node.input_logs import FoundLog, InputLogs
from b2bua.node.ledger import Ledger
from b2bua.node.machine_log import MachineHeader, MachineLogs, MachineStep, read_machine_log
from b2bua.node.queues import Queues
from b2bua.node.recordings import Recordings
from b2bua.node.restored_sessions import RestoredSessions
from b2bua.node.restored_waiting import restore_waiting
from b2bua.node.rooms import Rooms, end_rooms
from b2bua.node.running_session import RunningSession
from b2bua.node.session_maker import NodeFacts, SessionMaker
from b2bua.store.records import CallRow
from b2bua.store.store import Store

__all__ = ["Inheritance"]


class NodeParts(Protocol):
    """The parts of a node that take over."""

    store: Store
    ledger: Ledger
    recordings: Recordings
    queues: Queues
    rooms: Rooms


class Inheritance:
    """The logs of sessions, rooms and queues, and what they hold when a controller starts.

    Args:
        folder: the node's run folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sessions = InputLogs(read_log)
        self._machines = InputLogs(read_machine_log)
        self.machines = MachineLogs(self._machines)
        """Makes the logs of rooms and queues."""
        self._found: list[FoundLog[LogHeader, LoggedStep]] = []
        self._found_machines: list[FoundLog[MachineHeader, MachineStep]] = []
        self._restored: RestoredSessions | None = None
        self._unknown: list[CaredCall] = []
        self._releases: list[asyncio.Future[None]] = []
        """Recordings that are being finished."""

    async def open(self) -> None:
        """Find what the controller before has left; keep logs from now on."""
        self._found = await self.sessions.open(self._folder / "inputs")
        self._found_machines = await self._machines.open(self._folder / "machines")

    async def close(self) -> None:
        """Close the logs."""
        await self.sessions.close()
        await self._machines.close()

    async def recall(
        self,
        maker: SessionMaker,
        facts: NodeFacts,
        calls: MutableMapping[CallSid, RunningSession],
        parts: NodeParts,
    ) -> None:
        """Make sessions, rooms and queues again, before anything is connected."""
        self._restored = RestoredSessions(maker, self.sessions.boot, parts.ledger.forget)
        self._restored.recall(self._found, facts, calls)
        parts.rooms.logs = self.machines
        restore_waiting(self._found_machines, self.machines, calls, parts.queues, parts.rooms)
        self._found, self._found_machines = [], []
        store = parts.store
        end_rooms(store, parts.rooms, await store.unfinished_conferences())
        unknown = parts.ledger.recognize(await store.unfinished_calls())
        legs = {row.sid: await store.legs(row.sid) for row in unknown}
        self._unknown = group_by_session(unknown, legs)

    async def resume(self, workers: EarlierWorkers, known: Iterable[WorkerId], parts: NodeParts) -> None:
        """Let the sessions go on with their workers, of which the edge knows these.

        Calls whose session could not be made again go on until a party hangs up.
        """
        await workers.wait_for(known)
        if self._restored is not None:
            self._restored.resume(workers)
        lost: list[CallRow] = []
        for call in self._unknown:
            if any(workers.greeting(worker) is not None for worker in call.workers):
                parts.recordings.hold(row.sid for row in call.rows)
                Caretaker(call, lambda ended: self._end(ended, parts)).start(workers)
            else:
                lost += call.rows
        parts.ledger.end_unfinished(tuple(lost))
        workers.leave()

    def _end(self, call: CaredCall, parts: NodeParts) -> None:
        parts.ledger.end_cared(call.rows)
        released = parts.recordings.release(row.sid for row in call.rows)
        self._releases.append(asyncio.ensure_future(released))
