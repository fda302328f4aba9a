"""Mixing of rooms, by listening: who hears whom, how loud, and without clicks."""

from itertools import pairwise

import numpy as np
import pytest

from media.g711 import PCMA, PCMU, decode, encode
from media.limiter import Limiter
from media.measure import goertzel_dbfs, rms_dbfs
from media.mixing import FRAME, MAX_UNRANKED, RANKED_LOUDEST, Mixer, RoomSeats, Seat
from tests.unit.media.voices_in_rooms import RATE, SILENCE, Talk, room, says, steps, tone

pytestmark = pytest.mark.unit

GONE = -55.0
"""Below this a tone counts as absent: the noise of G.711 is near -58 dBFS."""


# -- codes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", [PCMU, PCMA])
def test_every_code_is_its_samples_code(law):
    codes = np.arange(256, dtype=np.uint8)

    again = np.frombuffer(encode(law, decode(law, codes)), np.uint8)

    same = decode(law, again) == decode(law, codes)
    assert same.all()
    assert np.flatnonzero(again != codes).tolist() == ([0x7F] if law == PCMU else [])


@pytest.mark.parametrize("law", [PCMU, PCMA])
def test_every_sample_gets_a_near_code(law):
    samples = np.arange(-32768, 32768).astype(np.int16)

    error = np.abs(
        decode(law, np.frombuffer(encode(law, samples), np.uint8)).astype(int) - samples.astype(int)
    )

    assert (error <= np.maximum(np.abs(samples.astype(int)) / 16, 16)).all()
    assert encode(law, np.zeros(FRAME, np.int16)) == SILENCE[law]


# -- who hears whom ---------------------------------------------------------------------------------


def test_each_hears_the_others_at_their_level_and_not_itself():
    talk = Talk(room("a", "b", "c"), a=says(440), b=says(660), c=says(1000))

    talk.run(50)

    for key, own in (("a", 440), ("b", 660), ("c", 1000)):
        for hz in (440, 660, 1000):
            level = talk.level(key, hz)
            assert level < GONE if hz == own else abs(level + 20) < 0.2, (key, hz, level)


def test_rooms_do_not_hear_each_other():
    talk = Talk(room("a", "b", key="r"), room("c", "d", key="s"), a=says(440), c=says(660))

    talk.run(50)

    assert (abs(talk.level("b", 440) + 20) < 0.2, talk.level("b", 660) < GONE) == (True, True)
    assert (abs(talk.level("d", 660) + 20) < 0.2, talk.level("d", 440) < GONE) == (True, True)


def test_laws_meet_in_one_room():
    talk = Talk(
        room(Seat(key="a", law=PCMA), "b", Seat(key="c", law=PCMA, talks=False), Seat(key="d", talks=False)),
        a=says(440),
        b=says(660),
    )

    talk.run(50)

    assert abs(talk.level("a", 660) + 20) < 0.2
    assert abs(talk.level("b", 440) + 20) < 0.2
    for key in "cd":
        assert abs(talk.level(key, 440) + 20) < 0.2
        assert abs(talk.level(key, 660) + 20) < 0.2


def test_two_alone_pass_each_other_on_to_the_bit():
    """The sum without itself is the other's own frame, if nothing else is in it."""
    talk = Talk(room("a", "b"), a=says(440), b=says(1234.5, -1.0))

    talk.run(10)

    for tick in range(1, 10):
        assert talk.payloads[tick]["a"] == encode(PCMU, talk.says["b"](tick))
        assert talk.payloads[tick]["b"] == encode(PCMU, talk.says["a"](tick))


def test_a_muted_one_hears_all_and_a_held_one_nothing():
    talk = Talk(
        room("a", Seat(key="muted", talks=False), Seat(key="held", talks=False, listens=False)),
        a=says(440),
        muted=says(660),
        held=says(1000),
    )

    talk.run(50)

    assert abs(talk.level("muted", 440) + 20) < 0.2
    assert "held" not in talk.heard
    assert rms_dbfs(talk.hears("a")) < GONE


def test_one_alone_and_an_empty_room_are_silent():
    talk = Talk(room("a"), room(key="empty", recorded=True), a=says(440))

    talk.run(3)

    assert talk.payloads[-1]["a"] == SILENCE[PCMU]
    assert not np.concatenate(talk.recorded["empty"]).any()
    assert Mixer().mix(np.zeros((0, FRAME), np.uint8)).payloads == []


