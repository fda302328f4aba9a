"""Times of SIP messages on loopback by the kernel's clock: dumpcap records them, tshark reads them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SNAP_BYTES = 4096
BUFFER_MIB = 16
FIELDS = (
    "frame.time_epoch",
    "udp.srcport",
    "udp.dstport",
    "sip.from.user",
    "sip.CSeq.method",
    "sip.Status-Code",
)


@dataclass
class CallTimes:
    """Times of one call, in seconds since the epoch; None: not seen. The first of repeated ones counts."""

    invited: float | None = None
    """The caller's INVITE."""
    dialled: dict[int, float] = field(default_factory=dict)
    """The INVITE at each callee, by its port."""
    callee_answered: float | None = None
    answered: float | None = None
    """200 at the caller."""
    ended: float | None = None
    """The caller's BYE."""

    def dial_ms(self) -> float | None:
        """From the caller's INVITE to the first INVITE at a callee."""
        return _took_ms(self.invited, min(self.dialled.values(), default=None))

    def dial_all_ms(self) -> float | None:
        """From the caller's INVITE until every callee has received its own."""
        return _took_ms(self.invited, max(self.dialled.values(), default=None))

    def relay_ms(self) -> float | None:
        """From the callee's 200 to the caller's."""
        return _took_ms(self.callee_answered, self.answered)


def _took_ms(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else (end - start) * 1000


@contextmanager
def captured(path: Path, ports: Iterable[int]) -> Iterator[None]:
    """Capture the packets from or to one of these UDP ports while the block runs."""
    expression = "udp and (" + " or ".join(f"port {port}" for port in ports) + ")"
    command = ["dumpcap", "-q", "-i", "lo", "-s", str(SNAP_BYTES), "-B", str(BUFFER_MIB), "-f", expression]
    dumpcap = subprocess.Popen(
        [*command, "-w", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert dumpcap.stderr is not None
    said = []
    for line in dumpcap.stderr:
        said.append(line)
        if line.startswith("File:"):
            break
    else:
        raise SystemExit("dumpcap did not start: " + "".join(said))
    try:
        yield
    finally:
        dumpcap.terminate()
        dumpcap.communicate()


def read_calls(
    path: Path, caller: int, callees: Iterable[int], others: Iterable[int]
) -> dict[str, CallTimes]:
    """The times of each call, by the user part of its From, which must be the same on both sides.

    Args: ports of the caller and of the callees; others: ports that speak SIP too.
    """
    called = set(callees)
    command = ["tshark", "-r", str(path), "-Y", "sip && udp", "-T", "fields"]
    for port in {caller, *called, *others}:
        command += ["-d", f"udp.port=={port},sip"]
    for name in FIELDS:
        command += ["-e", name]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    calls: dict[str, CallTimes] = {}
    for line in text.splitlines():
        at, source, destination, user, method, status = line.split("\t")
        times = calls.setdefault(user, CallTimes())
        ends = int(source), int(destination)
        if method == "BYE" and not status and ends[0] == caller:
            times.ended = times.ended or float(at)
        elif method == "INVITE" and not status:
            if ends[0] == caller:
                times.invited = times.invited or float(at)
            if ends[1] in called:
                times.dialled.setdefault(ends[1], float(at))
        elif method == "INVITE" and status == "200":
            if ends[0] in called:
                times.callee_answered = times.callee_answered or float(at)
            if ends[1] == caller:
                times.answered = times.answered or float(at)
    return calls
