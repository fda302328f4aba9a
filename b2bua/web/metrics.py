"""The metrics of a node, for Prometheus.

The node reports events by method calls; gauges call a function of the node for their value when they are
scraped. Labels hold only our own words and error numbers, never data sent by a caller or an application, so
that the number of label values is bounded.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from fastapi import FastAPI, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["Metrics", "TrunkFacts", "install_metrics"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_SETUP_S: Final = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_WEBHOOK_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)
_JITTER_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
_LOSS: Final = (0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


class TrunkFacts(Protocol):
    """The state of a trunk."""

    @property
    def trunk(self) -> str:
        """The trunk's name in the configuration."""

    @property
    def registration(self) -> str:
        """``off``, ``trying``, ``registered`` or ``failed``."""

    @property
    def reachable(self) -> bool | None:
        """Whether the trunk answers OPTIONS; None: not checked."""


class Metrics:
    """The metrics of one node, in their own registry. Thread: loop."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._started = self._counter("calls_started", "Calls that began.", "direction")
        self._ended = self._counter("calls_ended", "Calls that ended, by CallStatus.", "outcome")
        self._dials = self._counter("dials_ended", "Dials that ended, by DialCallStatus.", "outcome")
        self._findings = self._counter("findings", "Warnings and errors of calls, by number.", "number")
        self._session_faults = self._counter("session_faults", "Calls ended by an internal error.")
        self._workers_short = self._counter(
            "workers_short", "Targets of Dials that did not ring because there were too few workers."
        )
        self._unexpected = self._counter(
            "unexpected_events", "Events not expected in the state of a state machine.", "machine"
        )
        self._journal_faults = self._counter(
            "journal_faults", "Call facts that a journal subscriber failed to process.", "subscriber"
        )
        self._refused = self._counter("calls_refused", "Calls refused at the edge.", "reason")
        self._webhook_failures = self._counter("webhook_failures", "Failed webhooks, by number.", "number")
        self._callbacks = self._counter("status_callbacks", "Status callbacks, by result.", "outcome")
        self._setup = self._histogram(
            "call_setup_seconds",
            "From INVITE received to INVITE sent, without waiting for webhooks.",
            _SETUP_S,
        )
        self._webhooks = self._histogram("webhook_seconds", "Duration of webhooks, with retries.", _WEBHOOK_S)
        self._loss = self._histogram("rtp_loss_ratio", "Packets lost on the way to the node, per leg.", _LOSS)
        self._foreign = self._counter(
            "rtp_foreign_packets", "Packets from elsewhere than the party, before its own first one."
        )
        self._jitter = self._histogram(
            "rtp_jitter_seconds", "Mean jitter of received audio, per leg.", _JITTER_S
        )

    # -- events -------------------------------------------------------------------------------------

    def call_started(self, direction: str) -> None:
        """Count a new call, by direction: ``inbound``, ``outbound-api`` or ``outbound-dial``."""
        self._started.labels(direction).inc()

    def call_ended(self, outcome: str, setup_ms: float | None = None) -> None:
        """Count a call that has ended.

        Args:
            outcome: the final CallStatus.
            setup_ms: milliseconds of set-up spent in our own work; None if the call sent no INVITE.
        """
        self._ended.labels(outcome).inc()
        if setup_ms is not None:
            self._setup.observe(setup_ms / 1000)

    def dial_ended(self, outcome: str) -> None:
        """Count a Dial that has ended, by DialCallStatus."""
        self._dials.labels(outcome).inc()

    def call_refused(self, reason: str, count: int = 1) -> None:
        """Count calls refused before they had a session."""
        self._refused.labels(reason).inc(count)

    def webhook(self, latency_s: float, number: int | None = None) -> None:
        """Count a webhook that was answered, or that failed with error ``number``."""
        self._webhooks.observe(latency_s)
        if number is not None:
            self._webhook_failures.labels(str(number)).inc()

    def called_back(self, number: int | None) -> None:
        """Count a status callback that was delivered, or given up with error ``number``."""
        self._callbacks.labels("delivered" if number is None else "given-up").inc()
        if number is not None:
            self._webhook_failures.labels(str(number)).inc()

    def finding(self, number: int) -> None:
        """Count a warning or an error of a call."""
        self._findings.labels(str(number)).inc()

    def session_failed(self) -> None:
        """Count an internal error that ended a call, or occurred at its end."""
        self._session_faults.inc()

    def workers_short(self, targets: int) -> None:
        """Count targets that did not ring for want of workers."""
        self._workers_short.inc(targets)

    def unexpected(self, machine: str) -> None:
        """Count an event that a state machine did not expect in its state."""
        self._unexpected.labels(machine).inc()

    def subscriber_failed(self, name: str) -> None:
        """Count a fact that a subscriber of the journal lost by an internal error."""
        self._journal_faults.labels(name).inc()

    def foreign_packets(self, count: int) -> None:
        """Count packets that came from elsewhere than a party's address, and were dropped."""
        self._foreign.inc(count)

    def leg_ended(self, loss: float, jitter_ms: float) -> None:
        """Observe the media quality of a leg that has ended.

        Args:
            loss: fraction of the packets sent to us that were lost, 0 to 1.
            jitter_ms: mean jitter of the received packets.
        """
        self._loss.observe(loss)
        self._jitter.observe(jitter_ms / 1000)

    # -- gauges -------------------------------------------------------------------------------------

    def calls(self, ask: Callable[[], Mapping[str, int]]) -> None:
        """Set the source for the number of calls in each CallStatus."""
        self.registry.register(_Asked("b2bua_calls", "Current calls, by CallStatus.", "status", ask))

    def workers(self, ask: Callable[[], Mapping[str, int]]) -> None:
        """Set the source for the number of workers in each state."""
        self.registry.register(_Asked("b2bua_workers", "Current workers, by state.", "state", ask))

    def recordings(self, ask: Callable[[], int]) -> None:
        """Set the source for the number of recordings that run or are being finished."""
        self._gauge("recordings", "Recordings being made.").set_function(ask)

    def outbox(self, ask: Callable[[], int]) -> None:
        """Set the source for the number of webhooks that wait to be sent."""
        self._gauge("outbox", "Status callbacks waiting to be sent.").set_function(ask)

    def registered(self, ask: Callable[[], int]) -> None:
        """Set the source for the number of registered phones."""
        self._gauge("registered_phones", "Registered phones.").set_function(ask)

    def capacity(self, ask: Callable[[], int]) -> None:
        """Set the source for the number of calls that the node can carry."""
        self._gauge("capacity", "Maximum number of concurrent calls.").set_function(ask)

    def trunks(self, ask: Callable[[], Sequence[TrunkFacts]]) -> None:
        """Set the source for the states of the trunks."""
        self.registry.register(_Trunks(ask))

    def text(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self.registry)

    # -- parts --------------------------------------------------------------------------------------

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"b2bua_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"b2bua_{name}", text, buckets=buckets, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"b2bua_{name}", text, registry=self.registry)


