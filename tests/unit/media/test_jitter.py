"""The jitter buffer, by listening: equal clocks, drift, loss, jitter and stalls."""

import random
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.concealment import HISTORY, Concealment
from media.g711 import PCMA, PCMU, decode, encode
from media.jitter import FRAME, FRAME_S, JitterBuffer
from media.measure import goertzel_dbfs, rms_dbfs
from tests.effort import examples
from tests.unit.media.voices_in_rooms import RATE, SILENCE, steps, tone

pytestmark = pytest.mark.unit

Packet = tuple[float, int, bytes]
"""Time of arrival, timestamp, payload."""


def pcm(frames: Iterable[bytes], law: int = PCMU) -> np.ndarray:
    return decode(law, np.frombuffer(b"".join(frames), np.uint8))


def voice(number: int) -> bytes:
    """A second of tone after a second of pause, again and again."""
    return encode(PCMU, tone(440, -12, 1, number)) if number % 100 >= 50 else SILENCE[PCMU]


def speech(number: int) -> bytes:
    """A tone with short pauses: 160 ms in about 2 s, at no fixed place in the buffer's windows."""
    return encode(PCMU, tone(440, -12, 1, number)) if number % 103 >= 8 else SILENCE[PCMU]


TONE = [encode(PCMU, tone(450, -12, 1, number)) for number in range(2)]
"""450 Hz have a whole number of periods in 40 ms: these two frames in turn are an endless tone."""


def play(
    buffer: JitterBuffer, packets: Iterable[Packet], ticks: int, begin: float = 0.0, tick_s: float = FRAME_S
) -> list[bytes]:
    """Give the packets at their times, and take a frame at each tick."""
    coming = iter(sorted(packets, key=lambda packet: packet[0]))
    packet = next(coming, None)
    frames = []
    for number in range(ticks):
        now = begin + number * tick_s
        while packet is not None and packet[0] <= now:
            buffer.put(packet[1] & 0xFFFFFFFF, packet[2], packet[0])
            packet = next(coming, None)
        frames.append(buffer.take(now))
    return frames


def sent(
    count: int,
    payload: Callable[[int], bytes],
    *,
    period_s: float = FRAME_S,
    late: Callable[[int], float] = lambda number: 0.0,
    first: int = 0,
    at: float = 0.0,
) -> list[Packet]:
    return [
        (at + number * period_s + late(number), first + number * FRAME, payload(number))
        for number in range(count)
    ]


# -- equal clocks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("fixed_s", "minutes"), [(0.0, 5), (0.02, 60), (0.06, 5)])
def test_an_hour_of_tone_has_no_frame_inserted_or_lost(fixed_s, minutes):
    hour = minutes * 3000
    buffer = JitterBuffer(PCMU, fixed_s)
    chance = random.Random(1)
    packets = sent(
        hour, lambda n: TONE[n % 2], late=lambda n: chance.uniform(0, 0.004), first=0xFFFF0000, at=0.0071
    )

    frames = play(buffer, packets, hour)

    begin = next(number for number, frame in enumerate(frames) if frame in TONE)
    assert begin <= 2 + fixed_s / FRAME_S
    expected = [TONE[number % 2] for number in range(hour - begin)]
    assert frames[begin:] == expected
    assert (buffer.concealed, buffer.dropped, buffer.repeated) == (0, 0, 0)


def test_jitter_within_the_fixed_part_costs_nothing():
    buffer = JitterBuffer(PCMU, 0.06)
    chance = random.Random(2)
    packets = sent(5000, lambda n: TONE[n % 2], late=lambda n: chance.uniform(0, 0.055))

    play(buffer, packets, 5000)

    assert (buffer.concealed, buffer.dropped, buffer.repeated) == (0, 0, 0)


def test_more_jitter_is_learnt_once():
    chance = random.Random(3)
    packets = sent(10_000, voice, late=lambda n: chance.uniform(0, 0.05))
    first, whole = JitterBuffer(PCMU), JitterBuffer(PCMU)

    play(first, packets, 500)
    play(whole, packets, 10_000)

    assert 1 <= first.concealed <= 10
    assert whole.concealed - first.concealed <= 2
    assert whole.repeated + whole.dropped <= 8


