"""Finds the data files that come with the program, in the wheel or in a checkout.

The wheel contains ``config/`` as ``b2bua/_config/``; an editable install runs from the checkout, which has
only ``config/``. This module does not deal with files of a user's own configuration.
"""

import csv
import functools
from pathlib import Path

from b2bua.core.errors import ConfigError

__all__ = ["config_file", "ringtone_codes"]

_PACKAGE = Path(__file__).resolve().parent
_PLACES = (_PACKAGE / "_config", _PACKAGE.parent / "config")


def config_file(name: str) -> Path:
    """Return the path of the data file ``name``, e.g. ``ringtones.csv``.

    Raises:
        ConfigError: the program was installed without the file.
    """
    for place in _PLACES:
        path = place / name
        if path.is_file():
            return path
    raise ConfigError(f"the data file {name} is missing from this installation: {_PLACES[0]}")


@functools.cache
def ringtone_codes() -> tuple[str, ...]:
    """Return the valid values of ``ringTone`` and ``dial.ringtone``: the table's codes, in its order.

    Raises:
        ConfigError: the program was installed without the table.
    """
    with config_file("ringtones.csv").open(encoding="utf-8", newline="") as file:
        return tuple(row["code"] for row in csv.DictReader(file))
