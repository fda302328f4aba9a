"""The cost of one timer wake-up on this machine, to compare the CPU figures of two machines.

A call wakes its process every 20 ms; on a virtual machine the wake-up itself can cost more than the work.
"""

from __future__ import annotations

import subprocess
import sys
import time

PROCESSES = 50
PERIOD_MS = 20
SECONDS = 4
START_S = 2.0
"""By then all processes are up; from then on they wake together."""

_SLEEPER = f"""
import resource, sys, time
period = {PERIOD_MS} / 1000
clock = time.monotonic
start = float(sys.argv[1])
time.sleep(max(0, start - clock()))
before = resource.getrusage(resource.RUSAGE_SELF)
tick = 0
while tick < {SECONDS * 1000 // PERIOD_MS}:
    tick += 1
    time.sleep(max(0, start + tick * period - clock()))
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
"""


def wakeup_us() -> float:
    """CPU microseconds of one wake-up of a plain Python process, measured with 50 that wake together."""
    start = str(time.monotonic() + START_S)
    sleepers = [
        subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _SLEEPER, start], stdout=subprocess.PIPE, text=True
        )
        for _ in range(PROCESSES)
    ]
    used_s = sum(float(sleeper.communicate()[0]) for sleeper in sleepers)
    return used_s / (PROCESSES * SECONDS * 1000 / PERIOD_MS) * 1e6


if __name__ == "__main__":
    print(f"{wakeup_us():.1f} µs")
