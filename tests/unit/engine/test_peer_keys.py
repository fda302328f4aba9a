import pytest

from b2bua.engine.peer_keys import PeerKeys

pytestmark = pytest.mark.unit

RFC4733, INFO = 0, 1


def test_the_method_that_came_first_counts() -> None:
    keys = PeerKeys()
    assert keys.signal_counts("1", RFC4733, 1.0)
    assert not keys.signal_counts("1", INFO, 1.1)
    assert keys.signal_counts("2", RFC4733, 2.0)


def test_tones_count_until_a_better_way_is_known() -> None:
    keys = PeerKeys()
    assert keys.are_tones and keys.tone_counts("1", 1.0)
    assert keys.signal_counts("2", INFO, 1.1)
    assert not keys.are_tones and not keys.tone_counts("3", 2.0)


def test_no_tone_counts_where_telephone_event_was_agreed_on() -> None:
    keys = PeerKeys()
    keys.has_telephone_event = True
    assert not keys.are_tones and not keys.tone_counts("1", 1.0)


@pytest.mark.parametrize(
    ("digit", "after_s", "counts"), [("1", 0.9, False), ("1", 1.0, True), ("2", 0.1, True)]
)
def test_a_key_that_was_heard_is_not_counted_again_for_its_info(
    digit: str, after_s: float, counts: bool
) -> None:
    keys = PeerKeys()
    keys.tone_counts("1", 5.0)
    assert keys.signal_counts(digit, INFO, 5.0 + after_s) is counts
    assert keys.signal_counts("1", INFO, 5.0 + after_s)  # another key
