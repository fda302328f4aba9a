"""CPU time and memory of a tree of processes, read from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class _Stat:
    pid: int
    parent: int
    started: int
    own: int
    """CPU ticks of the process itself."""
    waited: int
    """CPU ticks of its descendants that have ended and were waited for."""


@dataclass(frozen=True)
class Usage:
    """CPU seconds of a tree, counted in two ways, each of which is incomplete."""

    summed_s: float
    """CPU seconds of live processes and of those that were waited for; orphans are missing."""
    seen_s: float
    """CPU seconds of each process ever seen, as of the last sample; what it used afterwards is missing."""

    def since(self, earlier: Usage) -> float:
        """CPU seconds used between two samples: the larger of the two counts, as each counts too little."""
        return max(self.summed_s - earlier.summed_s, self.seen_s - earlier.seen_s)


class Tree:
    """Some processes with all their descendants, without certain branches."""

    def __init__(self, roots: Iterable[int], without: Iterable[int] = ()) -> None:
        self.roots, self._without = tuple(roots), frozenset(without)
        self._seen: dict[tuple[int, int], int] = {}

    def usage(self) -> Usage:
        """CPU time that the tree has used so far."""
        stats = self._scan()
        for stat in stats:
            self._seen[stat.pid, stat.started] = stat.own
        summed = sum(stat.own + stat.waited for stat in stats)
        return Usage(summed / TICKS_PER_S, sum(self._seen.values()) / TICKS_PER_S)

    def pss_mib(self) -> float:
        """Proportional set size: memory, with shared pages divided among their users."""
        kib = 0
        for stat in self._scan():
            try:
                lines = Path(f"/proc/{stat.pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue  # ended meanwhile
            kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return kib / 1024

    def size(self) -> int:
        """Number of processes."""
        return len(self._scan())

    def holds_udp_port(self, port: int) -> bool:
        """Whether a socket of one of the processes is bound to the port."""
        inodes = {inode for stat in self._scan() for inode in sockets(stat.pid)}
        rows = (line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:])
        return any(row[9] in inodes and int(row[1].partition(":")[2], 16) == port for row in rows)

    def _scan(self) -> list[_Stat]:
        stats = {stat.pid: stat for stat in _all()}
        children: dict[int, list[int]] = {}
        for stat in stats.values():
            children.setdefault(stat.parent, []).append(stat.pid)
        found, todo = [], [pid for pid in self.roots if pid in stats]
        while todo:
            pid = todo.pop()
            if pid in self._without:
                continue
            found.append(stats[pid])
            todo += children.get(pid, [])
        return found


def _all() -> list[_Stat]:
    stats = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            words = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        own, waited = int(words[11]) + int(words[12]), int(words[13]) + int(words[14])
        stats.append(_Stat(int(name), int(words[1]), int(words[19]), own, waited))
    return stats


def host_busy() -> tuple[float, float]:
    """CPU seconds of the whole machine since its start: total and idle."""
    words = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(words) / TICKS_PER_S, (words[3] + words[4]) / TICKS_PER_S


def datagrams_dropped(pid: int, but_for_port: int) -> int:
    """Datagrams dropped by the UDP sockets of a process, except the socket on one port.

    SIPp never reads its RTP: its socket fills, and then the kernel counts every packet that arrives.
    """
    inodes = sockets(pid)
    dropped = 0
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        words = line.split()
        if words[9] in inodes and int(words[1].partition(":")[2], 16) != but_for_port:
            dropped += int(words[12])
    return dropped


def sockets(pid: int) -> set[str]:
    """Inodes of its sockets; empty if the process has ended."""
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return set()
    inodes = set()
    for name in names:
        try:
            link = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue  # closed meanwhile
        if link.startswith("socket:["):
            inodes.add(link[8:-1])
    return inodes
