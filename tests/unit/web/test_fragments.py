import pytest

from b2bua.web.fragments import Overrides, parse_fragment

pytestmark = pytest.mark.unit


def test_no_fragment_gives_the_defaults() -> None:
    assert parse_fragment("") == (Overrides(), ())
    defaults = Overrides()
    assert (defaults.connect_s, defaults.total_s, defaults.retries) == (5.0, 15.0, 1)
    assert defaults.retry_on == {"ct"}


def test_everything_at_once() -> None:
    overrides, findings = parse_fragment("ct=2000&rt=3000&tt=9000&rc=3&rp=5xx,ct,rt")
    assert findings == ()
    assert overrides == Overrides(
        connect_s=2.0, read_s=3.0, total_s=9.0, retries=3, retry_on=frozenset(("5xx", "ct", "rt"))
    )


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("ct=100", Overrides(connect_s=0.1)),
        ("ct=10000", Overrides(connect_s=10.0)),
        ("rt=15000", Overrides(read_s=15.0)),
        ("tt=100", Overrides(total_s=0.1)),
        ("rc=0", Overrides(retries=0)),
        ("rc=5", Overrides(retries=5)),
        ("rp=all", Overrides(retry_on=frozenset(("all",)))),
        ("rp=4xx%2C5xx", Overrides(retry_on=frozenset(("4xx", "5xx")))),
        ("rc=2&rc=3", Overrides(retries=3)),
    ],
)
def test_values_within_bounds_are_taken(fragment: str, expected: Overrides) -> None:
    assert parse_fragment(fragment) == (expected, ())


@pytest.mark.parametrize(
    "fragment",
    [
        *("ct=99", "ct=10001", "ct=1e3", "ct=0x100", "rt=15001", "tt=15001", "tt=0"),
        *("rc=6", "rc=-1", "rc=", "rc", "rc=1.5", "rc=²", "rc=٣", "rc=" + "9" * 5000),
        *("rp=", "rp=6xx", "rp=ct,never", "section", "e=ashburn"),
    ],
)
def test_what_cannot_be_used_is_ignored_with_a_finding(fragment: str) -> None:
    overrides, findings = parse_fragment(fragment)
    assert overrides == Overrides()
    assert len(findings) == 1
    assert fragment[:20] in findings[0]


def test_one_bad_part_leaves_the_others() -> None:
    overrides, findings = parse_fragment("rc=9&ct=700&&rp=nix")
    assert overrides == Overrides(connect_s=0.7)
    assert len(findings) == 2


def test_policy_all_covers_every_class_but_not_what_can_never_succeed() -> None:
    overrides = Overrides(retry_on=frozenset(("all",)))
    assert all(overrides.allow_retry(name) for name in ("4xx", "5xx", "ct", "rt"))
    assert not overrides.allow_retry(None)
