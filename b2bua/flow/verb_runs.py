"""Which machine runs which verb that takes time."""

from collections.abc import Callable
from typing import Any

from b2bua.flow.echo import EchoRun
from b2bua.flow.gather import GatherRun
from b2bua.flow.prompt_queue import PromptRun
from b2bua.flow.record_verb import RecordRun
from b2bua.flow.refer_verb import ReferRun
from b2bua.flow.verb_run import VerbContext, VerbRun
from b2bua.twiml import verbs

__all__ = ["VERB_RUNS"]

VERB_RUNS: dict[type, Callable[[Any, VerbContext], VerbRun]] = {
    verbs.Say: PromptRun,
    verbs.Play: PromptRun,
    verbs.Gather: GatherRun,
    verbs.Echo: EchoRun,
    verbs.Record: RecordRun,
    verbs.Refer: ReferRun,
}
"""By the verb. Those that are missing are run by ``CallFlow`` itself, or not at all."""
