"""The numbers of one control process, for Prometheus: prometheus-client's registry under the families of calls.

    Store.on_stored ─► Counts.stored ─► Tally (machine) ─► counters, histograms      one line a failed call ─► log
    Gates ─► Counts.gate ─► approvals                    scrape ─► gauges of the moment (control_pages.py) ─► text

A registry of its own: nothing global, two controls in one test do not meet. Every series of a counter is there from
the start, so that `rate()` sees the first event. Exemplars (OpenMetrics only) carry a trace id, when there are traces.
Runs on control's loop; holds no rule of its own about calls (bridge/records/metrics.py).
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product

import prometheus_client as prometheus
import structlog
from prometheus_client.core import Metric as Exposed
from prometheus_client.exposition import choose_encoder

from bridge.control_health import Metric, expose
from bridge.records.cdr import CallEvent
from bridge.records.course import Course
from bridge.records.ending import FAULTS, KINDS, explain
from bridge.records.metrics import Running, Sample, Tally
from bridge.records.metrics_families import FAMILIES, Family

log = structlog.get_logger(__name__)

OPENMETRICS = "application/openmetrics-text"
MAX_PENDING = 10_000
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_DECISIONS = {
    "approved": "approved",
    "executing": "approved",
    "denied": "denied",
    "expired": "expired",
    "cancelled": "cancelled",
}
"""What became of a request that waited for a person, by the state it left for."""

Counter = prometheus.Counter | prometheus.Histogram


class Counts:
    """Counted since the start of this control process. `ended`: told of every call that is over, once.

    `exemplar`: the trace id of a call, None without traces.
    """

    def __init__(self) -> None:
        prometheus.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library types only a part
        self.registry = prometheus.CollectorRegistry()
        self.tally = Tally()
        self.ended: Callable[[Course], None] = lambda _course: None
        self.exemplar: Callable[[str], str] | None = None
        self._families = {name: _made(family, self.registry) for name, family in FAMILIES.items()}
        self._pending: dict[str, float] = {}

    # ---- what happens ----------------------------------------------------------------------------------------

    def stored(self, events: Sequence[CallEvent]) -> None:
        """These events have just been committed for the first time."""
        now = time.time()
        for event in events:
            samples, over = self.tally.take(event, now)
            for sample in samples:
                self._count(sample)
            if over is not None:
                explained(over)
                self.ended(over)

    def look(self, now: float) -> None:
        """Time goes by (monotonic `now`): calls that should be over, and are not."""
        for call_id in self.tally.overdue(now):
            log.error(
                "call.not_ended", call_id=call_id, hint="its leg is over, its record is not: ops/runbook.md"
            )
            self._count(Sample("calls_not_ended", (), 1.0))

    def wrote(self, seconds: float) -> None:
        """The store took a batch."""
        self._count(Sample("store_write_seconds", (), seconds))

    def gate(self, request_id: str, before: str | None, state: str) -> None:
        """A request of the gate has another state, and that is stored."""
        now = time.monotonic()
        if state == "pending":
            if before != "pending" and len(self._pending) < MAX_PENDING:
                self._pending[request_id] = now
            return
        since_s = self._pending.pop(request_id, None)
        outcome = _DECISIONS.get(state)
        if before == "pending" and outcome is not None:
            self._count(Sample("approvals", (outcome,), 1.0))
            if since_s is not None:
                self._count(Sample("approval_seconds", (outcome,), now - since_s))

    def _count(self, sample: Sample) -> None:
        metric = self._families[sample.family]
        child = metric.labels(*sample.labels) if sample.labels else metric
        exemplar = self._exemplar(sample)
        if isinstance(child, prometheus.Histogram):
            child.observe(sample.amount, exemplar)
        else:
            child.inc(sample.amount, exemplar)

    def _exemplar(self, sample: Sample) -> dict[str, str] | None:
        if self.exemplar is None or not sample.call_id:
            return None
        return {"trace_id": self.exemplar(sample.call_id)}

    # ---- what is asked ---------------------------------------------------------------------------------------

    def running(self, boots: set[str], max_call_s: float) -> Running:
        """The running calls of these worker processes."""
        return self.tally.running(boots, time.monotonic(), max_call_s)

    def quantile(self, family: str, share: float) -> float | None:
        """About which value so many of a histogram without labels lie below, by its buckets; None: nothing was seen."""
        (metric,) = self._families[family].collect()
        buckets = [
            (float(one.labels["le"]), one.value) for one in metric.samples if one.name.endswith("_bucket")
        ]
        wanted = buckets[-1][1] * share
        if not wanted:
            return None
        below, seen = 0.0, 0.0
        for edge, count in buckets:
            if count >= wanted:
                part = (wanted - seen) / (count - seen) if count > seen else 1.0
                return below if edge == float("inf") else below + (edge - below) * part
            below, seen = edge, count
        return below

    def render(self, gauges: Iterable[Metric], accept: str = "") -> tuple[str, str]:
        """(content type, text) of all families and of these gauges, in the format the client takes."""
        encoder, content_type = choose_encoder(
            f"{OPENMETRICS}; version=1.0.0" if OPENMETRICS in accept else ""
        )
        return content_type, encoder(_All(self.registry, gauges)).decode()


class _All:
    """Two sources as one registry."""

    def __init__(self, registry: prometheus.CollectorRegistry, gauges: Iterable[Metric]) -> None:
        self._registry = registry
        self._gauges = gauges

    def collect(self) -> Iterator[Exposed]:
        yield from self._registry.collect()
        yield from expose(self._gauges)


def explained(call: Course) -> None:
    """One line about a call that did not go well, or did not come about."""
    facts = explain(call)
    kind = KINDS[facts["cause"]]
    if kind == "success":
        return
    tell = log.error if kind == "server_error" else log.warning if kind in FAULTS else log.info
    tell("call.failed", call_id=call.call_id, **facts)


def _made(family: Family, registry: prometheus.CollectorRegistry) -> Counter:
    names = tuple(family.labels)
    if family.kind == "histogram":
        made: Counter = prometheus.Histogram(
            family.name, family.help, names, registry=registry, buckets=family.buckets
        )
    else:
        made = prometheus.Counter(family.name, family.help, names, registry=registry)
    for values in product(*family.labels.values()) if names else ():
        made.labels(*values)
    return made


def process_gauges(pids: Mapping[str, int]) -> tuple[Metric, ...]:
    """Memory and processor time of processes, by worker name; those that are gone are left out (proc(5))."""
    found = {name: usage for name, pid in pids.items() if (usage := _usage(pid)) is not None}
    return (
        Metric(
            "sipbridge_worker_resident_bytes",
            "gauge",
            "Memory of a worker process (RSS).",
            tuple(({"worker": name}, usage[0]) for name, usage in found.items()),
        ),
        Metric(
            "sipbridge_worker_cpu_seconds_total",
            "counter",
            "Processor time of a worker process since its start.",
            tuple(({"worker": name}, usage[1]) for name, usage in found.items()),
        ),
    )


def _usage(pid: int) -> tuple[float, float] | None:
    """(resident bytes, CPU seconds), None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123  # the hot part of a scrape
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return float(int(fields[21]) * _PAGE_BYTES), (int(fields[11]) + int(fields[12])) / _TICKS
