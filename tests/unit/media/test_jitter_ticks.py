"""The jitter buffer where packets are read only once a tick, right before a frame is taken."""

import random
from collections.abc import Callable

import pytest

from b2bua.relay.mixing import MixingDesk
from media.g711 import PCMU
from media.jitter import FRAME, FRAME_S, JitterBuffer
from tests.unit.media.test_jitter import TONE
from tests.unit.media.voices_in_rooms import SILENCE

pytestmark = pytest.mark.unit

HOUR = 180_000
FIVE_MINUTES = 15_000


def speech(number: int) -> bytes:
    """A tone with short pauses: 160 ms in about 2 s, at no fixed place in the buffer's windows."""
    return TONE[number % 2] if number % 103 >= 8 else SILENCE[PCMU]


def played(
    buffer: JitterBuffer, frames: int, payload: Callable[[int], bytes], arrival: Callable[[int], float]
) -> tuple[list[bytes], list[float]]:
    """Return the frames of all ticks, and the delay (s) of each hundredth packet from arrival to play-out."""
    out, delays, number, at = [], [], 0, arrival(0)
    for tick in range(frames):
        now = tick * FRAME_S
        while at <= now:
            buffer.put(number * FRAME, payload(number), now)
            if number % 100 == 99:
                head = (buffer._head or 0) // FRAME
                delays.append(now + (number - head) * FRAME_S - at)
            number += 1
            at = arrival(number)
        out.append(buffer.take(now))
    return out, delays


def room_buffer(most_s: float) -> JitterBuffer:
    buffer = MixingDesk().buffer(PCMU, most_s)
    assert isinstance(buffer, JitterBuffer)
    return buffer


@pytest.mark.parametrize(
    ("phase_s", "most_s", "count"),
    [
        (0.0185, 0.06, HOUR),
        (0.0185, 0.0, FIVE_MINUTES),
        (0.0, 0.06, FIVE_MINUTES),
        (0.0071, 0.0, FIVE_MINUTES),
    ],
)
def test_a_long_tone_has_no_frame_inserted_or_lost(phase_s: float, most_s: float, count: int) -> None:
    chance = random.Random(1)
    buffer = room_buffer(most_s)

    frames, delays = played(
        buffer, count, lambda n: TONE[n % 2], lambda n: phase_s + n * FRAME_S + chance.random() * 0.004
    )

    begin = next(number for number, frame in enumerate(frames) if frame in TONE)
    assert frames[begin:] == [TONE[number % 2] for number in range(count - begin)]
    assert (buffer.concealed, buffer.dropped, buffer.repeated) == (0, 0, 0)
    assert max(delays) <= 0.045


@pytest.mark.parametrize(("ppm", "most_s"), [(100, 0.0), (-100, 0.06)])
def test_an_hour_of_drift_is_evened_out_in_pauses_and_the_delay_stays(ppm: int, most_s: float) -> None:
    chance = random.Random(2)
    buffer = room_buffer(most_s)
    period_s = FRAME_S * (1 + ppm / 1e6)

    frames, delays = played(buffer, HOUR, speech, lambda n: 0.0071 + n * period_s + chance.random() * 0.002)

    changes = buffer.repeated if ppm > 0 else buffer.dropped
    assert abs(changes - 18) <= 1
    assert changes == buffer.repeated + buffer.dropped
    assert buffer.concealed == 0
    assert max(delays) <= 0.06
    assert max(delays) - min(delays) <= 0.04
    heard, position = b"".join(frames), 0
    for number in range(8, HOUR - 300, 103):
        whole = b"".join(speech(number + further) for further in range(95))
        position = heard.index(whole, position)
