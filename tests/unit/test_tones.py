"""Every ringback of the table, as it would be heard: frequencies, cadence, level, seam."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from b2bua.resources import config_file
from media.measure import goertzel_dbfs, on_off_ms, rms_dbfs
from media.plans import TonePlan, TonePlanError, load_tone_plans
from media.tones import ringback_loop, write_loop

pytestmark = pytest.mark.unit

CODES = (
    "at au bg br be ch cl cn cz de dk ee es fi fr gr hu il in it lt jp mx my nl no nz ph pl pt ru se sg th "
    "uk us us-old tw ve za"
).split()
PLANS = load_tone_plans(config_file("ringtones.csv"))
LEVEL_DBFS = -16.14
"""-13 dBm0, where full scale is +3.14 dBm0."""

Audio = npt.NDArray[np.int16]

each_loop = pytest.mark.parametrize(
    ("code", "rate"), [(code, rate) for code in CODES for rate in (8000, 16000)]
)


def sounds(plan: TonePlan, loop: Audio, rate: int) -> list[Audio]:
    """The parts of the loop that sound, less 10 ms at each end."""
    parts = []
    start = 0
    for on_ms, off_ms in zip(plan.cadence_ms[::2], plan.cadence_ms[1::2], strict=True):
        parts.append(loop[start + rate // 100 : start + on_ms * rate // 1000 - rate // 100])
        start += (on_ms + off_ms) * rate // 1000
    return parts


def partials(plan: TonePlan) -> dict[float, float]:
    """Level by frequency, as a meter must find it."""
    each = LEVEL_DBFS - 10 * np.log10(len(plan.frequencies_hz))
    if plan.modulation_hz is None:
        return {hz: each for hz in plan.frequencies_hz}
    carrier = each - 10 * np.log10(1.5)  # power of 1 + cos: 1 + 1/4 + 1/4
    found: dict[float, float] = {}
    for hz in plan.frequencies_hz:
        found[hz] = carrier
        found[hz - plan.modulation_hz] = found[hz + plan.modulation_hz] = carrier - 6.02
    return found


def test_the_table_has_the_forty_codes_of_ring_tone() -> None:
    assert list(PLANS) == CODES
    assert len(PLANS) == 40


@pytest.mark.parametrize(
    ("code", "frequencies_hz", "modulation_hz", "cadence_ms"),
    [
        ("us", (440, 480), None, (2000, 4000)),
        ("uk", (400, 450), None, (400, 200, 400, 2000)),
        ("de", (425,), None, (1000, 4000)),
        ("hu", (425,), None, (1250, 3750)),
        ("in", (400,), 25, (400, 200, 400, 2000)),
        ("jp", (400,), 16, (1000, 2000)),
        ("sg", (425,), 24, (400, 200, 400, 2000)),
        ("us-old", (420,), 40, (2000, 4000)),
        ("za", (400,), 33, (400, 200, 400, 2000)),
    ],
)
def test_plans_read_from_the_table(
    code: str, frequencies_hz: tuple[int, ...], modulation_hz: int | None, cadence_ms: tuple[int, ...]
) -> None:
    plan = PLANS[code]
    assert (plan.frequencies_hz, plan.modulation_hz, plan.cadence_ms) == (
        frequencies_hz,
        modulation_hz,
        cadence_ms,
    )


@each_loop
def test_each_frequency_sounds_at_its_level(code: str, rate: int) -> None:
    plan = PLANS[code]
    for sound in sounds(plan, ringback_loop(plan, rate), rate):
        for hz, level_dbfs in partials(plan).items():
            assert goertzel_dbfs(sound, hz, rate) == pytest.approx(level_dbfs, abs=0.1), hz


@each_loop
def test_nothing_else_sounds(code: str, rate: int) -> None:
    plan = PLANS[code]
    for sound in sounds(plan, ringback_loop(plan, rate), rate):
        spectrum = np.abs(np.fft.rfft(sound * np.blackman(sound.size))) ** 2
        hz = np.fft.rfftfreq(sound.size, 1 / rate)
        wanted = np.any([np.abs(hz - partial) < 15 for partial in partials(plan)], axis=0)
        assert 10 * np.log10(spectrum[~wanted].sum() / spectrum.sum()) < -55


@each_loop
def test_cadence_is_that_of_the_table(code: str, rate: int) -> None:
    plan = PLANS[code]
    loop = ringback_loop(plan, rate)
    assert loop.dtype == np.int16
    assert loop.size == sum(plan.cadence_ms) * rate // 1000
    assert on_off_ms(loop, rate) == pytest.approx(plan.cadence_ms, abs=10)


@each_loop
def test_level_of_all_together_is_13_below_dbm0(code: str, rate: int) -> None:
    plan = PLANS[code]
    for sound in sounds(plan, ringback_loop(plan, rate), rate):
        assert rms_dbfs(sound) == pytest.approx(LEVEL_DBFS, abs=0.25)


@each_loop
def test_silence_between_sounds_is_digital(code: str, rate: int) -> None:
    plan = PLANS[code]
    loop = ringback_loop(plan, rate)
    start = 0
    for on_ms, off_ms in zip(plan.cadence_ms[::2], plan.cadence_ms[1::2], strict=True):
        end = start + (on_ms + off_ms) * rate // 1000
        assert not loop[start + (on_ms + 5) * rate // 1000 : end].any()
        start = end


@each_loop
def test_no_sample_clips(code: str, rate: int) -> None:
    loop = ringback_loop(PLANS[code], rate)
    assert np.abs(loop.astype(int)).max() < 32767 // 3


@each_loop
def test_no_click_at_the_seam_or_at_the_edges(code: str, rate: int) -> None:
    loop = ringback_loop(PLANS[code], rate)
    twice = np.tile(loop, 2).astype(float)
    seam = slice(loop.size - rate // 50, loop.size + rate // 50)
    assert abs(float(loop[0]) - float(loop[-1])) <= 2
    assert np.abs(np.diff(twice[seam])).max() <= np.abs(np.diff(loop.astype(float))).max()
    # A hard edge of this loudness spreads over the whole band: some -35 to -50 dB above 1 kHz.
    spectrum = np.abs(np.fft.rfft(twice)) ** 2
    hz = np.fft.rfftfreq(twice.size, 1 / rate)
    assert 10 * np.log10(spectrum[hz > 1000].sum() / spectrum.sum()) < -58


class TestUnbrokenTone:
    PLAN = TonePlan("zz", (425, 470), 15, ())

    def test_loop_holds_whole_periods(self) -> None:
        loop = ringback_loop(self.PLAN, 8000)
        twice = np.tile(loop, 2)
        # Were the seam not at the same phase, the block across it would have other partials.
        across = twice[loop.size - 4000 : loop.size + 4000]
        for hz, level_dbfs in partials(self.PLAN).items():
            assert goertzel_dbfs(across, hz, 8000) == pytest.approx(level_dbfs, abs=0.05)

    def test_has_no_pause(self) -> None:
        assert on_off_ms(np.tile(ringback_loop(self.PLAN, 8000), 3), 8000) == pytest.approx((3000,), abs=10)


def test_another_clock_rate_is_refused() -> None:
    with pytest.raises(TonePlanError, match="44100"):
        ringback_loop(PLANS["us"], 44100)


class TestWriteLoop:
    def test_the_file_is_pcm16_and_holds_the_loop(self, tmp_path: Path) -> None:
        path = tmp_path / "uk.wav"
        write_loop(PLANS["uk"], 16000, path, rewind_ms=0)
        with soundfile.SoundFile(path) as file:
            assert (file.format, file.subtype, file.channels, file.samplerate) == ("WAV", "PCM_16", 1, 16000)
            assert np.array_equal(file.read(dtype="int16"), ringback_loop(PLANS["uk"], 16000))

    @pytest.mark.parametrize("code", CODES)
    def test_round_and_rewind_together_have_the_cadence(self, code: str, tmp_path: Path) -> None:
        write_loop(PLANS[code], 8000, tmp_path / "loop.wav")
        played, _ = soundfile.read(tmp_path / "loop.wav", dtype="int16")
        whole = ringback_loop(PLANS[code], 8000)
        assert np.array_equal(np.concatenate([played, np.zeros(160, np.int16)]), whole)

    def test_no_sound_is_left_out_for_a_long_rewind(self, tmp_path: Path) -> None:
        plan = TonePlan("zz", (425,), None, (100, 50))
        write_loop(plan, 8000, tmp_path / "loop.wav", rewind_ms=200)
        played, _ = soundfile.read(tmp_path / "loop.wav", dtype="int16")
        assert np.array_equal(played, ringback_loop(plan, 8000)[: 105 * 8])

    def test_an_unbroken_tone_is_written_whole(self, tmp_path: Path) -> None:
        write_loop(TestUnbrokenTone.PLAN, 8000, tmp_path / "loop.wav")
        assert soundfile.info(tmp_path / "loop.wav").frames == 8000

    def test_replaces_a_file_and_leaves_nothing_else(self, tmp_path: Path) -> None:
        path = tmp_path / "us.wav"
        path.write_text("old")
        write_loop(PLANS["us"], 8000, path)
        assert [entry.name for entry in tmp_path.iterdir()] == ["us.wav"]
        assert path.read_bytes().startswith(b"RIFF")

    def test_a_failure_leaves_the_old_file_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "us.wav"
        path.mkdir()
        (path / "kept").touch()
        with pytest.raises(OSError):
            write_loop(PLANS["us"], 8000, path)
        assert [entry.name for entry in tmp_path.iterdir()] == ["us.wav"]
        assert (path / "kept").exists()