def test_all_who_hear_the_same_share_one_payload():
    seats = [Seat(key=f"m{number}", talks=False) for number in range(240)]
    talk = Talk(room("a", "b", *seats, Seat(key="law", law=PCMA, talks=False)), a=says(440), b=says(660))
    talk.run(1)
    frames = np.frombuffer(b"".join(SILENCE[law] for law in talk.laws.values()), np.uint8)

    mixed = talk.mixer.mix(frames.reshape(-1, FRAME))

    assert len(mixed.payloads) == 4
    assert len(set(mixed.payload_of[2:242])) == 1


def test_a_coach_is_heard_by_its_own_only_and_not_recorded():
    talk = Talk(
        room("agent", "customer", Seat(key="coach", talks=False, coaches="agent"), recorded=True),
        agent=says(440),
        customer=says(660),
        coach=says(1000),
    )

    talk.run(50)

    assert abs(talk.level("agent", 1000) + 20) < 0.2
    assert talk.level("customer", 1000) < GONE
    assert abs(talk.level("coach", 440) + 20) < 0.2
    assert abs(talk.level("coach", 660) + 20) < 0.2
    recorded = np.concatenate(talk.recorded["r"][2:])
    assert goertzel_dbfs(recorded, 1000, RATE) < GONE
    assert abs(goertzel_dbfs(recorded, 440, RATE) + 20) < 0.2


def test_a_muted_one_is_coached_too_and_a_coach_of_nobody_is_heard_by_nobody():
    talk = Talk(
        room(
            "a",
            Seat(key="muted", talks=False),
            Seat(key="coach", talks=False, coaches="muted"),
            Seat(key="lost", talks=False, coaches="gone"),
        ),
        coach=says(1000),
        lost=says(700),
        a=says(440),
    )

    talk.run(50)

    assert abs(talk.level("muted", 1000) + 20) < 0.2
    assert abs(talk.level("muted", 440) + 20) < 0.2
    assert all(talk.level(key, 700) < GONE for key in ("a", "muted", "coach"))
    assert talk.level("a", 1000) < GONE


def test_sounds_of_a_room_are_heard_by_all_and_recorded():
    talk = Talk(room("a", Seat(key="b", talks=False), recorded=True), room("x", key="s"), a=says(440))

    talk.run(50, lambda tick: {"r": tone(880, -21, 1, tick), "unknown": tone(880, -21, 1, tick)})

    assert all(abs(talk.level(key, 880) + 21) < 0.2 for key in ("a", "b"))
    assert abs(goertzel_dbfs(np.concatenate(talk.recorded["r"]), 880, RATE) + 21) < 0.2
    assert rms_dbfs(talk.hears("x")) < GONE


# -- clicks -----------------------------------------------------------------------------------------


def _own_steps(hz: float, dbfs: float) -> float:
    """Largest step of a tone itself, and of its codes."""
    return steps(decode(PCMU, np.frombuffer(encode(PCMU, tone(hz, dbfs, 50)), np.uint8)))


@pytest.mark.parametrize("seats", [("b",), ("b", Seat(key="a", talks=False))])
def test_nothing_clicks_when_one_leaves_or_is_muted_in_the_middle_of_a_wave(seats):
    for start in range(5):  # 333 Hz: every tick ends elsewhere in the wave
        talk = Talk(room("a", "b"), a=says(333, -6))
        talk.run(10 + start)
        talk.arrange(room(*seats))
        talk.run(5)

        assert steps(talk.hears("b", 0)) < _own_steps(333, -6) * 1.3
        assert rms_dbfs(talk.hears("b", 12 + start)) < GONE


def test_nothing_clicks_when_one_joins_in_the_middle_of_a_wave():
    talk = Talk(room("b"), a=says(333, -6))
    talk.run(3)
    talk.arrange(room("b", "a"))
    talk.run(3)

    assert steps(talk.hears("b", 0)) < _own_steps(333, -6) * 1.3
    assert abs(talk.level("b", 333, 4) + 6) < 0.5


def test_those_who_remain_are_untouched_when_another_comes_or_goes():
    talk = Talk(room("a", "b"), a=says(440))
    talk.run(10)
    talk.arrange(room("b", "c", "a"))
    talk.run(10)
    talk.arrange(room("x", key="other"), room("a", "b"))
    talk.arrange(room("a", "b"), room("x", key="other"))
    talk.run(10)

    for tick in range(1, 30):
        assert talk.payloads[tick]["b"] == encode(PCMU, talk.says["a"](tick))


