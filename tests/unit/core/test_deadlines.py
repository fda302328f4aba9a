"""A deadline that has passed does not make a busy loop."""

import pytest

from b2bua.core.deadlines import LEAST_PAUSE_S, pause_until

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("deadline", "pause_s"),
    [(103.0, 3.0), (100.0, LEAST_PAUSE_S), (-5.0, LEAST_PAUSE_S), (float("inf"), float("inf"))],
)
def test_how_long_to_wait(deadline: float, pause_s: float) -> None:
    assert pause_until(deadline, 100.0) == pause_s > 0
