"""The meters, on synthetic signals."""

import numpy as np
import numpy.typing as npt
import pytest

from media.measure import FLOOR_DBFS, goertzel_dbfs, on_off_ms, rms_dbfs

pytestmark = pytest.mark.unit

RATE = 8000


def sine(hz: float, ms: int, amplitude: float = 1.0) -> npt.NDArray[np.float64]:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(ms * RATE // 1000) / RATE)


def silence(ms: int) -> npt.NDArray[np.float64]:
    return np.zeros(ms * RATE // 1000)


def test_a_full_scale_sine_is_0_dbfs_on_both_meters() -> None:
    assert goertzel_dbfs(sine(1000, 400), 1000, RATE) == pytest.approx(0, abs=0.01)
    assert rms_dbfs(sine(1000, 400)) == pytest.approx(0, abs=0.01)


def test_integers_and_floats_have_the_same_level() -> None:
    floating = sine(440, 400, 0.25)
    integer = np.rint(floating * 32767).astype(np.int16)
    assert goertzel_dbfs(integer, 440, RATE) == pytest.approx(goertzel_dbfs(floating, 440, RATE), abs=0.01)
    assert rms_dbfs(integer) == pytest.approx(-12.04, abs=0.01)


def test_a_neighbour_does_not_count() -> None:
    assert goertzel_dbfs(sine(440, 400), 480, RATE) < -60


def test_a_frequency_needs_no_whole_number_of_periods() -> None:
    assert goertzel_dbfs(sine(441.3, 333), 441.3, RATE) == pytest.approx(0, abs=0.01)


def test_two_frequencies_are_told_apart() -> None:
    both = sine(440, 400, 0.5) + sine(480, 400, 0.125)
    assert goertzel_dbfs(both, 440, RATE) == pytest.approx(-6.02, abs=0.05)
    assert goertzel_dbfs(both, 480, RATE) == pytest.approx(-18.06, abs=0.05)


def test_silence_is_the_floor() -> None:
    assert goertzel_dbfs(silence(100), 440, RATE) == FLOOR_DBFS
    assert rms_dbfs(silence(100)) == FLOOR_DBFS


@pytest.mark.parametrize("hz", [0, -1, 4000])
def test_a_frequency_the_samples_cannot_hold_is_refused(hz: float) -> None:
    with pytest.raises(ValueError, match="Hz"):
        goertzel_dbfs(sine(440, 100), hz, RATE)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros((80, 2))])
def test_only_one_channel_with_samples_can_be_measured(samples: npt.NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="one channel"):
        rms_dbfs(samples)
    with pytest.raises(ValueError, match="one channel"):
        on_off_ms(samples, RATE)


class TestOnOff:
    def test_leading_silence_does_not_count_and_trailing_does(self) -> None:
        samples = np.concatenate([silence(700), sine(425, 400), silence(200), sine(425, 300), silence(900)])
        assert on_off_ms(samples, RATE) == pytest.approx((400, 200, 300, 900), abs=2)

    def test_a_sound_up_to_the_end_is_the_last_length(self) -> None:
        samples = np.concatenate([sine(425, 400), silence(200), sine(425, 300)])
        assert on_off_ms(samples, RATE) == pytest.approx((400, 200, 300), abs=2)

    def test_modulation_is_no_pause(self) -> None:
        t = np.arange(RATE) / RATE
        samples = np.concatenate([sine(400, 1000, 0.5) * (1 + np.cos(2 * np.pi * 16 * t)), silence(500)])
        assert on_off_ms(samples, RATE) == pytest.approx((1000, 500), abs=5)

    def test_noise_under_the_tone_is_silence(self) -> None:
        noise = np.random.default_rng(1).uniform(-0.003, 0.003, 2 * RATE)
        noise[: RATE // 2] += sine(425, 500, 0.2)
        assert on_off_ms(noise, RATE) == pytest.approx((500, 1500), abs=2)

    def test_nothing_but_noise_has_no_cadence(self) -> None:
        assert on_off_ms(np.random.default_rng(1).uniform(-0.003, 0.003, RATE), RATE) == ()
        assert on_off_ms(silence(500), RATE) == ()