def test_two_changes_between_ticks_leave_the_fade_of_the_one_who_went_first():
    talk = Talk(room("a", "b"), a=says(333, -6))
    talk.run(11)
    talk.arrange(room("b"))
    talk.arrange(room("b", "c"))
    talk.run(1)

    assert steps(talk.hears("b", 0)) < _own_steps(333, -6) * 1.3


def test_a_coach_that_barges_in_is_faded_in():
    talk = Talk(room("a", "b", Seat(key="c", talks=False, coaches="a")), c=says(333, -6))
    talk.run(11)
    talk.arrange(room("a", "b", "c"))
    talk.run(3)

    assert steps(talk.hears("b", 0)) < _own_steps(333, -6) * 1.3


# -- levels -----------------------------------------------------------------------------------------


def test_a_sum_within_full_scale_is_exact():
    talk = Talk(room("a", "b", "c", recorded=True), a=says(440, -8), b=says(660, -8), c=says(1000, -14))

    talk.run(20)

    for tick in range(1, 20):
        exact = sum(
            decode(PCMU, np.frombuffer(encode(PCMU, talk.says[key](tick)), np.uint8)).astype(int)
            for key in "abc"
        )
        assert np.abs(exact).max() <= 32767
        assert (talk.recorded["r"][tick] == exact).all()


def test_a_sum_beyond_full_scale_is_turned_down_without_distortion():
    talk = Talk(
        room("listener", *"abcdef"), **{key: says(300 + 170 * n, -6) for n, key in enumerate("abcdef")}
    )

    talk.run(100)

    heard = talk.hears("listener", 50)
    tones = [goertzel_dbfs(heard, 300 + 170 * n, RATE) for n in range(6)]
    assert max(tones) - min(tones) < 0.5
    assert np.abs(heard.astype(int)).max() <= 32767
    power = sum(10 ** (level / 10) for level in tones)
    everything = 10 ** (rms_dbfs(heard) / 10)
    assert 10 * np.log10(everything / power - 1) < -25  # what is no tone of ours


def test_after_a_loud_moment_the_level_returns_smoothly():
    limiter = Limiter()
    limiter.arrange(["r", "quiet"])
    loud = np.full((2, FRAME), 60_000, np.int32)
    loud[1] = 1000
    room_of = np.array([0, 1])
    limiter.limit(loud, room_of)
    assert (loud[1] == 1000).all()
    levels = []
    for _ in range(40):
        rows = np.full((2, FRAME), 10_000, np.int32)
        limiter.limit(rows, room_of)
        levels += rows[0].tolist()

    assert levels[0] < 5600
    assert np.diff(levels).min() >= 0 and np.diff(levels).max() < 4
    assert levels[-1] == 10_000
    limiter.arrange(["quiet", "r"])
    rows = np.full((1, FRAME), 10_000, np.int32)
    limiter.limit(rows, np.array([1]))
    assert (rows == 10_000).all()


# -- many talkers -----------------------------------------------------------------------------------


def _noise(dbfs: float, seed: int):
    chance = np.random.default_rng(seed)
    samples = (chance.standard_normal(FRAME * 400) * 32767 * 10 ** (dbfs / 20) / np.sqrt(2)).astype(np.int16)
    return lambda tick: samples[(tick % 400) * FRAME : (tick % 400 + 1) * FRAME]


def test_eight_talkers_are_all_heard():
    keys = [f"m{number}" for number in range(MAX_UNRANKED)]
    hz = {key: 300 + 150 * number for number, key in enumerate(keys)}
    talk = Talk(
        room(*keys, Seat(key="l", talks=False)), **{key: says(hz[key], -30 - n) for n, key in enumerate(keys)}
    )

    talk.run(50)

    assert all(abs(talk.level("l", hz[key]) + 30 + n) < 0.5 for n, key in enumerate(keys))


def test_of_many_talkers_the_loudest_are_heard_and_the_noise_of_the_others_is_not():
    quiet = {f"n{number}": _noise(-45, number) for number in range(40)}
    loud = {f"t{number}": says(300 + 200 * number, -20) for number in range(RANKED_LOUDEST)}
    talk = Talk(room("listener", *quiet, *loud), **quiet, **loud)

    talk.run(150)

    for number in range(RANKED_LOUDEST):
        assert abs(talk.level("listener", 300 + 200 * number, 75) + 20) < 0.5
    heard = talk.hears("listener", 75)
    tones = sum(10 ** (goertzel_dbfs(heard, 300 + 200 * n, RATE) / 10) for n in range(RANKED_LOUDEST))
    noise = 10 * np.log10(max(10 ** (rms_dbfs(heard) / 10) - tones, 1e-12))
    assert noise < -38  # all 40 together would be -29


