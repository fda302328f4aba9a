"""Keys that come by RFC 4733, by INFO, or both ways."""

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.calls.joined_keys import JoinedKeys
from b2bua.core.events import DtmfReceived
from b2bua.core.ids import LegId

pytestmark = pytest.mark.unit


def key(
    digit: str, at: float, leg: str = "a", method: Literal["rfc4733", "info"] = "rfc4733"
) -> DtmfReceived:
    return DtmfReceived(leg=LegId(leg), at=at, digit=digit, method=method)


def info(digit: str, at: float, leg: str = "a") -> DtmfReceived:
    return key(digit, at, leg, "info")


def test_a_key_by_rfc4733_counts_at_once() -> None:
    assert JoinedKeys().take_signalled(key("5", 1.0), 0.2) == key("5", 1.0)


def test_a_key_by_info_alone_counts_after_a_moment() -> None:
    keys = JoinedKeys()
    keys.take_info(info("5", 1.0), 1.0)
    assert keys.due(1.1) == []
    assert keys.next_deadline() == pytest.approx(1.2)
    assert keys.due(1.2) == [info("5", 1.0)]
    assert keys.next_deadline() is None


def test_an_info_that_comes_first_is_dropped() -> None:
    keys = JoinedKeys()
    keys.take_info(info("5", 1.0), 1.0)
    assert keys.take_signalled(key("5", 1.02), 0.12) == key("5", 1.02)
    assert keys.due(9.0) == []


def test_later_infos_of_a_leg_that_signals_are_dropped() -> None:
    keys = JoinedKeys()
    keys.take_signalled(key("5", 1.0), 0.1)
    keys.take_info(info("6", 2.0), 2.0)
    keys.take_info(info("6", 2.0, "b"), 2.0)
    assert keys.due(9.0) == [info("6", 2.0, "b")]


def test_a_long_key_whose_info_has_counted_does_not_count_again() -> None:
    keys = JoinedKeys()
    keys.take_info(info("5", 1.0), 1.0)
    assert keys.due(1.2) == [info("5", 1.0)]
    assert keys.take_signalled(key("5", 1.01), 0.8) is None
    assert keys.take_signalled(key("5", 3.0), 0.1) == key("5", 3.0)


def test_another_key_after_an_info_counts() -> None:
    keys = JoinedKeys()
    keys.take_info(info("5", 1.0), 1.0)
    keys.due(1.2)
    assert keys.take_signalled(key("6", 1.3), 0.1) == key("6", 1.3)


@settings(database=None)
@given(st.lists(st.tuples(st.sampled_from("0123456789*#"), st.floats(0.0, 0.15)), max_size=12))
def test_keys_sent_both_ways_count_once_each(presses: list[tuple[str, float]]) -> None:
    keys, counted, at = JoinedKeys(), list[DtmfReceived](), 10.0
    for digit, lag in presses:
        keys.take_info(info(digit, at), at)
        counted += keys.due(at + lag)
        signalled = keys.take_signalled(key(digit, at), lag)
        counted += [signalled] if signalled is not None else []
        at += 1.0
    counted += keys.due(at + 9.0)
    assert [event.digit for event in counted] == [digit for digit, _ in presses]
