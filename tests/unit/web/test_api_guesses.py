"""Each wrong guess of credentials delays the next answer longer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.web.api.guesses import Guesses

pytestmark = pytest.mark.unit


def after(guesses: Guesses, times: int, *, now: float = 100.0, address: str = "a") -> list[float]:
    """How long somebody waits who tries again as soon as the answer arrives."""
    waits = []
    for _ in range(times):
        waits.append(guesses.wrong(address, now))
        now += waits[-1]
    return waits


def test_each_wait_is_twice_the_one_before_up_to_half_a_minute() -> None:
    assert after(Guesses(), 12) == [0, 0, 0, 0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_in_parallel_the_answers_come_one_after_another() -> None:
    guesses = Guesses()
    assert [guesses.wrong("a", 100.0) for _ in range(8)] == [0, 0, 0, 0.5, 1.5, 3.5, 7.5, 15.5]


def test_a_success_is_a_new_beginning() -> None:
    guesses = Guesses()
    after(guesses, 6)
    guesses.right("a", 200.0)
    assert after(guesses, 5, now=201.0) == [0, 0, 0, 0.5, 1]


def test_a_quarter_of_an_hour_without_a_guess_is_one_too() -> None:
    guesses = Guesses()
    after(guesses, 6)
    assert guesses.wrong("a", 103.5 + 900.0) == 4
    assert guesses.wrong("a", 1007.5 + 901.0) == 0


def test_one_address_does_not_wait_for_another() -> None:
    guesses = Guesses()
    after(guesses, 6)
    assert guesses.wrong("b", 100.0) == 0


def test_of_one_that_is_a_minute_behind_nothing_is_looked_at() -> None:
    guesses = Guesses()
    while not guesses.refuses_for_s("a", 100.0):
        guesses.wrong("a", 100.0)
    assert guesses.refuses_for_s("a", 100.0) == pytest.approx(1.5)
    assert guesses.refuses_for_s("a", 101.6) == 0
    assert guesses.refuses_for_s("b", 100.0) == 0


def test_a_program_of_ours_is_heard_though_a_guesser_is_beside_it() -> None:
    guesses = Guesses()
    guesses.right("a", 100.0)
    for _ in range(50):
        assert guesses.wrong("a", 101.0) <= 90.0
    assert guesses.refuses_for_s("a", 101.0) == 0


def test_no_more_addresses_are_remembered_than_may_be() -> None:
    guesses = Guesses(max_sources=2)
    after(guesses, 6, address="a")
    after(guesses, 1, address="b")
    after(guesses, 1, address="c")
    assert guesses.wrong("a", 100.0) == 0


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.floats(0, 2000)), max_size=60))
def test_nobody_ever_waits_longer_than_a_minute_and_a_half(tries: list[tuple[str, bool, float]]) -> None:
    guesses, now = Guesses(), 0.0
    for address, is_right, pause_s in tries:
        now += pause_s
        if guesses.refuses_for_s(address, now):
            assert guesses.refuses_for_s(address, now) <= 30.0
        elif is_right:
            guesses.right(address, now)
        else:
            assert 0 <= guesses.wrong(address, now) <= 90.0
