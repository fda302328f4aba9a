"""What it costs to mix conference rooms: ``python -m tests.bench.rooms``.

Prints the CPU time for one participant and tick (20 ms) of rooms of several sizes in which all members talk,
and of one with a single talker. The jitter buffer's time is that of one packet in and one frame out.
"""

from __future__ import annotations

import time

import numpy as np
from rich.console import Console
from rich.table import Table

from media.g711 import PCMU, encode
from media.jitter import JitterBuffer
from media.mixing import FRAME, Mixer, RoomSeats, Seat

TICKS = 1000
WARM_UP = 50
ROUNDS = 5
CASES = (
    ("1 room", 3, 1),
    ("1 room", 10, 1),
    ("1 room", 50, 1),
    ("1 room", 250, 1),
    ("100 rooms", 3, 100),
    ("30 rooms", 10, 30),
    ("6 rooms", 50, 6),
)


def _sounds(members: int) -> list[list[bytes]]:
    """A second of noise for each member, as loud as a voice that changes with every frame."""
    chance = np.random.default_rng(members)
    levels = chance.uniform(300, 3000, (members, 1, 1)) * chance.uniform(0.3, 1.0, (members, 50, 1))
    noise = (chance.standard_normal((members, 50, FRAME)) * levels).astype(np.int16)
    return [[encode(PCMU, frame) for frame in member] for member in noise]


def measure(members: int, rooms: int, talkers: int | None = None) -> tuple[float, float]:
    """Return microseconds of CPU for one participant and tick: mixing, and jitter buffer."""
    mixer = Mixer()
    mixer.arrange(
        [
            RoomSeats(
                key=f"r{room}",
                seats=tuple(
                    Seat(key=f"{room}/{number}", talks=talkers is None or number < talkers)
                    for number in range(members)
                ),
            )
            for room in range(rooms)
        ]
    )
    sounds = _sounds(members * rooms)
    buffers = [JitterBuffer(PCMU) for _ in mixer.keys]
    mixing: list[float] = []
    buffering: list[float] = []
    tick = 0
    for _ in range(ROUNDS):
        spent_mixing = spent_buffering = 0.0
        for _ in range(TICKS // ROUNDS):
            now = tick * 0.02
            start = time.process_time()
            for buffer, sound in zip(buffers, sounds, strict=True):
                buffer.put(tick * FRAME, sound[tick % 50], now)
            frames = b"".join([buffer.take(now) for buffer in buffers])
            between = time.process_time()
            mixer.mix(np.frombuffer(frames, np.uint8).reshape(-1, FRAME))
            if tick >= WARM_UP:
                spent_mixing += time.process_time() - between
                spent_buffering += between - start
            tick += 1
        share = len(buffers) * (TICKS // ROUNDS)
        mixing.append(spent_mixing / share * 1e6)
        buffering.append(spent_buffering / share * 1e6)
    return sorted(mixing)[ROUNDS // 2], sorted(buffering)[ROUNDS // 2]


def main() -> None:
    """Measure all cases."""
    table = Table(title="µs of CPU for one participant and tick (median of 5 rounds)")
    for column in ("rooms", "members", "talkers", "mixing", "jitter buffer", "of a core"):
        table.add_column(column, justify="right")
    for name, members, rooms in CASES:
        mixing, buffering = measure(members, rooms)
        share = (mixing + buffering) * members * rooms / 20_000
        table.add_row(name, f"{members}", "all", f"{mixing:.2f}", f"{buffering:.2f}", f"{share:.2%}")
    mixing, buffering = measure(250, 1, talkers=1)
    share = (mixing + buffering) * 250 / 20_000
    table.add_row("1 room", "250", "1", f"{mixing:.2f}", f"{buffering:.2f}", f"{share:.2%}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
