"""Unexpected events of machines: counted each time, logged once."""

import logging

import pytest

from b2bua.core.events import LegConfirmed
from b2bua.core.ids import LegId
from b2bua.core.leg import Leg, Role
from b2bua.node.unexpected_log import UnexpectedLog
from b2bua.web.metrics import Metrics

pytestmark = pytest.mark.unit


def confuse(leg: Leg) -> None:
    assert not leg.handle(LegConfirmed(leg=leg.id, at=1.0), 1.0)  # nothing was answered


def test_each_is_counted_and_the_first_of_a_kind_logged(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    watching = UnexpectedLog(metrics)
    try:
        for name in ("a", "b"):
            confuse(Leg(LegId(name), Role.UAS, 0.0))
    finally:
        watching.close()
    confuse(Leg(LegId("c"), Role.UAS, 0.0))
    assert b'b2bua_unexpected_events_total{machine="leg"} 2.0' in metrics.text()
    (record,) = [each for each in caplog.records if each.message == "unexpected event"]
    assert record.levelno == logging.WARNING
    assert (record.machine, record.event_in_state) == ("leg", "incoming LegConfirmed")  # type: ignore[attr-defined]


def test_it_can_be_closed_twice() -> None:
    watching = UnexpectedLog(Metrics())
    watching.close()
    watching.close()
