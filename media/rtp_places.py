"""Where the packets of one party belong on a time line.

A party's own clock says where each of its packets belongs: the RTP timestamp, which counts samples. Where
that clock's zero is on our time line follows from the arrivals. A packet's *lag* is its arrival minus its
timestamp: a constant, plus the time that it spent in the network and in queues. The smallest lag within some
seconds is that of the packets that were not held up, so it is the *anchor* of them all:
``place = timestamp + anchor``. So a late packet, a burst after a standstill, a lost or a doubled one move
nothing.

A stream (an SSRC) is cut into runs, each with an anchor of its own, where timestamps and arrivals no longer
agree: the party was on hold and its timestamps stood still, or they begin anew. A standstill of the network
looks alike at first, but what follows it is back at the old lag within half a second.

Within a run the anchor follows the party's clock, which may drift by a second in a few hours: by 10 ms at a
time, at most half of the 20 ms by which two sides may differ. For a group of packets the anchor is the larger
of the smallest lags of two windows, one with the group before and one with the group after it: so a window
that reaches across a change of the network's delay does not count.

Some parties count something else than samples (RFC 3551 §4.5.14 wants samples): 80 for each packet of 160,
say. Where timestamps and lengths disagree in the same way from packet to packet, and the arrivals agree with
the lengths, the sequence numbers and the lengths are the clock instead.

Sans I/O, all with arrays; RFC 3550 §5.1 for the timestamp.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["places"]

_DISAGREES_S: Final = 0.040
"""A run may begin where a packet's lag differs by more from the smallest lag of the few before it."""
_JUST_BEFORE: Final = 4
_BEFORE: Final = 128
"""Packets before a possible run that tell the lag so far."""
_AFTER_S: Final = 0.5
"""Time after it in which the lag must have stayed away from that."""
_LATE_S: Final = 1.0
_SHORT_S: Final = 0.25
_FEW: Final = 5
"""So few packets, or within so short a time, later than the others by less than _LATE_S are not a run."""
_GROUP: Final = 64
"""Packets that share an anchor, at most: a group also begins after a pause."""
_PAUSE_S: Final = 1.0
_DRIFT_S: Final = 0.010
_PAIRS_LEAST: Final = 20
"""So many packets that follow one another tell whether timestamps count samples."""
_ALIKE: Final = 0.8
"""Part of them that must disagree in the same way; a party that is silent at times disagrees now and then."""
_TALKS_S: Final = 0.2
"""Packets further apart do not tell how fast audio comes."""

_Numbers = npt.NDArray[np.float64]
_Places = npt.NDArray[np.int64]


def places(
    at: npt.NDArray[np.float64],
    ssrc: npt.NDArray[np.uint32],
    timestamp: npt.NDArray[np.uint32],
    clock_rate_hz: int = 8000,
    *,
    sequence: npt.NDArray[np.uint16] | None = None,
    samples: npt.NDArray[np.uint16] | None = None,
) -> npt.NDArray[np.int64]:
    """Return where each packet begins, in samples since time 0; negative if before it.

    Args:
        at: the packets' arrivals in seconds since time 0, in the order of arrival.
        ssrc: their SSRCs.
        timestamp: their RTP timestamps.
        clock_rate_hz: of the timestamps.
        sequence: their sequence numbers; None: the timestamps are believed.
        samples: their lengths; with ``sequence``.
    """
    found = np.empty(len(at), np.int64)
    by_ssrc = np.argsort(ssrc, kind="stable")
    for stream in np.split(by_ssrc, np.flatnonzero(np.diff(ssrc[by_ssrc])) + 1):
        if len(stream):
            came = np.maximum.accumulate(at[stream])
            elapsed = _elapsed(timestamp[stream])
            if sequence is not None and samples is not None:
                numbers, lengths = _elapsed(sequence[stream]), samples[stream].astype(np.int64)
                if _miscounts(came * clock_rate_hz, elapsed, numbers, lengths, clock_rate_hz):
                    elapsed = _counted(numbers, lengths)
            found[stream] = _stream(came, elapsed, clock_rate_hz)
    return found


def _elapsed(counter: npt.NDArray[np.unsignedinteger[Any]]) -> _Places:
    """Return a counter's values from its first one on."""
    # The difference of two, as a signed number, is right across a wrap and for swapped packets.
    steps = np.diff(counter).view(f"i{counter.itemsize}")
    return np.concatenate(([0], np.cumsum(steps, dtype=np.int64)))


