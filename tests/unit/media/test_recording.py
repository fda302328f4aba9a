"""Raw files whose header was never completed."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from media.recording import RecordingError, complete_header, has_sound
from tests.unit.media.raw_files import tone, write_raw

pytestmark = pytest.mark.unit


def test_sizes_of_zero_are_made_those_of_the_file(tmp_path: Path) -> None:
    sound = tone(440, 1.0)
    path = write_raw(tmp_path / "raw.wav", sound, closed=False)
    assert complete_header(path)
    read, rate = soundfile.read(path, dtype="int16")
    assert rate == 8000
    assert np.array_equal(read, sound)


def test_a_complete_header_stays_as_it_is(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "raw.wav", tone(440, 0.1))
    before = path.read_bytes()
    assert not complete_header(path)
    assert path.read_bytes() == before


def test_half_a_sample_at_the_end_does_not_count(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "raw.wav", tone(440, 0.1), closed=False)
    path.write_bytes(path.read_bytes() + b"\x01")
    complete_header(path)
    assert soundfile.info(path).frames == 800


def test_a_header_that_says_more_than_there_is_is_corrected(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "raw.wav", tone(440, 1.0))
    path.write_bytes(path.read_bytes()[: 44 + 1600])
    assert complete_header(path)
    assert soundfile.info(path).frames == 800


@pytest.mark.parametrize(
    "content", [b"RIFF", b"x" * 100, b"RIFF\0\0\0\0WAVEfmt " + b"\x10\0\0\0\x01\0\x02\0" + b"\0" * 40]
)
def test_what_the_recorder_does_not_write_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "raw.wav"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"raw\.wav: not a mono 16-bit WAV"):
        complete_header(path)


def test_a_file_that_cannot_be_opened_is_our_error(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        complete_header(tmp_path / "none.wav")


def test_sound_begins_with_the_first_sample(tmp_path: Path) -> None:
    assert not has_sound(tmp_path / "none.wav")
    assert not has_sound(write_raw(tmp_path / "empty.wav"))
    assert has_sound(write_raw(tmp_path / "one.wav", np.zeros(1, np.int16), closed=False))
