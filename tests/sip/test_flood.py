"""A stranger who floods the node fails no call of a trunk; the figures are ``scripts/bench flood``'s."""

from pathlib import Path

import pytest

from tests.bench.flood import run

pytestmark = pytest.mark.sip


async def test_two_seconds_of_bad_invites_fail_no_good_call(tmp_path: Path) -> None:
    found = await run(1000, 2.0, tmp_path)
    assert found.calls > 3
    assert found.failed == 0
    assert found.answered < found.sent / 4  # it is silenced
