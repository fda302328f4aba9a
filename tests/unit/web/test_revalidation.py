import pytest

from b2bua.web.revalidation import KeptAnswer, RevalidationCache
from b2bua.web.validators import Validators

pytestmark = pytest.mark.unit


def answer(body: bytes = b"x", etag: str = '"1"', last_modified: str = "") -> KeptAnswer:
    return KeptAnswer(
        content_type="text/xml", body=body, validators=Validators(etag=etag, last_modified=last_modified)
    )


def test_conditions_name_each_validator_there_is() -> None:
    assert answer(etag='W/"a"').validators.conditions == {"If-None-Match": 'W/"a"'}
    date = "Mon, 23 Nov 2026 00:00:00 GMT"
    assert answer(etag="", last_modified=date).validators.conditions == {"If-Modified-Since": date}


def test_without_a_validator_nothing_is_kept_and_what_was_is_forgotten() -> None:
    cache = RevalidationCache()
    cache.put("u", answer())
    cache.put("u", answer(etag=""))
    assert cache.get("u") is None and len(cache) == 0


def test_the_least_used_goes_first() -> None:
    cache = RevalidationCache(max_bytes=3 * (answer().size + 1))
    for name in "abc":
        cache.put(name, answer())
    assert cache.get("a")
    cache.put("d", answer())
    assert cache.get("b") is None
    assert all(cache.get(name) for name in "acd")


def test_an_answer_larger_than_everything_is_not_kept_and_evicts_nothing() -> None:
    cache = RevalidationCache(max_bytes=2000)
    cache.put("a", answer())
    cache.put("b", answer(body=b"x" * 3000))
    assert cache.get("a") and cache.get("b") is None


def test_room_is_given_back() -> None:
    cache = RevalidationCache(max_bytes=answer().size + 1)
    for _ in range(100):
        cache.put("a", answer())
        cache.forget("a")
    cache.put("a", answer())
    assert cache.get("a")
