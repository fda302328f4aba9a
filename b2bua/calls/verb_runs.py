"""Maps each verb to the machine that runs it."""

from collections.abc import Callable
from typing import Any

from b2bua.calls.dial_queue import QueueDialRun
from b2bua.calls.dial_room import RoomDialRun
from b2bua.calls.dial_run import DialRun
from b2bua.calls.echo import EchoRun
from b2bua.calls.enqueue import EnqueueRun, LeaveRun
from b2bua.calls.gather import GatherRun
from b2bua.calls.prompt_queue import PromptRun
from b2bua.calls.record_verb import RecordRun
from b2bua.calls.refer_verb import ReferRun
from b2bua.calls.steering import HangupRun, PauseRun, RedirectRun, RejectRun
from b2bua.calls.verb_run import VerbContext, VerbRun
from b2bua.twiml import verbs

__all__ = ["VERB_RUNS"]


def _dial(verb: verbs.Dial, context: VerbContext) -> VerbRun:
    match verb.children:
        case (verbs.Queue() as noun,):
            return QueueDialRun(verb, noun, context)
        case (verbs.Conference() as noun,):
            return RoomDialRun(verb, noun, context)
        case _:
            return DialRun(verb, context)


VERB_RUNS: dict[type, Callable[[Any, VerbContext], VerbRun]] = {
    verbs.Dial: _dial,
    verbs.Say: PromptRun,
    verbs.Play: PromptRun,
    verbs.Pause: PauseRun,
    verbs.Gather: GatherRun,
    verbs.Record: RecordRun,
    verbs.Redirect: RedirectRun,
    verbs.Refer: ReferRun,
    verbs.Enqueue: EnqueueRun,
    verbs.Leave: LeaveRun,
    verbs.Hangup: HangupRun,
    verbs.Reject: RejectRun,
    verbs.Echo: EchoRun,
}
"""The machine for each verb. Verbs missing here are parsed, warned about and skipped."""
