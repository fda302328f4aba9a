"""Reading of the relay's raw files, whole, cut and damaged."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.recording import RecordingError
from media.relay_file import HEADER, MAGIC, RECORD
from media.relay_packets import Packets, packets
from tests.effort import examples
from tests.unit.media.relay_files import Packet, header, piece, write_relay

pytestmark = pytest.mark.unit


def some(count: int, first: int = 0, size: int = 160) -> list[Packet]:
    return [
        Packet(number * 0.02, 9, number * 160, number, bytes([number % 256]) * size, side=number % 2)
        for number in range(first, first + count)
    ]


def read(path: Path, limit: int = 1 << 30) -> Packets:
    parts = list(packets(path, limit))
    assert parts
    return np.concatenate(parts)


def sequences(path: Path) -> list[int]:
    parts = list(packets(path, 1 << 30))
    return [int(number) for part in parts for number in part["sequence"]]


def test_each_packet_has_its_time_and_its_payload(tmp_path: Path) -> None:
    path = write_relay(tmp_path / "R.rtp", some(5))
    content = path.read_bytes()
    for number, packet in enumerate(read(path)):
        assert packet["at"] == pytest.approx(number * 0.02)
        assert (packet["side"], packet["sequence"], packet["timestamp"]) == (number % 2, number, number * 160)
        at, length = int(packet["payload_at"]), int(packet["length"])
        assert content[at : at + length] == bytes([number]) * 160


def test_an_empty_file_has_no_packets(tmp_path: Path) -> None:
    path = tmp_path / "R.rtp"
    path.touch()
    assert sequences(path) == []
    path.write_bytes(header())
    assert sequences(path) == []


@pytest.mark.parametrize("content", [b"RIFF" * 100, b"\0" * 5_000_000, some(1)[0].record(), b"b2bua"])
def test_a_file_without_a_beginning_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "R.rtp"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="not a raw file"):
        sequences(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        sequences(tmp_path / "R.rtp")


@pytest.mark.parametrize("missing", [1, 100, 160, 161, 175, 183])
def test_what_follows_a_cut_is_read(tmp_path: Path, missing: int) -> None:
    """The fifth record is cut: that its last bytes, its payload or nearly all of it are missing."""
    path = tmp_path / "R.rtp"
    cut = header() + piece(some(5))
    path.write_bytes(cut[:-missing] + header() + piece(some(5, 5)))
    assert sequences(path) == [0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_a_cut_at_the_end_loses_one_packet(tmp_path: Path) -> None:
    path = tmp_path / "R.rtp"
    path.write_bytes((header() + piece(some(5)))[:-3])
    assert sequences(path) == [0, 1, 2, 3]


def test_damage_loses_the_rest_of_its_piece_only(tmp_path: Path) -> None:
    path = tmp_path / "R.rtp"
    damaged = bytearray(header() + piece(some(5)))
    at = HEADER.size + 2 * (RECORD.size + 160)
    damaged[at : at + 4] = b"\0\0\0\0"
    path.write_bytes(damaged + header() + piece(some(5, 5)))
    assert sequences(path) == [0, 1, 5, 6, 7, 8, 9]


def test_magic_in_a_payload_is_sound(tmp_path: Path) -> None:
    sound = [Packet(number * 0.02, 9, number * 160, number, MAGIC * 20) for number in range(9)]
    path = write_relay(tmp_path / "R.rtp", sound)
    assert sequences(path) == list(range(9))
    path.write_bytes(path.read_bytes() + header() + piece(some(3, 9)))
    assert sequences(path) == list(range(12))


@pytest.mark.parametrize("at", [float("nan"), float("inf"), -10.0, 26 * 3600.0])
def test_an_impossible_time_is_passed_over(tmp_path: Path, at: float) -> None:
    strange = Packet(at, 9, 0, 77, b"\xff" * 160)
    path = tmp_path / "R.rtp"
    path.write_bytes(header() + piece(some(2)) + strange.record() + piece(some(2, 2)))
    assert sequences(path) == [0, 1, 2, 3]


@pytest.mark.parametrize("cut", [0, 1, 90, 170])
def test_blocks_and_cuts_meet_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    whole = header() + piece(some(30))
    path = tmp_path / "R.rtp"
    path.write_bytes((whole[:-cut] if cut else whole) + header() + piece(some(30, 30)))
    expected = sequences(path)
    assert len(expected) == 60 - (cut > 0)
    for size in range(300, 500):
        monkeypatch.setattr("media.relay_packets._BLOCK_BYTES", size)
        assert sequences(path) == expected, size


def test_packets_are_read_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media.relay_packets._BLOCK_BYTES", 2_000)
    path = write_relay(tmp_path / "R.rtp", some(100))
    sizes = [len(part) for part in packets(path, 20)]
    assert sum(sizes) == 100
    assert max(sizes) <= 31


pieces = st.lists(
    st.one_of(
        st.integers(0, 20).map(lambda count: piece(some(count, 40))),
        st.just(header()),
        st.binary(max_size=200),
        st.sampled_from([MAGIC, some(1)[0].record()[:30], some(1, size=9)[0].record()]),
    ),
    max_size=12,
)


@settings(
    max_examples=examples(120), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=pieces, block=st.sampled_from([64, 333, 1 << 22]), cut=st.integers(0, 5))
def test_any_bytes_are_read_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: Sequence[bytes], block: int, cut: int
) -> None:
    content = b"".join(parts)
    content = content[: len(content) - cut]
    path = tmp_path / "R.rtp"
    path.write_bytes(content)
    monkeypatch.setattr("media.relay_packets._BLOCK_BYTES", block)
    try:
        found = list(packets(path, 50))
    except RecordingError:
        return
    for packet in (each for part in found for each in part):
        at, length = int(packet["payload_at"]), int(packet["length"])
        assert 0 < length <= len(content) - at
        assert content[at - RECORD.size] == 0xB2
