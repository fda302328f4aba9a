"""Rooms and queues that are made again from their logs go on as the first ones would have done."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.core.queue_inputs import CloseQueue
from b2bua.core.room_inputs import Entrant, MemberEntered
from b2bua.node.machine_log import (
    LoggedQueue,
    LoggedRoom,
    MachineHeader,
    MachineLog,
    read_machine_log,
    recall_queue,
    recall_room,
)
from b2bua.node.session_log import MAX_LOG
from tests.effort import examples
from tests.unit.core import test_queue_properties, test_room_properties
from tests.unit.node.scene import KeptLog

pytestmark = [pytest.mark.unit, pytest.mark.no_cover]

HEADER = MachineHeader(code="code", boot="boot", queue="QU1", max_size=3)


class Files:
    """The files of one log."""

    def __init__(self) -> None:
        self.all: list[KeptLog] = []

    def new(self) -> KeptLog:
        self.all.append(KeptLog())
        return self.all[-1]

    @property
    def data(self) -> bytes:
        """What a next run finds."""
        return b"".join(file.data for file in self.all if not file.is_closed)


def run(machine: LoggedQueue | LoggedRoom, steps: list[Any], at: float) -> tuple[list[Any], float]:
    """Give a machine its inputs, one after another; returns the outputs, and the time at the end."""
    outputs: list[Any] = []
    for step in steps:
        at += 0.3
        if isinstance(step, str):
            due = machine.next_deadline() if step == "due" else None
            at = max(at, due or 0.0)
            outputs.append(machine.tick(at))
        else:
            outputs.append(machine.handle(step, at))
    return outputs, at


@settings(database=None, max_examples=examples(60))
@given(steps=test_queue_properties.STEPS, cut=st.integers(0, 50))
def test_a_queue_goes_on(steps: list[Any], cut: int) -> None:
    steps = [step for step in steps if not isinstance(step, CloseQueue)]
    files = Files()
    first = LoggedQueue(3, MachineLog(HEADER, files.new))
    _, at = run(first, steps[:cut], 100.0)
    read = read_machine_log(files.data)
    if read is None:
        assert first.unused
        return
    second = LoggedQueue(read[0].max_size, MachineLog(HEADER, lambda: None))
    recall_queue(second, read[1])
    assert second.calls == first.calls
    assert run(second, steps[cut:], at) == run(first, steps[cut:], at)


@settings(database=None, max_examples=examples(60))
@given(entrant=test_room_properties.ENTRANTS, steps=test_room_properties.STEPS, cut=st.integers(0, 40))
def test_a_room_goes_on(entrant: Entrant, steps: list[Any], cut: int) -> None:
    files = Files()
    first = LoggedRoom(MachineLog(HEADER, files.new))
    begun, at = run(first, [MemberEntered(entrant=entrant), *steps[:cut]], 100.0)
    read = read_machine_log(files.data)
    assert read is not None
    second = LoggedRoom(MachineLog(HEADER, lambda: None))
    assert recall_room(second, read[1]) == [output for outputs in begun for output in outputs]
    assert second.state == first.state
    assert run(second, steps[cut:], at) == run(first, steps[cut:], at)


def test_a_log_has_a_limit() -> None:
    files = Files()
    log = MachineLog(HEADER, files.new)
    for _ in range(MAX_LOG // 10):
        log.note(None, 1.0)
    (file,) = files.all
    assert file.is_closed
    assert len(file.data) <= MAX_LOG


def test_a_record_that_is_not_whole_is_cut_off() -> None:
    files = Files()
    log = MachineLog(HEADER, files.new)
    log.note(None, 1.0)
    log.note(None, 2.0)
    read = read_machine_log(files.data[:-1])
    assert read is not None
    assert [step.at for step in read[1]] == [1.0]
