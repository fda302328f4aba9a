"""Which machine runs which verb that takes time."""

from collections.abc import Callable
from typing import Any

from b2bua.flow.verb_run import VerbContext, VerbRun

__all__ = ["VERB_RUNS"]

VERB_RUNS: dict[type, Callable[[Any, VerbContext], VerbRun]] = {}
"""By the verb. Those that are missing are run by ``CallFlow`` itself, or not at all."""