def test_the_delay_falls_again_when_the_jitter_has_gone():
    buffer = JitterBuffer(PCMU)
    chance = random.Random(4)
    packets = sent(3000, voice, late=lambda n: chance.uniform(0, 0.09) if n < 1000 else 0.0)

    frames = play(buffer, packets, 3000)

    assert buffer.dropped >= 2
    assert delays(frames)[-1] <= 2 * FRAME


# -- drift ------------------------------------------------------------------------------------------


def delays(frames: list[bytes]) -> list[int]:
    """Samples from the sending to the playing of each tone's start."""
    sound = np.abs(pcm(frames).astype(int)) > 2000
    starts = np.flatnonzero(sound & ~np.concatenate(([False], sound[:-1])))
    starts = starts[np.diff(starts, prepend=-4000) > 4000]
    return [int(start) - 8000 - 16000 * number for number, start in enumerate(starts)]


@pytest.mark.parametrize("ppm", [100, -100])
def test_a_drifting_clock_is_corrected_in_pauses_only(ppm):
    minutes = 20
    count = minutes * 3000
    buffer = JitterBuffer(PCMU, 0.02)
    packets = sent(count, speech, period_s=FRAME_S * (1 + ppm / 1e6))

    frames = play(buffer, packets, count - 20)

    changes = buffer.dropped + buffer.repeated
    assert abs(changes - minutes * 60 * 1e-4 / FRAME_S) <= 2
    assert (buffer.dropped if ppm > 0 else buffer.repeated) == 0
    assert buffer.concealed == 0
    heard, position = b"".join(frames), 0
    for number in range(8, count - 110, 103):
        whole = b"".join(speech(number + further) for further in range(95))
        position = heard.index(whole, position)


@pytest.mark.parametrize("ppm", [100, -100])
def test_the_delay_of_a_drifting_clock_stays(ppm):
    count = 20 * 3000
    buffer = JitterBuffer(PCMU, 0.02)
    period_s = FRAME_S * (1 + ppm / 1e6)
    margins = []
    """Of each fiftieth packet, the time between its arrival and its turn."""
    number = 0
    for tick in range(count):
        now = tick * FRAME_S
        while number * period_s <= now:
            buffer.put(number * FRAME, voice(number), number * period_s)
            if tick > 10 and number % 50 == 0:
                margins.append(now + (number * FRAME - buffer._head) / RATE - number * period_s)
            number += 1
        buffer.take(now)

    assert min(margins) > 0.0
    assert max(margins) < 0.02 + 0.03 + FRAME_S


def test_drift_within_endless_speech_is_corrected_two_frames_off():
    count = 20 * 3000
    buffer = JitterBuffer(PCMU, 0.0)
    packets = sent(count, lambda n: TONE[n % 2], period_s=FRAME_S * (1 - 100e-6))

    frames = play(buffer, packets, count)

    assert buffer.dropped >= 3  # 6 frames of drift, less what is still allowed
    assert steps(pcm(frames[10:])) < steps(pcm(TONE * 4)) * 1.1


# -- losses -----------------------------------------------------------------------------------------


def test_a_lost_frame_is_concealed_and_shifts_nothing():
    buffer = JitterBuffer(PCMU, 0.02)
    packets = [packet for n, packet in enumerate(sent(200, lambda n: TONE[n % 2])) if n not in (100, 150)]

    frames = play(buffer, packets, 200)

    assert (buffer.concealed, buffer.dropped, buffer.repeated) == (2, 0, 0)
    sounds = pcm(frames[10:])
    assert steps(sounds) < steps(pcm(TONE * 4)) * 1.25
    assert abs(goertzel_dbfs(sounds, 450, RATE) + 12) < 0.2
    begin = next(number for number, frame in enumerate(frames) if frame in TONE)
    assert frames[190] == TONE[(190 - begin) % 2]


@pytest.mark.parametrize("start", range(6))
def test_what_follows_a_loss_joins_its_concealment_without_a_click(start):
    """Another tone follows: it has no phase in common with the one before."""
    packets = sent(60, lambda n: encode(PCMU, tone(450 if n < 30 else 317, -12, 1, n + start)))
    buffer = JitterBuffer(PCMU, 0.02)

    frames = play(buffer, packets[:30] + packets[31:], 60)

    assert buffer.concealed == 1
    assert steps(pcm(frames[10:])) < steps(pcm(TONE * 4)) * 1.15


