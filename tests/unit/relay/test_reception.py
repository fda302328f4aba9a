"""Loss and jitter, beside the formulas of RFC 3550 in plain words."""

import random

import pytest

from b2bua.relay.reception import Reception

pytestmark = pytest.mark.unit


def heard(*packets: tuple[int, int, float], ssrc: int = 1) -> Reception:
    reception = Reception()
    for seq, ts, now in packets:
        reception.count(seq & 0xFFFF, ts & 0xFFFFFFFF, ssrc, now)
    return reception


def test_a_steady_stream_has_no_loss_and_no_jitter() -> None:
    reception = heard(*((65_500 + n, 2**32 - 1600 + 160 * n, n * 0.02) for n in range(100)))
    assert (reception.received, reception.lost) == (100, 0)
    assert reception.jitter_ms == pytest.approx(0, abs=0.01)


def test_lost_packets_are_counted_and_late_ones_are_not_lost() -> None:
    seqs = [1, 2, 3, 6, 5, 10]
    assert heard(*((seq, 160 * seq, seq * 0.02) for seq in seqs)).lost == 4


def test_numbers_that_run_over_are_no_loss() -> None:
    seqs = [65_533, 65_535, 65_534, 1, 0, 3]
    assert heard(*((seq, 160 * n, n * 0.02) for n, seq in enumerate(seqs))).lost == 1
    seqs = [n & 0xFFFF for n in range(0, 200_000, 2)]
    assert heard(*((seq, 160 * n, n * 0.02) for n, seq in enumerate(seqs))).lost == 99_999


def test_duplicates_are_not_negative_losses() -> None:
    assert heard((1, 160, 0.02), (1, 160, 0.02), (1, 160, 0.02)).lost == 0


def test_a_new_source_is_no_loss() -> None:
    reception = heard((1, 160, 0.02), (2, 320, 0.04))
    reception.count(40_000, 9, 2, 0.06)
    reception.count(40_001, 169, 2, 0.08)
    reception.count(10_000, 5, 2, 0.10)  # restarted with its SSRC
    assert (reception.received, reception.lost) == (5, 0)
    assert reception.jitter_ms == pytest.approx(0, abs=0.01)


def test_jitter_is_that_of_the_rfc() -> None:
    rand = random.Random(3)
    packets = [(n, 160 * n, n * 0.02 + rand.uniform(0, 0.03)) for n in range(500)]
    jitter, before = 0.0, None
    for _, ts, now in [packets[0], *packets[3::4]]:  # RFC 3550 A.8, of the first and each fourth
        transit = now * 8000 - ts
        if before is not None:
            jitter += (abs(transit - before) - jitter) / 16
        before = transit
    assert heard(*packets).jitter_ms == pytest.approx(jitter / 8, rel=1e-6)
    assert 5 < jitter / 8 < 20


def test_rounding_to_ticks_adds_no_jitter_on_average() -> None:
    rand = random.Random(4)
    exact = [(n, 160 * n, n * 0.02 + rand.uniform(0, 0.012)) for n in range(3000)]
    rounded = [(seq, ts, -(-now // 0.005) * 0.005) for seq, ts, now in exact]
    assert heard(*rounded).jitter_ms == pytest.approx(heard(*exact).jitter_ms, rel=0.35)


def test_a_key_is_no_jitter() -> None:
    packets = [(n, 160 * n, n * 0.02) for n in range(10)]
    packets += [(10 + n, 1600, (10 + n) * 0.02) for n in range(20)]
    packets += [(30 + n, 160 * (30 + n), (30 + n) * 0.02) for n in range(10)]
    assert heard(*packets).jitter_ms == pytest.approx(0, abs=0.01)


def test_what_a_former_leg_received_is_added() -> None:
    reception = heard((1, 160, 0.0), (4, 640, 0.06))
    reception.add(heard((9, 160, 0.0), (11, 480, 0.04)))
    assert (reception.received, reception.lost) == (4, 3)
