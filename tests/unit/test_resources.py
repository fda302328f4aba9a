"""Data files of the program: found in a wheel and in a checkout."""

from pathlib import Path

import pytest

from b2bua import resources
from b2bua.core.errors import ConfigError
from b2bua.resources import config_file, ringtone_codes

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", ["ringtones.csv", "default.toml", "b2bua.example.toml", "hello.xml"])
def test_is_there(name: str) -> None:
    assert config_file(name).is_file()


def test_the_wheels_copy_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_PLACES", (tmp_path / "wheel", tmp_path / "checkout"))
    for place in ("checkout", "wheel"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "x").touch()
        assert config_file("x") == tmp_path / place / "x"


def test_what_is_missing_is_said() -> None:
    with pytest.raises(ConfigError, match=r"absent\.csv is missing from this installation"):
        config_file("absent.csv")


def test_ringtone_codes_are_those_of_the_table() -> None:
    assert len(ringtone_codes()) == 40
    assert ringtone_codes()[0] == "at"