def test_a_long_loss_fades_to_silence_and_comes_back():
    buffer = JitterBuffer(PCMA, 0.0)
    payload = [encode(PCMA, tone(450, -12, 1, number)) for number in range(2)]
    packets = [p for n, p in enumerate(sent(300, lambda n: payload[n % 2])) if not 100 <= n < 200]

    frames = play(buffer, packets, 300)

    levels = [rms_dbfs(pcm([frame], PCMA)) for frame in frames]
    assert min(levels[3:100]) > -13
    assert levels[106:195] == [levels[106]] * 89
    assert levels[106] < -65
    assert min(levels[205:]) > -13
    assert buffer.concealed == 3
    assert buffer.dropped == 0
    assert frames[298] == payload[(298 - 1) % 2] or frames[298] == payload[298 % 2]


def test_a_sender_that_pauses_its_packets_is_silent_and_not_late_after_it():
    buffer = JitterBuffer(PCMU, 0.02)
    packets = [p for n, p in enumerate(sent(1000, voice)) if n % 100 >= 48]

    frames = play(buffer, packets, 1000)

    assert set(delays(frames)) == {delays(frames)[0]}
    assert (buffer.dropped, buffer.repeated) == (0, 0)


def test_noise_is_concealed_without_a_click():
    chance = np.random.default_rng(5)
    noise = (chance.standard_normal(HISTORY) * 3000).astype(np.int16)

    concealed = Concealment(noise)
    samples = np.concatenate([noise, concealed.next(FRAME), concealed.next(FRAME)])

    assert steps(samples[HISTORY - 2 : HISTORY + 2]) < steps(noise)
    assert steps(samples) <= steps(noise) * 1.2
    assert not concealed.silent
    concealed.next(FRAME)
    assert concealed.silent
    assert not concealed.next(FRAME).any()


def test_a_stall_is_played_late_but_not_for_long():
    buffer = JitterBuffer(PCMU, 0.0)
    packets = sent(3000, voice, late=lambda n: (650 - n) * FRAME_S + n * 1e-6 if 600 <= n < 650 else 0.0)

    frames = play(buffer, packets, 3000)

    tones = delays(frames)
    assert tones[-1] <= tones[0] + FRAME
    assert max(tones) <= tones[0] + 6 * FRAME


# -- what may come ----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [80, 240, 320, 480])
def test_packets_of_other_lengths_are_the_same_sound(length):
    sound = encode(PCMU, tone(450, -12, 400))
    packets = [
        (start / RATE + length / RATE, start + 7, sound[start : start + length])
        for start in range(0, len(sound) - length, length)
    ]
    buffer = JitterBuffer(PCMU, 0.04)

    frames = play(buffer, packets, 390)

    begin = next(number for number, frame in enumerate(frames) if frame != SILENCE[PCMU])
    assert b"".join(frames[begin:380]) == sound[: (380 - begin) * FRAME]
    assert buffer.concealed == 0


def test_a_packet_that_comes_twice_or_too_late_changes_nothing():
    buffer = JitterBuffer(PCMU, 0.02)
    packets = sent(100, lambda n: TONE[n % 2])
    again = [(at + 0.001, timestamp, payload) for at, timestamp, payload in packets[::10]]
    late = [(at + 0.5, timestamp, payload) for at, timestamp, payload in packets[5:50:10]]

    frames = play(buffer, [*packets, *again, *late], 100)

    assert frames == play(JitterBuffer(PCMU, 0.02), packets, 100)
    assert buffer.dropped == len(late)


def test_packets_that_change_places_are_played_in_order():
    buffer = JitterBuffer(PCMU, 0.02)
    packets = sent(200, lambda n: TONE[n % 2], late=lambda n: 0.021 if n % 7 == 0 else 0.0)

    play(buffer, packets, 200)

    assert (buffer.concealed, buffer.dropped) == (0, 0)


