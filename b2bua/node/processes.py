"""Lists the processes that run in this node now, and the calls that each carries.

Thread: the controller's loop.
"""

import os

from b2bua.engine.pool import Pool
from b2bua.node.edge_link import EdgeLink
from b2bua.node.ledger import Ledger
from b2bua.node.relay_link import RelayLink
from b2bua.web.api.process_list import Process

__all__ = ["NodeProcesses"]


class NodeProcesses:
    """Implements ``web.api.process_list.Processes`` from the edge, the relay, the pool and the ledger."""

    def __init__(self, edge: EdgeLink, relay: RelayLink, pool: Pool, ledger: Ledger) -> None:
        self._edge = edge
        self._relay = relay
        self._pool = pool
        self._ledger = ledger

    def running(self) -> list[Process]:
        """Return the running processes, the workers last (``Processes``)."""
        found = [
            Process(kind="supervisor", name="supervisor", pid=os.getppid()),
            Process(kind="controller", name="controller", pid=os.getpid()),
        ]
        if (edge := self._edge.pid) is not None:
            found.append(Process(kind="edge", name="edge", pid=edge))
        if (relay := self._relay.pid) is not None:
            found.append(Process(kind="relay", name="relay", pid=relay))
        if (fork_server := self._pool.fork_server_pid) is not None:
            found.append(Process(kind="forkserver", name="forkserver", pid=fork_server))
        calls = self._ledger.calls_by_worker()
        found += [
            Process(kind="worker", name=worker, pid=pid, calls=calls.get(worker, []))
            for worker, pid in self._pool.worker_pids().items()
        ]
        return found
