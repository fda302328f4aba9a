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
    """CPU ticks of those of its descendants that have ended and were waited for."""


class Tree:
    """Some processes and all that descend from them."""

    def __init__(self, roots: Iterable[int]) -> None:
        self.roots = tuple(roots)
        self._seen: dict[tuple[int, int], int] = {}

    def cpu_s(self) -> float:
        """CPU seconds that the tree has used.

        Neither way to count those that have ended is whole: one that nobody waits for is gone from the kernel's sums,
        one that ends between two looks is not seen to its end. Each counts too little, so the greater is taken.
        """
        stats = self._scan()
        for stat in stats:
            self._seen[stat.pid, stat.started] = stat.own
        summed = sum(stat.own + stat.waited for stat in stats)
        return max(summed, sum(self._seen.values())) / TICKS_PER_S

    def pss_mib(self) -> float:
        """Proportional set size: memory, with what is shared divided among those that share it."""
        kib = 0
        for stat in self._scan():
            try:
                lines = Path(f"/proc/{stat.pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue  # ended meanwhile
            kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return kib / 1024

    def size(self) -> int:
        """How many processes there are."""
        return len(self._scan())

    def _scan(self) -> list[_Stat]:
        stats = {stat.pid: stat for stat in _all()}
        children: dict[int, list[int]] = {}
        for stat in stats.values():
            children.setdefault(stat.parent, []).append(stat.pid)
        found, todo = [], [pid for pid in self.roots if pid in stats]
        while todo:
            pid = todo.pop()
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
    """CPU seconds of the whole machine since it started: all, and those in which it was idle."""
    words = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(words) / TICKS_PER_S, (words[3] + words[4]) / TICKS_PER_S
