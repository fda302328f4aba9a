"""What recording costs the relay: seconds with and without it take turns, in one relay with the same calls.

Two runs of the relay differ by more than that on a machine with other work; two seconds after one another
less, and their median hardly.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from b2bua.relay.control import LegKey, RecordTaps, StopTaps, Tap

from .parties import Leg, Seen, talk
from .relay import Client, running, set_up

_TURN_S = 1.0
"""Measured of each turn, after a second in which its recordings begin."""


def _order(controller: Client, calls: list[tuple[LegKey, LegKey]], folder: Path, *, record: bool) -> None:
    for one, other in calls:
        path = str(folder / f"{one.call_id}.raw")
        begin = RecordTaps(recording=path, path=path, parent=Tap(one), child=Tap(other))
        controller.send(begin if record else StopTaps(recording=path))


def _say(leg: Leg) -> None:
    pass


def _hear(leg: Leg, buffer: bytearray, seen: Seen) -> None:
    pass


def measure(given: argparse.Namespace) -> int:
    """Measure, print, and say whether packets were lost."""
    loads: dict[bool, list[float]] = {False: [], True: []}
    lost = 0.0
    with tempfile.TemporaryDirectory(prefix="bench-relay-") as temporary:
        folder = Path(temporary)
        with running(folder, given.calls, given.tick) as (pid, config, controller, edge):
            legs = set_up(given, folder, config, controller, edge)
            calls = [(one.key, other.key) for one, other in zip(legs[::2], legs[1::2], strict=True)]
            for turn in range(2 * round(given.seconds / _TURN_S)):
                record = turn % 2 == 1
                _order(controller, calls, folder, record=record)
                seen = talk(legs, pid, _TURN_S, _say, _hear)
                loads[record].append(seen.cpu_s / seen.passed_s)
                lost = max(lost, seen.lost_of_1000)
    ratios = [recorded / plain for plain, recorded in zip(loads[False], loads[True], strict=True)]
    found = {
        "calls": given.calls,
        "plain_cpu_s_per_call_s": round(statistics.median(loads[False]) / given.calls, 6),
        "recorded_cpu_s_per_call_s": round(statistics.median(loads[True]) / given.calls, 6),
        "recorded_to_plain": round(statistics.median(ratios), 3),
        "lost_of_1000_at_most": lost,
    }
    print(json.dumps(found))
    return 0 if lost < 50 else 1
