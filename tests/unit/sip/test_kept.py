"""``b2bua.sip.kept`` remembers results of short texts, and neither long texts nor errors."""

import pytest

from b2bua.core.errors import PeerError
from b2bua.sip.kept import LONGEST, kept

pytestmark = pytest.mark.unit


class _Reader:
    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, text: str) -> str:
        self.read.append(text)
        if text == "bad":
            raise PeerError("bad")
        return text.upper()


def _kept(reader: _Reader):  # type: ignore[no-untyped-def]
    def read(text: str) -> str:
        return reader(text)

    return kept(read)


def test_a_short_text_is_read_once() -> None:
    reader = _Reader()
    read = _kept(reader)
    assert [read("sip:a@b"), read("sip:a@b")] == ["SIP:A@B"] * 2
    assert reader.read == ["sip:a@b"]


def test_a_long_text_is_not_kept() -> None:
    reader = _Reader()
    read = _kept(reader)
    long = "x" * (LONGEST + 1)
    assert read(long) == read(long) == long.upper()
    assert reader.read == [long, long]


def test_an_error_is_raised_each_time() -> None:
    reader = _Reader()
    read = _kept(reader)
    for _ in range(2):
        with pytest.raises(PeerError):
            read("bad")
    assert reader.read == ["bad", "bad"]
