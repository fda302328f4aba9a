"""Injects errors into the machines of a session: at the n-th call of a method, before or after it runs."""

import contextlib
import functools
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from unittest import mock

from b2bua.calls.call_documents import CallDocuments
from b2bua.calls.call_report import CallReport
from b2bua.calls.call_run import CallRun
from b2bua.calls.dial_recording import DialRecording
from b2bua.calls.dial_run import DialRun
from b2bua.calls.dial_targets import DialTargets
from b2bua.calls.frame import Frame
from b2bua.calls.frame_document import FrameDocument
from b2bua.calls.frame_stack import FrameStack
from b2bua.calls.gather import GatherRun
from b2bua.calls.prompt_queue import PromptRun
from b2bua.calls.record_verb import RecordRun
from b2bua.calls.recordings import CallRecordings
from b2bua.calls.running_verb import RunningVerb
from b2bua.calls.session import Session
from b2bua.calls.transfer_run import TransferRun
from b2bua.calls.transfers import Transfers
from b2bua.core.dial import Dial
from b2bua.core.dial_bridge import DialBridge
from b2bua.core.dial_course import DialCourse
from b2bua.core.dial_ringing import DialRinging
from b2bua.core.fork import Branch, Fork
from b2bua.core.leg import Leg
from b2bua.core.transfer import Transfer
from b2bua.node.call_log import CallLog
from b2bua.node.ledger import Ledger
from b2bua.web.metrics import Metrics
from tests.unit.node.scene import World

MACHINES = (
    Session,
    CallRun,
    Frame,
    FrameDocument,
    FrameStack,
    CallDocuments,
    CallReport,
    DialRun,
    DialTargets,
    Dial,
    DialCourse,
    DialRinging,
    DialBridge,
    Fork,
    Branch,
    Leg,
    Transfer,
    RunningVerb,
    TransferRun,
    Transfers,
    CallRecordings,
    DialRecording,
    PromptRun,
    GatherRun,
    RecordRun,
)


class Broken(Exception):
    """The injected error."""


@dataclass(frozen=True)
class Fault:
    """Where and when an error is raised."""

    method: str
    """The method, such as ``Dial.handle``."""
    nth: int
    """Index of the call, from 0."""
    when: Literal["before", "after"]
    """Relative to the method: with ``after`` the state has changed, and the return value is lost."""
    lasts: bool
    """The method raises from then on, every time."""


def methods() -> dict[str, tuple[type, Any]]:
    """All methods of all machines, by name."""
    found = {}
    for machine in MACHINES:
        for name, function in vars(machine).items():
            if inspect.isfunction(function) and not name.startswith("__"):
                found[f"{machine.__name__}.{name}"] = (machine, function)
    return found


def found(method: str) -> tuple[type, Any]:
    """The owner of a method, and the method; also of objects around a call."""
    owner, _, name = method.partition(".")
    around = {"World": World, "Metrics": Metrics, "CallLog": CallLog, "Ledger": Ledger}
    return (around[owner], getattr(around[owner], name)) if owner in around else methods()[method]


@contextlib.contextmanager
def traced(calls: list[str]) -> Iterator[None]:
    """Note the name of each method that is called."""
    with contextlib.ExitStack() as stack:
        for name, (machine, function) in methods().items():
            noting = _noting(function, name, calls)
            stack.enter_context(mock.patch.object(machine, function.__name__, noting))
        yield


def _noting(function: Any, name: str, calls: list[str]) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return function(*args, **kwargs)

    return wrapper


@contextlib.contextmanager
def injected(fault: Fault) -> Iterator[list[int]]:
    """Raise as ``fault`` says; yields the number of times it was raised."""
    machine, function = found(fault.method)
    calls, raised = [0], [0]

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        number, calls[0] = calls[0], calls[0] + 1
        due = number >= fault.nth if fault.lasts else number == fault.nth
        if due and fault.when == "before":
            raised[0] += 1
            raise Broken(fault)
        result = function(*args, **kwargs)
        if due:
            raised[0] += 1
            raise Broken(fault)
        return result

    with mock.patch.object(machine, function.__name__, wrapper):
        yield raised
