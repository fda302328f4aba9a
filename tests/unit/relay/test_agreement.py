"""What two descriptions agree on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2bua.relay.agreement import agree, can_join, routes
from b2bua.relay.control import DescribeLeg, MediaDescription, SendKeys
from b2bua.relay.laws import A_TO_MU, MU_TO_A
from tests.unit.relay.relay_scene import G711, PCMA, PCMU, Scene

pytestmark = pytest.mark.unit


def side(formats: object, **changes: object) -> MediaDescription:
    given = {
        "host": "192.0.2.1",
        "port": 4000,
        "rtcp_host": "192.0.2.1",
        "rtcp_port": 4001,
        "formats": formats,
    }
    return MediaDescription(**{**given, **changes})  # type: ignore[arg-type]


def test_the_first_common_format_is_the_codec() -> None:
    assert agree(side(((18, "G729/8000"), *G711)), side(((0, "PCMU/8000"), (8, "PCMA/8000")))).codec == "PCMA"


def test_nothing_in_common_joins_and_records_nothing() -> None:
    agreement = agree(side(((18, "G729/8000"),)), side(PCMA))
    assert (agreement.codec, agreement.recordable, agreement.events) == ("", False, None)
    assert not can_join(agreement, agreement)


def test_names_are_compared_without_case_and_static_types_need_none() -> None:
    agreement = agree(
        side(((8, ""), (96, "Telephone-Event/8000"))),
        side(((8, "pcma/8000/1"), (101, "telephone-event/8000"))),
    )
    assert (agreement.codec, agreement.events) == ("PCMA", 96)
    assert agreement.sends[101] == agreement.sends[96] == "TELEPHONE-EVENT"


def test_events_of_another_clock_are_not_taken() -> None:
    assert agree(side(((8, "PCMA/8000"), (96, "telephone-event/48000"))), side(PCMA)).events is None


def test_only_plain_g711_of_its_own_types_is_recordable() -> None:
    assert agree(side(PCMA), side(PCMA)).recordable
    assert agree(side(PCMU), side(PCMU)).recordable
    assert not agree(side(PCMA, plain=False), side(PCMA)).recordable
    assert not agree(side(((9, "G722/8000"),)), side(((9, "G722/8000"),))).recordable
    assert not agree(side(((97, "PCMA/8000"),)), side(((97, "PCMA/8000"),))).recordable


@pytest.mark.parametrize("rate", ["", "0", "1", "x", "99999999999", "-8000", "²"])
def test_a_rate_that_is_none_does_no_harm(rate: str) -> None:
    formats = ((96, f"opus/{rate}"),)
    assert agree(side(formats), side(formats)).rate == 8000


@pytest.mark.parametrize("ptime", [10, 20, 30, 60])
def test_equal_packet_times_are_joined(ptime: int) -> None:
    one = agree(side(PCMA, ptime_ms=ptime), side(PCMA))
    assert can_join(one, one)
    assert can_join(one, agree(side(PCMA), side(PCMA))) is (ptime == 20)
    assert not can_join(one, agree(side(PCMA, ptime_ms=ptime, max_ptime_ms=ptime - 1), side(PCMA)))
    assert can_join(one, agree(side(PCMA, ptime_ms=ptime, max_ptime_ms=ptime), side(PCMA)))


@given(
    *(
        st.builds(
            MediaDescription,
            host=st.sampled_from(["192.0.2.9", "2001:db8::1", "0.0.0.0", "x", ""]),
            port=st.integers(0, 65_535),
            rtcp_host=st.text(max_size=3),
            rtcp_port=st.integers(0, 65_535),
            formats=st.lists(
                st.tuples(
                    st.integers(-1, 200),
                    st.one_of(
                        st.text(max_size=8), st.sampled_from(["PCMA/8000", "G722/8000", "CN/8000", "opus/1"])
                    ),
                ),
                max_size=5,
            ).map(tuple),
            ptime_ms=st.integers(-5, 10**9),
            max_ptime_ms=st.integers(-5, 10**9),
            plain=st.booleans(),
        )
        for _ in range(2)
    )
)
def test_no_description_raises(far: MediaDescription, near: MediaDescription) -> None:
    scene = Scene()
    a, b = scene.joined()
    for leg in (a, b):
        scene.order(DescribeLeg(leg=leg.key, far=far, near=near))
        scene.passes(0.7)
        scene.order(SendKeys(leg=leg.key, digits="1x"))
        for _ in range(3):
            scene.passes(0.05)
            leg.says()
            leg.says(kind=9)
            leg.worker_says()
            leg.ssrc += 1
            leg.worker_ssrc += 1


def test_a_type_with_two_meanings_is_not_joined() -> None:
    twice = agree(
        side(((8, "PCMA/8000"), (9, "G722/8000"))),
        side(((8, "G722/8000"), (7, "PCMA/8000"), (7, "G722/8000"))),
    )
    assert twice.codec == "PCMA" and "PCMA" not in twice.sends.values()
    assert not can_join(twice, twice)


def test_routes_name_the_partners_types() -> None:
    a, u = agree(side(PCMA), side(PCMA)), agree(side(PCMU), side(PCMU))
    found = routes(a, u)
    assert found[8] == ("audio", 0, A_TO_MU)
    assert found[101] == ("event", 96, None)
    assert routes(u, a)[0] == ("audio", 8, MU_TO_A)
    assert set(found) == {8, 101}


def test_the_laws_are_each_others_inverse_where_both_have_the_value() -> None:
    assert (MU_TO_A[0xFF], MU_TO_A[0x7F]) == (0xD5, 0x55)
    assert sum(A_TO_MU[MU_TO_A[code]] == code for code in range(256)) > 190
    assert all(MU_TO_A[code] & 0x80 == code & 0x80 for code in range(256))


def test_a_description_that_moves_the_codec_joins_by_it() -> None:
    scene = Scene()
    a, b = scene.joined()
    b.describe(PCMU)
    a.says(b"\xd5" * 160)
    assert (b.heard[-1].kind, b.heard[-1].payload) == (0, b"\xfe" * 160)
    b.says(b"\xff" * 160)
    assert (a.heard[-1].kind, a.heard[-1].payload) == (8, b"\xd5" * 160)
