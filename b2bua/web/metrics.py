"""What a node counts and measures, for Prometheus.

The node calls the plain methods; gauges whose truth is elsewhere are asked for when somebody looks. Labels
hold only words of our own and the numbers of errors: never what a caller or an application sent, so that
their count is bounded.
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
    """How a trunk is."""

    @property
    def trunk(self) -> str:
        """Its name in the configuration."""

    @property
    def registration(self) -> str:
        """``off``, ``trying``, ``registered`` or ``failed``."""

    @property
    def reachable(self) -> bool | None:
        """Whether it answers OPTIONS; None: not asked."""


class Metrics:
    """One node's, in a registry of its own. Thread: loop."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._started = self._counter("calls_started", "Calls that began.", "direction")
        self._ended = self._counter("calls_ended", "Calls that ended, by CallStatus.", "outcome")
        self._dials = self._counter("dials_ended", "Dials that ended, by DialCallStatus.", "outcome")
        self._findings = self._counter("findings", "Warnings and errors of calls, by number.", "number")
        self._session_faults = self._counter("session_faults", "Errors of ours that have ended a call.")
        self._unexpected = self._counter(
            "unexpected_events", "Events that may not come in the state of the machine.", "machine"
        )
        self._journal_faults = self._counter(
            "journal_faults", "Facts of calls that a subscriber of the journal has lost.", "subscriber"
        )
        self._refused = self._counter("calls_refused", "Calls refused at the edge.", "reason")
        self._webhook_failures = self._counter("webhook_failures", "Failed webhooks, by number.", "number")
        self._callbacks = self._counter("status_callbacks", "Status callbacks, by how they ended.", "outcome")
        self._setup = self._histogram(
            "call_setup_seconds", "INVITE received to INVITE sent, by our own work only.", _SETUP_S
        )
        self._webhooks = self._histogram("webhook_seconds", "Webhooks, with retries.", _WEBHOOK_S)
        self._loss = self._histogram("rtp_loss_ratio", "Packets lost on the way to us, a leg.", _LOSS)
        self._jitter = self._histogram(
            "rtp_jitter_seconds", "Mean jitter of what we received, a leg.", _JITTER_S
        )

    # -- what has happened --------------------------------------------------------------------------

    def call_started(self, direction: str) -> None:
        """A call is there: ``inbound``, ``outbound-api`` or ``outbound-dial``."""
        self._started.labels(direction).inc()

    def call_ended(self, outcome: str, setup_ms: float | None = None) -> None:
        """A call is over.

        Args:
            outcome: its CallStatus.
            setup_ms: our part of its set-up; None where it did not get so far.
        """
        self._ended.labels(outcome).inc()
        if setup_ms is not None:
            self._setup.observe(setup_ms / 1000)

    def dial_ended(self, outcome: str) -> None:
        """A Dial is over, with this DialCallStatus."""
        self._dials.labels(outcome).inc()

    def call_refused(self, reason: str, count: int = 1) -> None:
        """The edge has refused calls."""
        self._refused.labels(reason).inc(count)

    def webhook(self, latency_s: float, number: int | None = None) -> None:
        """A webhook was answered, or has failed with this error number."""
        self._webhooks.observe(latency_s)
        if number is not None:
            self._webhook_failures.labels(str(number)).inc()

    def called_back(self, number: int | None) -> None:
        """A status callback was delivered, or given up with this error number."""
        self._callbacks.labels("delivered" if number is None else "given-up").inc()
        if number is not None:
            self._webhook_failures.labels(str(number)).inc()

    def finding(self, number: int) -> None:
        """A warning or an error of a call."""
        self._findings.labels(str(number)).inc()

    def session_failed(self) -> None:
        """An error of ours has ended a call, or has come up at its end."""
        self._session_faults.inc()

    def unexpected(self, machine: str) -> None:
        """A machine was given an event that may not come in its state."""
        self._unexpected.labels(machine).inc()

    def subscriber_failed(self, name: str) -> None:
        """An error of ours has kept a subscriber of the journal from a fact."""
        self._journal_faults.labels(name).inc()

    def leg_ended(self, loss: float, jitter_ms: float) -> None:
        """A leg with media is over.

        Args:
            loss: part of the packets to us that did not come, 0 to 1.
            jitter_ms: mean, of what did.
        """
        self._loss.observe(loss)
        self._jitter.observe(jitter_ms / 1000)

    # -- what is ------------------------------------------------------------------------------------

    def calls(self, ask: Callable[[], Mapping[str, int]]) -> None:
        """Where to ask how many calls there are in each CallStatus."""
        self.registry.register(_Asked("b2bua_calls", "Calls now, by CallStatus.", "status", ask))

    def workers(self, ask: Callable[[], Mapping[str, int]]) -> None:
        """Where to ask how many workers there are in each state."""
        self.registry.register(_Asked("b2bua_workers", "Workers now, by state.", "state", ask))

    def recordings(self, ask: Callable[[], int]) -> None:
        """Where to ask how many recordings run or are being finished."""
        self._gauge("recordings", "Recordings in work.").set_function(ask)

    def outbox(self, ask: Callable[[], int]) -> None:
        """Where to ask how many webhooks wait to be sent."""
        self._gauge("outbox", "Status callbacks that wait to be sent.").set_function(ask)

    def registered(self, ask: Callable[[], int]) -> None:
        """Where to ask how many phones are registered."""
        self._gauge("registered_phones", "Phones of users that can be called.").set_function(ask)

    def capacity(self, ask: Callable[[], int]) -> None:
        """Where to ask how many calls there can be."""
        self._gauge("capacity", "Calls that can be held at once.").set_function(ask)

    def trunks(self, ask: Callable[[], Sequence[TrunkFacts]]) -> None:
        """Where to ask how the trunks are."""
        self.registry.register(_Trunks(ask))

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)

    # -- parts --------------------------------------------------------------------------------------

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"b2bua_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"b2bua_{name}", text, buckets=buckets, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"b2bua_{name}", text, registry=self.registry)


class _Asked(Collector):
    """A gauge with one label, whose values are somebody else's."""

    def __init__(self, name: str, text: str, label: str, ask: Callable[[], Mapping[str, int]]) -> None:
        self._name = name
        self._text = text
        self._label = label
        self._ask = ask

    def collect(self) -> list[Metric]:
        """See Collector."""
        family = GaugeMetricFamily(self._name, self._text, labels=[self._label])
        for value, count in self._ask().items():
            family.add_metric([value], count)
        return [family]


class _Trunks(Collector):
    """Two gauges a trunk; what is not wanted of a trunk is not there."""

    def __init__(self, ask: Callable[[], Sequence[TrunkFacts]]) -> None:
        self._ask = ask

    def collect(self) -> list[Metric]:
        """See Collector."""
        up = GaugeMetricFamily("b2bua_trunk_up", "1: the trunk answers OPTIONS.", labels=["trunk"])
        registered = GaugeMetricFamily(
            "b2bua_trunk_registered", "1: we are registered with the trunk.", labels=["trunk"]
        )
        for each in self._ask():
            if each.reachable is not None:
                up.add_metric([each.trunk], each.reachable)
            if each.registration != "off":
                registered.add_metric([each.trunk], each.registration == "registered")
        return [up, registered]


def install_metrics(app: FastAPI, metrics: Metrics) -> None:
    """Give ``app`` its ``/metrics``."""
    content = {"text/plain": {"schema": {"type": "string"}}}

    @app.get("/metrics", response_class=Response, responses={200: {"content": content}}, tags=["Node"])
    async def show() -> Response:
        """What the node counts and measures."""
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})
