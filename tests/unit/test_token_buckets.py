"""Token buckets: for sources of INVITEs, TLS connections and REST requests."""

import pytest

from b2bua.token_buckets import MAX_SOURCES, TokenBuckets

pytestmark = pytest.mark.unit


class TestTokenBuckets:
    def test_a_burst_of_one_second_passes_then_the_rate(self) -> None:
        buckets = TokenBuckets(5.0)
        assert [buckets.take("a", 0.0) for _ in range(7)] == [True] * 5 + [False, None]
        assert [buckets.take("a", 0.2) for _ in range(2)] == [True, False]

    def test_sources_do_not_share(self) -> None:
        buckets = TokenBuckets(1.0)
        assert buckets.take("a", 0.0) and buckets.take("b", 0.0)

    def test_a_rate_below_one_still_lets_one_pass(self) -> None:
        buckets = TokenBuckets(0.5)
        assert [buckets.take("a", at) for at in (0.0, 1.0, 2.0)] == [True, False, True]

    def test_made_up_sources_take_bounded_memory(self) -> None:
        buckets = TokenBuckets(1.0)
        for n in range(MAX_SOURCES + 50):
            buckets.take(str(n), 0.0)
        assert len(buckets._sources) == MAX_SOURCES

    def test_as_many_at_once_as_a_second_has(self) -> None:
        limit = TokenBuckets(10)
        assert [limit.take("a", 0.0) for _ in range(11)] == [True] * 10 + [False]

    def test_refills_with_time(self) -> None:
        limit = TokenBuckets(10)
        for _ in range(10):
            limit.take("a", 0.0)
        assert [limit.take("a", 0.25) for _ in range(3)] == [True, True, False]

    def test_one_client_does_not_slow_another(self) -> None:
        limit = TokenBuckets(1)
        assert limit.take("a", 0.0) and not limit.take("a", 0.0)
        assert limit.take("b", 0.0)

    def test_remembers_no_more_clients_than_it_may(self) -> None:
        limit = TokenBuckets(1, max_sources=2)
        for client in ("a", "b", "c"):
            limit.take(client, 0.0)
        assert limit.take("a", 0.0)  # forgotten
        assert not limit.take("c", 0.0)
