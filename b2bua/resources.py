"""Where the data files are that come with the program: in the wheel, or in a checkout.

The wheel carries ``config/`` as ``b2bua/_config/``; an editable install runs from the checkout and has only
the latter. Files of a user's own configuration are none of this module's business.
"""

import csv
import functools
from pathlib import Path

from b2bua.core.errors import ConfigError

__all__ = ["config_file", "ringtone_codes"]

_PACKAGE = Path(__file__).resolve().parent
_PLACES = (_PACKAGE / "_config", _PACKAGE.parent / "config")


def config_file(name: str) -> Path:
    """Path of the data file ``name``, e.g. ``ringtones.csv``.

    Raises:
        ConfigError: the program was installed without it.
    """
    for place in _PLACES:
        path = place / name
        if path.is_file():
            return path
    raise ConfigError(f"the data file {name} is missing from this installation: {_PLACES[0]}")


@functools.cache
def ringtone_codes() -> tuple[str, ...]:
    """What ``ringTone`` and ``dial.ringtone`` may say: the codes of the table, in its order.

    Raises:
        ConfigError: the program was installed without the table.
    """
    with config_file("ringtones.csv").open(encoding="utf-8", newline="") as file:
        return tuple(row["code"] for row in csv.DictReader(file))
