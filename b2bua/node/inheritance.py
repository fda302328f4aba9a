"""What a controller leaves to the next one of its node, and takes over from the one before.

Thread: the controller's loop.
"""

from collections.abc import Iterable, MutableMapping
from pathlib import Path

from b2bua.calls.input_log import LoggedStep, LogHeader, read_log
from b2bua.core.ids import CallSid, WorkerId
from b2bua.engine.earlier_workers import EarlierWorkers
from b2bua.node.input_logs import FoundLog, InputLogs
from b2bua.node.ledger import Ledger
from b2bua.node.machine_log import MachineHeader, MachineLogs, MachineStep, read_machine_log
from b2bua.node.queues import Queues
from b2bua.node.restored_sessions import RestoredSessions
from b2bua.node.restored_waiting import restore_waiting
from b2bua.node.rooms import Rooms
from b2bua.node.running_session import RunningSession
from b2bua.node.session_maker import NodeFacts, SessionMaker

__all__ = ["Inheritance"]


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

    async def open(self) -> None:
        """Find what the controller before has left; keep logs from now on."""
        self._found = await self.sessions.open(self._folder / "inputs")
        self._found_machines = await self._machines.open(self._folder / "machines")

    async def close(self) -> None:
        """Close the logs."""
        await self.sessions.close()
        await self._machines.close()

    def recall(
        self,
        maker: SessionMaker,
        facts: NodeFacts,
        calls: MutableMapping[CallSid, RunningSession],
        ledger: Ledger,
    ) -> None:
        """Make the sessions again, before anything is connected, and add them to ``calls``."""
        restored = RestoredSessions(maker, self.sessions.boot, lambda call: ledger.forget(call.sid))
        restored.recall(self._found, facts, calls)
        self._restored, self._found = restored, []

    def recall_waiting(
        self, calls: MutableMapping[CallSid, RunningSession], queues: Queues, rooms: Rooms
    ) -> None:
        """Make rooms and queues again, with those of the calls that are in them."""
        rooms.logs = self.machines
        restore_waiting(self._found_machines, self.machines, calls, queues, rooms)
        self._found_machines = []

    async def resume(self, workers: EarlierWorkers, known: Iterable[WorkerId]) -> None:
        """Let the sessions go on with their workers, of which the edge knows these."""
        await workers.wait_for(known)
        if self._restored is not None:
            self._restored.resume(workers)
        workers.leave()
