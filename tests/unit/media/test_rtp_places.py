"""Packets are placed within 20 ms of when they were sent, whatever the network and the party's clock do."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.rtp_places import places
from tests.effort import examples

pytestmark = pytest.mark.unit

FRAME = 160
FRAME_S = 0.020
TICK_S = 0.005


@dataclass(frozen=True)
class Talk:
    """Packets one after another, after a pause."""

    packets: int
    pause_s: float
    after: Literal["goes on", "counts the pause", "begins anew", "another SSRC"]
    """What the timestamps do after the pause."""


@dataclass(frozen=True)
class Network:
    jitter_s: float = 0.0
    """Mean of what a packet is late by."""
    loss: float = 0.0
    doubled: float = 0.0
    stands_still: tuple[float, float] = (0.0, 0.0)
    """When nothing arrives: what is sent meanwhile arrives together, at the end."""


@dataclass(frozen=True)
class Arrivals:
    at: npt.NDArray[np.float64]
    ssrc: npt.NDArray[np.uint32]
    timestamp: npt.NDArray[np.uint32]
    sent: npt.NDArray[np.float64]

    def errors_s(self) -> npt.NDArray[np.float64]:
        """How far from where they belong the packets are placed."""
        errors: npt.NDArray[np.float64] = places(self.at, self.ssrc, self.timestamp) / 8000 - self.sent
        return errors


def arrivals(
    talks: list[Talk], network: Network, *, ppm: float = 0.0, timestamp: int = 0, seed: int = 1
) -> Arrivals:
    chance = np.random.default_rng(seed)
    sent: list[float] = []
    ssrcs: list[int] = []
    timestamps: list[int] = []
    now, ssrc = 0.0, 5
    for talk in talks:
        now += talk.pause_s
        match talk.after:
            case "counts the pause":
                timestamp += round(talk.pause_s * 8000 * (1 + ppm * 1e-6))
            case "begins anew":
                timestamp = int(chance.integers(1 << 32))
            case "another SSRC":
                ssrc, timestamp = int(chance.integers(1 << 32)), int(chance.integers(1 << 32))
        for _ in range(talk.packets):
            sent.append(now)
            ssrcs.append(ssrc)
            timestamps.append(timestamp & 0xFFFFFFFF)
            timestamp += FRAME
            now += FRAME_S / (1 + ppm * 1e-6)
    times = np.array(sent)
    at = times + chance.exponential(network.jitter_s, len(times)) if network.jitter_s else times.copy()
    first, end = network.stands_still
    at = np.where((at >= first) & (at < end), end, at)
    which = np.flatnonzero(chance.random(len(at)) >= network.loss)
    again = which[chance.random(len(which)) < network.doubled]
    which = np.concatenate((which, again))
    at = np.concatenate((at[which[: len(which) - len(again)]], at[again] + 0.03))
    at = np.ceil(at / TICK_S) * TICK_S
    order = np.argsort(at, kind="stable")
    which, at = which[order], at[order]
    return Arrivals(
        at, np.array(ssrcs, np.uint32)[which], np.array(timestamps, np.uint32)[which], times[which]
    )


def test_packets_follow_one_another_without_a_gap_or_an_overlap() -> None:
    came = arrivals([Talk(3_000, 0.0, "goes on")], Network(jitter_s=0.02))
    placed = places(came.at, came.ssrc, came.timestamp)
    assert np.array_equal(np.diff(np.sort(placed)), np.full(2_999, FRAME))
    assert abs(int(placed.min())) <= TICK_S * 8000


def test_nothing_has_no_places() -> None:
    empty = np.zeros(0, np.uint32)
    assert len(places(np.zeros(0), empty, empty)) == 0


def test_an_hour_of_a_clock_that_is_wrong_stays_within_10_ms() -> None:
    came = arrivals([Talk(180_000, 0.0, "goes on")], Network(jitter_s=0.008, loss=0.02), ppm=120.0)
    assert np.abs(came.errors_s()).max() < 0.016
    drift_s = 3600 * 120e-6
    placed = np.sort(places(came.at, came.ssrc, came.timestamp))
    moved = np.flatnonzero(np.diff(placed) % FRAME)
    assert len(moved) <= drift_s / 0.010 + 1  # it is corrected seldom


def test_a_standstill_of_the_network_moves_nothing() -> None:
    came = arrivals([Talk(500, 0.0, "goes on")], Network(stands_still=(4.0, 5.5)))
    placed = places(came.at, came.ssrc, came.timestamp)
    assert np.array_equal(placed, np.arange(500) * FRAME)


def test_a_hold_in_which_timestamps_stand_still_is_as_long_as_it_was() -> None:
    came = arrivals([Talk(200, 0.0, "goes on"), Talk(200, 30.0, "goes on")], Network())
    placed = places(came.at, came.ssrc, came.timestamp)
    assert placed[200] - placed[199] == pytest.approx(30.0 * 8000 + FRAME, abs=TICK_S * 8000)


def test_a_late_packet_at_the_end_is_where_it_belongs() -> None:
    came = arrivals([Talk(100, 0.0, "goes on")], Network())
    came.at[-1] += 0.3
    assert np.array_equal(places(came.at, came.ssrc, came.timestamp), np.arange(100) * FRAME)


def test_a_late_packet_of_the_former_stream_does_not_move_the_present_one() -> None:
    came = arrivals([Talk(100, 0.0, "goes on"), Talk(100, 0.0, "another SSRC")], Network())
    came.at[98:100] = came.at[105] + 0.001
    order = np.argsort(came.at, kind="stable")
    placed = places(came.at[order], came.ssrc[order], came.timestamp[order])
    assert np.abs(placed / 8000 - came.sent[order]).max() <= TICK_S


talks = st.builds(
    Talk,
    packets=st.integers(40, 400),
    pause_s=st.floats(0.15, 100.0),
    after=st.sampled_from(["goes on", "counts the pause", "begins anew", "another SSRC"]),
)
networks = st.builds(
    Network,
    jitter_s=st.floats(0.0, 0.010),
    loss=st.floats(0.0, 0.3),
    doubled=st.floats(0.0, 0.2),
    stands_still=st.tuples(st.floats(0.0, 4.0), st.floats(0.0, 0.4)).map(lambda at: (at[0], sum(at))),
)


@settings(max_examples=examples(60), deadline=None)
@given(
    talks=st.lists(talks, min_size=1, max_size=6),
    network=networks,
    ppm=st.floats(-200.0, 200.0),
    timestamp=st.one_of(st.integers(0, 2**32 - 1), st.integers(2**32 - 20_000, 2**32 - 1)),
    seed=st.integers(0, 1000),
)
def test_every_packet_is_within_20_ms_of_when_it_was_sent(
    talks: list[Talk], network: Network, ppm: float, timestamp: int, seed: int
) -> None:
    came = arrivals(talks, network, ppm=ppm, timestamp=timestamp, seed=seed)
    errors, late = np.abs(came.errors_s()), came.at - came.sent
    # Whether one that is later than that is late, or begins a run, may be unknown just before a pause.
    assert (errors <= np.where(late < 0.040, 0.020, late + 0.010)).all()
    assert np.count_nonzero(errors > 0.020) <= len(talks)


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(-1.0, 90_000.0),
            st.sampled_from([0, 1, 2**32 - 1]),
            st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 5)),
        ),
        max_size=200,
    )
)
def test_nothing_is_placed_later_than_it_arrived_by_more_than_the_correction_of_a_drift(
    rows: list[tuple[float, int, int]],
) -> None:
    rows.sort()
    at = np.array([row[0] for row in rows])
    placed = places(
        at, np.array([row[1] for row in rows], np.uint32), np.array([row[2] for row in rows], np.uint32)
    )
    assert len(placed) == len(rows)
    assert all(placed <= at * 8000 + 0.010 * 8000 + 1)
