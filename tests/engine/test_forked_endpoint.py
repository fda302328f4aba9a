"""The endpoint that a fork server has created: what the workers forked from it must not share."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

FORK = """
import ctypes, os, sys
import pjsua2 as pj
from b2bua.engine import endpoint

endpoint.create_endpoint()
assert len(os.listdir("/proc/self/task")) == 1, "a fork would lose the thread"
for _ in range(3):
    if os.fork() == 0:
        endpoint._taken_endpoint()
        library = ctypes.CDLL(pj._pjsua2.__file__)
        print(*[library.pj_rand() for _ in range(4)], flush=True)
        os._exit(0)
    os.wait()
os._exit(0)
"""


def test_workers_of_one_fork_server_make_different_tags() -> None:
    ran = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60, check=True)
    numbers = ran.stdout.split("\n")[:-1]
    assert len(numbers) == 3 and len(set(numbers)) == 3, ran.stderr
