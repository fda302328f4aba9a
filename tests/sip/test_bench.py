"""The benchmark's driver on two SIPps that call each other: it must measure a node correctly."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.figures import figures
from tests.bench.load import Plan, measure
from tests.bench.processes import Tree
from tests.bench.sut import Sut
from tests.ports import port_block

pytestmark = pytest.mark.sip

CPU_S = 0.3
BURNS = f"""
import sys, time
while time.process_time() < {CPU_S}:
    pass
print("burnt", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not (shutil.which("dumpcap") and shutil.which("tshark")), reason="no tshark")
async def test_calls_between_two_sipps_are_seen_whole(tmp_path: Path) -> None:
    port = port_block(2)
    plan = Plan(calls=3, seconds=2.5, rate_per_s=20, service="100")
    run = await measure(Sut("127.0.0.1", port, (), "the callee itself"), plan, [port], tmp_path)
    found = {figure.name: figure.value for figure in figures(run)}
    assert found["failures"] == 0
    assert set(run.calls) == {"caller1", "caller2", "caller3"}
    assert found["invite_in_out_ms.p99"] == found["answer_relay_ms.p99"] == 0  # the same packet is both
    assert found["steady_cpu_s_per_call_s"] is None  # no process was named
    for times in run.calls.values():
        assert times.answered is not None and times.invited is not None and times.ended is not None
        assert times.answered - times.invited == pytest.approx(0.3, abs=0.25)
        assert times.ended - times.answered == pytest.approx(plan.hold_s, abs=0.5)
    first, last = run.samples[0], run.samples[-1]
    assert first.to_callee == 0
    assert (
        max(sample.to_callee for sample in run.samples) > 50 < max(sample.to_caller for sample in run.samples)
    )
    assert last.at - first.at > plan.hold_s


def test_the_cpu_time_of_a_process_and_of_its_children_is_counted() -> None:
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURNS!r}], stdin=0)"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        tree = Tree([process.pid])
        before = tree.usage()
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == b"burnt\n"
        assert tree.size() == 2
        assert CPU_S - 0.05 < tree.usage().since(before) < CPU_S + 0.3
        assert Tree([process.pid], without=[process.pid]).size() == 0
        assert 5 < tree.pss_mib() < 60
        process.stdin.close()
