"""When keys are due."""

import pytest

from b2bua.core.digits import KEY_S, Keys

pytestmark = pytest.mark.unit


def test_keys_come_one_by_one_with_their_pauses():
    keys = Keys("1w2W#", 10.0)
    sent = []
    while keys.due_at is not None:
        at = keys.due_at
        sent.append((round(at, 2), keys.take(at)))
    assert sent == [(10.0, "1"), (10.75, "2"), (12.0, "#"), (12.25, "")]
    assert KEY_S == 0.25


def test_nothing_is_due_before_its_time():
    keys = Keys("w5", 0.0)
    assert keys.take(0.4) == ""
    assert keys.due_at == 0.5


def test_what_is_late_is_sent_at_once():
    assert Keys("123", 0.0).take(9.0) == "123"
