"""Ports for test programs: no two runs on this machine have the same."""

import socket
import subprocess
import sys

import pytest

from tests.ports import port_block

pytestmark = pytest.mark.process

OTHER_RUN = "import tests.ports; print(*(tests.ports.port_block(400) for _ in range(5)), flush=True); input()"


def test_runs_beside_each_other_have_different_ports() -> None:
    blocks = [range(first, first + 400) for first in (port_block(400) for _ in range(5))]
    others = [
        subprocess.Popen(
            [sys.executable, "-c", OTHER_RUN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for other in others:
        assert other.stdout is not None
        blocks += [range(int(first), int(first) + 400) for first in other.stdout.readline().split()]
    for other in others:
        other.communicate("\n")
    assert len(blocks) == 15
    ports = [port for block in blocks for port in block]
    assert len(set(ports)) == len(ports)


def test_a_port_that_somebody_has_is_left_out() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port_block(2) + 1))
        port = taken.getsockname()[1]
        firsts = [port_block(100) for _ in range(300)]  # more than once around
    assert not any(first <= port < first + 100 for first in firsts)
    assert all(first % 2 == 0 for first in firsts)