def _miscounts(at: _Numbers, elapsed: _Places, numbers: _Places, lengths: _Places, rate: int) -> bool:
    """Return whether timestamps do not count samples, though the party sends as many as time demands.

    Args:
        at: arrivals, in samples.
        elapsed: the timestamps, from the first on.
        numbers: the sequence numbers, from the first on.
        lengths: in samples.
        rate: of the samples, in Hz.
    """
    pairs = np.flatnonzero(np.diff(numbers) == 1)
    waits = np.diff(at)[pairs]
    pairs, waits = pairs[waits < _TALKS_S * rate], waits[waits < _TALKS_S * rate]
    if len(pairs) < _PAIRS_LEAST:
        return False
    steps, spoken = np.diff(elapsed)[pairs], lengths[pairs]
    ratios, counts = np.unique(np.round(steps / spoken, 3), return_counts=True)
    usual = float(ratios[counts.argmax()])
    if usual == 1.0 or counts.max() < _ALIKE * len(pairs):
        return False
    wait, step = float(waits.mean()), float(steps.mean())
    return abs(float(spoken.mean()) - wait) < abs(step - wait)


def _counted(numbers: _Places, lengths: _Places) -> _Places:
    """Return where packets begin by numbers and lengths; one that is missing was as long as the last."""
    known, first, which = np.unique(numbers, return_index=True, return_inverse=True)
    begins = np.concatenate(([0], np.cumsum(np.diff(known) * lengths[first][:-1])))
    placed: _Places = begins[which] - begins[which[0]]
    return placed


def _stream(at: _Numbers, elapsed: _Places, rate: int) -> _Places:
    lag = at * rate - elapsed
    found = np.empty(len(at), np.int64)
    for first, end in _runs(at, lag, rate):
        found[first:end] = elapsed[first:end] + _anchors(at[first:end], lag[first:end], rate)
    return found


def _runs(at: _Numbers, lag: _Numbers, rate: int) -> Iterator[tuple[int, int]]:
    """Yield the first packet of each run and the one after its last."""
    first = 0
    doubtful = np.flatnonzero(np.abs(lag[1:] - _lowest_just_before(lag)) > _DISAGREES_S * rate) + 1
    until = np.searchsorted(at, at[doubtful] + _AFTER_S, side="right")
    for here, end in zip(doubtful.tolist(), until.tolist(), strict=True):
        before = float(lag[max(first, here - _BEFORE) : here].min())
        after = float(lag[here:end].min())
        begin, over = (here, end) if after > before else (first, here)
        few = over - begin < _FEW or at[over - 1] - at[begin] < _SHORT_S
        late = few and abs(after - before) < _LATE_S * rate
        if end - here >= _FEW:  # the next run may be near, and what comes right before it be late
            late |= float(lag[here + _FEW - 1 : end].min()) > after + _DISAGREES_S * rate
        if abs(after - before) > _DISAGREES_S * rate and not late:
            yield first, here
            first = here
    yield first, len(lag)


def _lowest_just_before(lag: _Numbers) -> _Numbers:
    """Return, for each packet but the first, the smallest lag of the few before it."""
    lowest = lag[:-1].copy()
    for back in range(1, min(_JUST_BEFORE, len(lowest))):
        np.minimum(lowest[back:], lag[: -1 - back], out=lowest[back:])
    return lowest


def _anchors(at: _Numbers, lag: _Numbers, rate: int) -> _Places:
    """Return the anchor of each packet of a run, in whole samples."""
    pauses = np.flatnonzero(np.diff(at) > _PAUSE_S) + 1
    groups = np.union1d(np.arange(0, len(lag), _GROUP), pauses)
    lowest = np.minimum.reduceat(lag, groups)
    pairs = np.minimum(lowest[:-1], lowest[1:]) if len(lowest) > 1 else lowest
    wanted = np.maximum(np.append(pairs[:1], pairs), np.append(pairs, pairs[-1:]))[: len(lowest)]
    anchors: list[int] = []
    anchor = float(wanted[0])
    for each in wanted.tolist():
        if abs(each - anchor) > _DRIFT_S * rate:
            anchor = each
        anchors.append(round(anchor))
    return np.repeat(np.array(anchors, np.int64), np.diff(groups, append=len(lag)))
