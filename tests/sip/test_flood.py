"""A stranger's flood of requests makes no trunk call fail; ``scripts/bench flood`` has the figures."""

from pathlib import Path

import pytest

from tests.bench.flood import run

pytestmark = pytest.mark.sip


async def test_two_seconds_of_bad_invites_fail_no_good_call(tmp_path: Path) -> None:
    found = await run(1000, 2.0, tmp_path)
    assert found.calls > 3
    assert found.failed == 0
    assert found.answered < found.sent / 4  # it is silenced
