"""Reason headers: how they are read, and which are passed on."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.core.commands import HangupLeg
from b2bua.core.ids import LegId
from b2bua.core.outcomes import q850_reason
from b2bua.core.reasons import MAX_REASONS, Reason, passed_on, read_reasons
from tests.unit.core.scene import B1, B2, ELSEWHERE, A, Scene, answered, ended, find, plan

pytestmark = pytest.mark.unit
B = LegId("b")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ('Q.850;cause=16;text="Normal, all; clear"', [("Q.850", 16, "Normal, all; clear")]),
        ("sip ; cause = 200 ; text = Done", [("sip", 200, "Done")]),
        ('SIP;cause="600", Q.850;cause=19', [("SIP", 600, ""), ("Q.850", 19, "")]),
        (r'SIP;text="a \"b\" \\";cause=200', [("SIP", 200, r'a "b" \ '.strip())]),
        ("SIP;cause=200;cause=486", [("SIP", 200, "")]),
        ('SIP;text="x;cause=200"', [("SIP", 0, "x;cause=200")]),
        ('SIP;text="x, Q.850;cause=17"', [("SIP", 0, "x, Q.850;cause=17")]),
        ('SIP;text="x;cause=200', [("SIP", 0, "x;cause=200")]),
        ('SIP;text="x\\', [("SIP", 0, "x\\")]),
        ("SIP;cause=1000", [("SIP", 0, "")]),
        ("SIP;cause=-1", [("SIP", 0, "")]),
        ("SIP", [("SIP", 0, "")]),
        ("Busy Here", []),
        (";cause=16", []),
        ('"SIP;cause=200"', []),
        ("", []),
    ],
)
def test_a_value_is_read_by_the_grammar_and_a_little_beyond(
    value: str, read: list[tuple[str, int, str]]
) -> None:
    found = [(each.protocol, each.cause, each.text) for each in read_reasons([value])]
    assert found == read


@pytest.mark.parametrize(
    "value",
    [
        'SIP;text="Q.850;cause=17"',
        'SIP;text="x, Q.850;cause=17"',
        'Q.850;text="x;cause=17"',
        'Q.850;text="\\";cause=17"',
    ],
)
def test_a_cause_within_a_quoted_text_is_none(value: str) -> None:
    assert q850_reason(ended(B, 486, headers=(("Reason", value),))) == 0
    assert q850_reason(ended(B, 486, reason=value)) == 0


@settings(database=None)
@given(st.lists(st.text(st.sampled_from('aQ.850=;,"\\ 1')), max_size=3))
def test_whatever_comes_is_read_and_what_goes_on_can_be_read_again(values: list[str]) -> None:
    read = read_reasons(values)
    end = ended(B, 487, headers=tuple(("Reason", value) for value in values))
    told = passed_on(end)
    assert len(told) <= MAX_REASONS
    again = read_reasons([value for _, value in told])
    assert all(each in read for each in again)
    assert len(again) == len(told)


def test_a_hostile_value_takes_no_time() -> None:
    begun = time.process_time()
    for value in ('"\\' * 32_000, '"' * 64_000 + "x", "a" * 64_000, ",;" * 32_000, '"\\"' * 20_000 + "\\"):
        read_reasons([value])
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([ELSEWHERE[0][1]], [ELSEWHERE[0][1]]),
        (['Q.850;text="Normal call clearing";cause=16, sip;cause=200'],
         ['Q.850;cause=16;text="Normal call clearing"', "sip;cause=200"]),
        (["Q.850;cause=16", "q.850;cause=17"], ["Q.850;cause=16"]),
        (['SIP;text="no number"', "SIP;cause=0", "nothing at all"], []),
        (["SIP;cause=200;text=a\r\nX-Evil: 1"], ["SIP;cause=200"]),
        ([f'SIP;cause=200;text="{"x" * 129}"'], ["SIP;cause=200"]),
        ([r'SIP;cause=200;text="a \"b\" \\"'], [r'SIP;cause=200;text="a \"b\" \\"']),
        ([", ".join(f"P{number};cause=1" for number in range(9))],
         ["P0;cause=1", "P1;cause=1", "P2;cause=1", "P3;cause=1"]),
        (["S\r\nX: y;cause=1", f"{'p' * 33};cause=1"], []),
    ],
)  # fmt: skip
def test_sound_reasons_go_on_and_nothing_else(values: list[str], told: list[str]) -> None:
    end = ended(A, 487, headers=(("X-Other", "1"), *(("reason", value) for value in values)))
    assert passed_on(end) == tuple(("Reason", value) for value in told)


@pytest.mark.parametrize("cause", ["local", "timeout", "worker"])
def test_only_a_peer_has_reasons(cause: str) -> None:
    assert passed_on(ended(A, 487, cause, headers=ELSEWHERE)) == ()
    assert passed_on(None) == ()


def test_a_reason_says_what_it_is() -> None:
    assert read_reasons(["SIP;cause=200"]) == [Reason(protocol="SIP", cause=200, text="")]


class TestOfTheCaller:
    def test_it_reaches_all_who_ring(self) -> None:
        scene = Scene(plan(2))
        output = scene.send(ended(A, 487, headers=ELSEWHERE))
        assert find(output, HangupLeg) == [HangupLeg(leg=leg, headers=ELSEWHERE) for leg in (B1, B2)]

    def test_it_reaches_the_callee_in_the_bridge(self) -> None:
        scene = Scene(plan(1))
        scene.send(answered(B1))
        said = (("Reason", "Q.850;cause=16"),)
        output = scene.send(ended(A, headers=(*said, ("X-Other", "1"))))
        assert find(output, HangupLeg) == [HangupLeg(leg=B1, headers=said)]

    def test_without_one_nothing_is_made_up(self) -> None:
        scene = Scene(plan(2))
        assert find(scene.send(ended(A, 487)), HangupLeg) == [HangupLeg(leg=B1), HangupLeg(leg=B2)]
