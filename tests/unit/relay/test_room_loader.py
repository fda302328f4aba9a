"""Sounds of rooms, read from files in a thread."""

import os
import time
import wave
from pathlib import Path

import pytest

from b2bua.relay.mixing import MixingDesk
from b2bua.relay.room_loader import FileSound, RoomLoader
from tests.unit.media.voices_in_rooms import tone

pytestmark = pytest.mark.unit


def write(path: Path, data: bytes, *, rate: int = 8000, channels: int = 1) -> str:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(data)
    return str(path)


def play(sound: FileSound) -> list[bytes]:
    """All frames, as a room takes them."""
    frames = []
    until = time.monotonic() + 10
    while time.monotonic() < until:
        frame = sound.next()
        if frame is not None:
            frames.append(frame)
        elif sound.over:
            return frames
        else:
            time.sleep(0.001)
    raise AssertionError("the sound does not end")


def test_a_sound_longer_than_what_is_read_at_once_is_whole(tmp_path: Path) -> None:
    data = tone(440, -20, 600).tobytes() + b"\1\2" * 7
    sound = RoomLoader().sound(write(tmp_path / "a.wav", data))
    frames = play(sound)
    assert b"".join(frames) == data
    assert len(frames) == 601
    assert sound.failure == ""


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (8000, 2)])
def test_another_format_is_refused(tmp_path: Path, rate: int, channels: int) -> None:
    sound = RoomLoader().sound(write(tmp_path / "a.wav", bytes(640), rate=rate, channels=channels))
    assert play(sound) == []
    assert "8000" in sound.failure


@pytest.mark.parametrize("content", [None, b"", b"RIFF", os.urandom(500)])
def test_what_is_no_sound_says_so_and_does_not_harm_the_next(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    loader = RoomLoader()
    sound = loader.sound(str(path))
    assert play(sound) == []
    assert sound.failure
    assert len(play(loader.sound(write(tmp_path / "b.wav", bytes(640))))) == 2


def test_a_closed_sound_is_over(tmp_path: Path) -> None:
    sound = RoomLoader().sound(write(tmp_path / "a.wav", bytes(320 * 600)))
    sound.close()
    assert len(play(sound)) <= 250


def test_the_desk_is_made_once() -> None:
    loader = RoomLoader()
    until = time.monotonic() + 10
    while (desk := loader.desk()) is None and time.monotonic() < until:
        time.sleep(0.001)
    assert isinstance(desk, MixingDesk)
    assert loader.desk() is desk
