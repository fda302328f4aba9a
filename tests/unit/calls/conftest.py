"""Sessions of these tests are made again from their input logs, and must do the same again."""

import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from b2bua.calls.context import SessionContext
from b2bua.calls.input_log import Due, Faulted, LoggedStep, LogInput, Lookups, check_of, encode_step, read_log
from b2bua.calls.orders import Output
from b2bua.calls.session import Session
from tests.unit.calls.logged import HEADER
from tests.unit.calls.scene import CountedIds

MOST = 20
"""Sessions of one test that are made again: enough of a property test's."""


class Recorder:
    """The inputs and outputs of one session."""

    def __init__(self, context: SessionContext, opening: Any, now: float) -> None:
        self.context, self.opening, self.now = context, opening, now
        self.ids = copy.deepcopy(context.ids)
        self.lookups = Lookups(
            context.trunk_is_down, context.owns_number, context.knows_dialog, context.contacts
        )
        self.steps: list[LoggedStep] = []
        self.outputs: list[list[Output]] = []
        self.is_broken = False
        """A step has raised, or did something that no log can tell of."""

    def context_with(self, lookups: Lookups, **changes: Any) -> SessionContext:
        """The context with these lookups."""
        return dataclasses.replace(
            self.context,
            trunk_is_down=lookups.trunk_is_down,
            knows_dialog=lookups.knows_dialog,
            contacts=lookups.contacts,
            **changes,
        )

    def note(self, given: LogInput | None, now: float, outputs: list[Output]) -> None:
        self.steps.append(LoggedStep(now, given, looked=self.lookups.take(), check=check_of(outputs)))
        self.outputs.append(list(outputs))

    def again(self) -> None:
        """Make the session again from the bytes of its log, and compare."""
        first, *steps = self.steps
        read = read_log(HEADER + b"".join(map(encode_step, steps)))
        assert read is not None
        lookups = Lookups(lambda name: False, lambda number: False, lambda call_id: False, lambda user: ())
        lookups.recall(first.looked)
        context = self.context_with(lookups, ids=self.ids)
        session = Session(context, self.opening, self.now)
        assert session.start(first.at) == self.outputs[0]
        for step, logged, outputs in zip(steps, read[1], self.outputs[1:], strict=True):
            lookups.recall(step.looked)
            match logged.given:
                case Due():
                    found = session.tick(logged.at)
                case Faulted():
                    found = session.fail(logged.at)
                case given:
                    found = session.handle(given, logged.at)  # type: ignore[arg-type]
            assert found == outputs
            assert check_of(found) == logged.check


@pytest.fixture(autouse=True)
def made_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Record the sessions of a test; afterwards, make them again."""
    recorders: list[Recorder] = []
    init, start, handle, tick, fail = (
        Session.__init__,
        Session.start,
        Session.handle,
        Session.tick,
        Session.fail,
    )

    def new(self: Any, context: SessionContext, opening: Any, now: float) -> None:
        self.recorder = None
        if len(recorders) < MOST and isinstance(context.ids, CountedIds):
            self.recorder = Recorder(context, opening, now)
            recorders.append(self.recorder)
            context = self.recorder.context_with(self.recorder.lookups)
        init(self, context, opening, now)

    def noting(act: Any, given: Any) -> Any:
        def noted(self: Any, *arguments: Any) -> Any:
            recorder = self.recorder
            try:
                outputs = act(self, *arguments)
            except Exception:
                if recorder is not None:
                    recorder.is_broken = True
                raise
            if recorder is not None:
                recorder.note(given(arguments), arguments[-1], outputs)
            return outputs

        return noted

    monkeypatch.setattr(Session, "__init__", new)
    monkeypatch.setattr(Session, "start", noting(start, lambda arguments: None))
    monkeypatch.setattr(Session, "handle", noting(handle, lambda arguments: arguments[0]))
    monkeypatch.setattr(Session, "tick", noting(tick, lambda arguments: Due()))
    monkeypatch.setattr(Session, "fail", noting(fail, lambda arguments: Faulted()))
    yield
    monkeypatch.undo()
    for recorder in recorders:
        if recorder.steps and not recorder.is_broken:
            recorder.again()