class _Asked(Collector):
    """A gauge with one label that calls a function for its values."""

    def __init__(self, name: str, text: str, label: str, ask: Callable[[], Mapping[str, int]]) -> None:
        self._name = name
        self._text = text
        self._label = label
        self._ask = ask

    def collect(self) -> list[Metric]:
        """Return the current values (``Collector``)."""
        family = GaugeMetricFamily(self._name, self._text, labels=[self._label])
        for value, count in self._ask().items():
            family.add_metric([value], count)
        return [family]


class _Trunks(Collector):
    """Two gauges per trunk; a gauge is left out if the trunk is not checked or does not register."""

    def __init__(self, ask: Callable[[], Sequence[TrunkFacts]]) -> None:
        self._ask = ask

    def collect(self) -> list[Metric]:
        """Return the current values (``Collector``)."""
        up = GaugeMetricFamily("b2bua_trunk_up", "1: the trunk answers OPTIONS.", labels=["trunk"])
        registered = GaugeMetricFamily(
            "b2bua_trunk_registered", "1: the node is registered with the trunk.", labels=["trunk"]
        )
        for each in self._ask():
            if each.reachable is not None:
                up.add_metric([each.trunk], each.reachable)
            if each.registration != "off":
                registered.add_metric([each.trunk], each.registration == "registered")
        return [up, registered]


def install_metrics(app: FastAPI, metrics: Metrics) -> None:
    """Add ``/metrics`` to ``app``."""
    content = {"text/plain": {"schema": {"type": "string"}}}

    @app.get("/metrics", response_class=Response, responses={200: {"content": content}}, tags=["Node"])
    async def show() -> Response:
        """What the node counts and measures."""
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})
