"""Maps each verb to the machine that runs it."""

from collections.abc import Callable
from typing import Any

from b2bua.calls.dial_run import DialRun
from b2bua.calls.echo import EchoRun
from b2bua.calls.gather import GatherRun
from b2bua.calls.prompt_queue import PromptRun
from b2bua.calls.record_verb import RecordRun
from b2bua.calls.refer_verb import ReferRun
from b2bua.calls.steering import HangupRun, PauseRun, RedirectRun, RejectRun
from b2bua.calls.verb_run import VerbContext, VerbRun
from b2bua.twiml import verbs

__all__ = ["VERB_RUNS"]

VERB_RUNS: dict[type, Callable[[Any, VerbContext], VerbRun]] = {
    verbs.Dial: DialRun,
    verbs.Say: PromptRun,
    verbs.Play: PromptRun,
    verbs.Pause: PauseRun,
    verbs.Gather: GatherRun,
    verbs.Record: RecordRun,
    verbs.Redirect: RedirectRun,
    verbs.Refer: ReferRun,
    verbs.Hangup: HangupRun,
    verbs.Reject: RejectRun,
    verbs.Echo: EchoRun,
}
"""The machine for each verb. Verbs missing here are parsed, warned about and skipped."""