def test_a_quiet_talker_is_heard_where_the_others_are_quieter():
    quiet = {f"n{number}": _noise(-65, number) for number in range(20)}
    talk = Talk(room("listener", *quiet, "t"), **quiet, t=says(500, -50))

    talk.run(100)

    assert abs(talk.level("listener", 500, 10) + 50) < 1


def test_one_who_begins_to_talk_among_many_is_heard_at_once_and_kept_through_a_pause():
    others = {f"n{number}": _noise(-30, number) for number in range(12)}

    def bursts(tick: int):
        return tone(500, -10, 1, tick) if 50 <= tick < 60 or tick >= 130 else np.zeros(FRAME, np.int16)

    talk = Talk(room("listener", *others, "t"), **others, t=bursts)
    talk.run(140)

    heard = [goertzel_dbfs(samples, 500, RATE) for samples in talk.heard["listener"]]
    assert max(heard[40:50]) < -22
    assert heard[50] > -13  # the first frame, but for its fade
    assert min(heard[51:60]) > -11
    first = [goertzel_dbfs(talk.heard["listener"][tick][:48], 500, RATE) for tick in (50, 130)]
    assert first[0] < -14
    assert first[1] > -12  # without a fade: it was still mixed, though it was silent for 1.4 s


def test_talkers_of_a_large_room_are_never_more_than_the_most():
    loud = {f"t{number}": _noise(-20, number) for number in range(30)}
    talk = Talk(room("listener", *loud), **loud)

    talk.run(200)

    levels = [rms_dbfs(samples) for samples in talk.heard["listener"][10:]]
    assert max(levels) < -20 + 10 * np.log10(MAX_UNRANKED) + 1.5
    assert min(levels) > -20 + 10 * np.log10(RANKED_LOUDEST) - 2.5


def _babble(seed: int):
    """Noise whose level changes with every frame, as that of a voice does."""
    noise, levels = _noise(-20, seed), np.random.default_rng(seed).uniform(0.3, 1.0, 400)
    return lambda tick: (noise(tick) * levels[tick % 400]).astype(np.int16)


def test_talkers_of_equal_level_do_not_change_places_all_the_time():
    loud = {f"t{number}": _babble(number) for number in range(30)}
    talk = Talk(room("listener", *loud), **loud)

    talk.run(250)

    # Those who are mixed hear less than the listener: the sum without themselves.
    mixed = [{key for key in loud if heard[key] != heard["listener"]} for heard in talk.payloads[50:]]
    assert all(RANKED_LOUDEST <= len(keys) <= 2 * MAX_UNRANKED for keys in mixed)
    assert sum(before != after for before, after in pairwise(mixed)) < 40


def test_a_room_that_grows_keeps_its_levels_and_ranks_apart_from_others():
    small = {f"s{number}": says(400 + 100 * number, -30) for number in range(3)}
    large = {f"n{number}": _noise(-40, number) for number in range(10)}
    talk = Talk(room(*small, key="small"), room(*large, "t", key="large"), **small, **large, t=says(500, -20))
    talk.run(60)
    talk.arrange(room(*small, key="small"), room(*large, "t", "new", key="large"))
    talk.run(30)

    assert abs(talk.level("s0", 500, 10) + 30) < 0.5
    assert all(abs(talk.level(key, 500, 10) + 20) < 0.7 for key in large)
    assert abs(goertzel_dbfs(np.concatenate(talk.heard["new"][2:]), 500, RATE) + 20) < 0.7


def test_a_seat_that_is_not_recorded_is_heard_but_not_in_the_recording():
    seats = (Seat(key="a"), Seat(key="b", recorded=False), Seat(key="c", law=PCMA))
    talk = Talk(
        RoomSeats(key="r", seats=seats, recorded=True),
        a=lambda n: tone(500, -20, 1, n),
        b=lambda n: tone(700, -20, 1, n),
    )

    talk.run(40)

    recorded = np.concatenate(talk.recorded["r"][10:])
    assert abs(goertzel_dbfs(recorded, 500, RATE) + 20) < 0.3
    assert goertzel_dbfs(recorded, 700, RATE) < -55
    heard = np.concatenate(talk.heard["c"][10:])
    assert abs(goertzel_dbfs(heard, 700, RATE) + 20) < 0.3
