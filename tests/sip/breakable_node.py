"""A node whose sessions raise on demand: the test writes a file, the node reads it.

Runs in the node's process, before its first line (``start_warm``); the node itself knows nothing of it.
"""

import functools
import json
import os
from pathlib import Path
from typing import Any

from tests.unit.node.faults import Broken, methods

ONCE, ALWAYS = "once", "always"


class Breaker:
    """The test's side: sets what raises next."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def watch(self) -> str:
        """Command for ``run_node``."""
        return f"{__name__} {self._path}"

    def arm(self, method: str, when: str, how_often: str) -> None:
        """From now on ``method`` raises, ``before`` or ``after`` it has run."""
        partial = self._path.with_suffix(".part")
        partial.write_text(json.dumps([method, when, how_often]))
        partial.replace(self._path)

    def disarm(self) -> None:
        """Nothing raises any more."""
        self._path.unlink(missing_ok=True)

    @property
    def armed(self) -> bool:
        """Whether an error that is to be raised once is still pending."""
        return self._path.exists()


def install(path: str) -> None:
    """Make every method of every machine check the file."""
    for name, (machine, function) in methods().items():
        setattr(machine, function.__name__, _breakable(name, function, path))


def _breakable(name: str, function: Any, path: str) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        when = _due(name, path)
        if when == "before":
            raise Broken(name)
        result = function(*args, **kwargs)
        if when == "after":
            raise Broken(name)
        return result

    return wrapper


def _due(name: str, path: str) -> str:
    try:
        with open(path) as file:
            method, when, how_often = json.load(file)
    except FileNotFoundError:
        return ""
    if method != name:
        return ""
    if how_often == ONCE:
        os.unlink(path)
    return str(when)