def test_a_new_stream_begins_anew():
    buffer = JitterBuffer(PCMU)
    play(buffer, sent(100, lambda n: TONE[n % 2]), 100)

    frames = play(buffer, sent(100, lambda n: TONE[n % 2], first=1_000_000, at=2.0), 100, begin=2.0)

    assert frames.count(TONE[0]) + frames.count(TONE[1]) >= 96


def test_a_flood_is_bounded():
    buffer = JitterBuffer(PCMU)
    for number in range(10_000):
        buffer.put(number * FRAME % 16_000, TONE[0], 0.0)
        buffer.put(number * FRAME, b"", 0.0)
        buffer.put(number * FRAME, b"x" * 100_000, 0.0)

    assert len(buffer._frames) <= 51
    assert JitterBuffer(PCMA).take(0.0) == SILENCE[PCMA]


@settings(database=None, max_examples=examples(60), deadline=None)
@given(
    packets=st.lists(
        st.tuples(
            st.floats(0, 4),
            st.integers(0, 0xFFFFFFFF) | st.integers(0, 400).map(lambda n: n * 80),
            st.sampled_from([1, 80, 160, 160, 240, 500]).map(lambda n: b"\x80" * n),
        ),
        max_size=40,
    ),
    fixed_s=st.sampled_from([0.0, 0.06]),
)
def test_whatever_comes_there_is_a_frame_at_each_tick(packets: list[Packet], fixed_s: float) -> None:
    buffer = JitterBuffer(PCMU, fixed_s)

    frames = play(buffer, packets, 350)

    assert all(len(frame) == FRAME for frame in frames)
    assert len(buffer._frames) <= 51
    assert len(buffer._parts) <= 51
    assert set(frames[-10:]) == {SILENCE[PCMU]}


# -- how much jitter is waited for ------------------------------------------------------------------


@pytest.mark.parametrize("most_s", [0.0, 0.02, 0.04, 0.06])
def test_the_delay_starts_small_and_is_bounded(most_s: float) -> None:
    chance = random.Random(6)
    buffer = JitterBuffer(PCMU, most_s=most_s)
    packets = sent(6000, voice, late=lambda n: chance.uniform(0, 0.15) if 1000 <= n and n % 3 == 0 else 0.0)

    frames = play(buffer, packets, 6000)

    tones = delays(frames)
    assert tones[0] <= 0.025 * RATE + FRAME
    assert max(tones[12:]) <= (most_s + 0.03) * RATE + FRAME


@pytest.mark.parametrize(("jitter_s", "most_s"), [(0.015, 0.02), (0.035, 0.04), (0.055, 0.06)])
def test_jitter_that_is_waited_for_costs_nothing_once_it_is_known(jitter_s: float, most_s: float) -> None:
    chance = random.Random(7)
    buffer = JitterBuffer(PCMU, most_s=most_s)
    packets = sent(6000, voice, late=lambda n: chance.uniform(0, jitter_s))
    play(buffer, packets[:1000], 1000)
    lost = buffer.concealed

    play(buffer, packets[1000:], 5000, begin=20.0)

    assert lost <= 12
    assert buffer.concealed - lost <= 6


def test_a_sender_whose_clock_was_set_back_is_heard_again_without_a_buffer() -> None:
    buffer = JitterBuffer(PCMU, most_s=0.0)
    packets = sent(200, lambda n: TONE[n % 2])
    later = [(at + 0.5, timestamp, payload) for at, timestamp, payload in packets[100:]]

    frames = play(buffer, packets[:100] + later, 225)

    assert sum(frame in TONE for frame in frames[130:]) >= 85


def test_a_playout_that_has_stood_still_is_on_time_again_within_a_second() -> None:
    buffer = JitterBuffer(PCMU, most_s=0.06)
    play(buffer, sent(200, lambda n: TONE[n % 2]), 200)

    behind = []
    """How many frames the play-out is behind the newest packet."""
    for number in range(200, 400):
        buffer.put(number * FRAME, TONE[number % 2], number * FRAME_S)
        if number >= 220:  # no tick for 400 ms
            buffer.take(number * FRAME_S)
            behind.append(number - (buffer._head or 0) // FRAME)

    assert behind[0] >= 18
    assert max(behind[50:]) <= 3
    assert buffer.dropped in range(17, 22)
