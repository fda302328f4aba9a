"""The counters, and their text format."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from b2bua.web.metrics import Metrics

pytestmark = pytest.mark.unit


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """A sample as Prometheus would read it, or None."""
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return None


def test_calls_by_outcome_and_their_set_up() -> None:
    metrics = Metrics()
    metrics.call_started("inbound")
    metrics.call_ended("completed", setup_ms=15.0)
    metrics.call_ended("busy")
    assert value(metrics, "b2bua_calls_started_total", direction="inbound") == 1
    assert value(metrics, "b2bua_calls_ended_total", outcome="completed") == 1
    assert value(metrics, "b2bua_calls_ended_total", outcome="busy") == 1
    assert value(metrics, "b2bua_call_setup_seconds_count") == 1
    assert value(metrics, "b2bua_call_setup_seconds_bucket", le="0.01") == 0
    assert value(metrics, "b2bua_call_setup_seconds_bucket", le="0.02") == 1


def test_webhooks_and_their_failures() -> None:
    metrics = Metrics()
    metrics.webhook(0.03)
    metrics.webhook(15.0, number=11205)
    assert value(metrics, "b2bua_webhook_seconds_count") == 2
    assert value(metrics, "b2bua_webhook_failures_total", number="11205") == 1


def test_what_else_is_counted() -> None:
    metrics = Metrics()
    metrics.dial_ended("no-answer")
    metrics.call_refused("rate", 3)
    metrics.finding(13212)
    metrics.leg_ended(loss=0.02, jitter_ms=4.0)
    assert value(metrics, "b2bua_dials_ended_total", outcome="no-answer") == 1
    assert value(metrics, "b2bua_calls_refused_total", reason="rate") == 3
    assert value(metrics, "b2bua_findings_total", number="13212") == 1
    metrics.session_failed()
    assert value(metrics, "b2bua_session_faults_total") == 1
    assert value(metrics, "b2bua_rtp_loss_ratio_sum") == 0.02
    assert value(metrics, "b2bua_rtp_jitter_seconds_sum") == 0.004


def test_gauges_are_asked_when_somebody_looks() -> None:
    metrics = Metrics()
    workers = {"idle": 4, "busy": 0}
    waiting = [0]
    metrics.workers(lambda: workers)
    metrics.calls(lambda: {"in-progress": 2})
    metrics.recordings(lambda: 1)
    metrics.outbox(lambda: waiting[0])
    metrics.capacity(lambda: 100)
    workers.update(idle=3, busy=1)
    waiting[0] = 7
    assert value(metrics, "b2bua_workers", state="busy") == 1
    assert value(metrics, "b2bua_workers", state="idle") == 3
    assert value(metrics, "b2bua_calls", status="in-progress") == 2
    assert value(metrics, "b2bua_recordings") == 1
    assert value(metrics, "b2bua_outbox") == 7
    assert value(metrics, "b2bua_capacity") == 100


def test_two_nodes_in_a_process_do_not_meet() -> None:
    first, second = Metrics(), Metrics()
    first.call_started("inbound")
    assert value(second, "b2bua_calls_started_total", direction="inbound") is None
