"""What /healthz and /metrics say: the counters of control and the last status of every worker, as text.

Healthy (200) means: a plan is in force, every worker the settings ask for is connected and the store takes
what they tell; else 503 with the reasons. Label values come from fixed sets (worker indexes, known event
types, the one version in force), so the number of series is bounded. Pure but for reading the objects it is given and
the clock; served by control_api on control's loop.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from bridge.control_health import Metric, Page, Pages, render
from bridge.dialplan.plan import Plan
from bridge.link.server import LinkServer, Peer
from bridge.records.cdr import number

EVENT_TYPES = (
    "call.started",
    "call.answered",
    "call.ended",
    "session.ready",
    "session.failed",
    "response",
    "barge_in",
    "dtmf",
    "function_call",
    "error",
)
_WORKER_GAUGES = (
    ("sipbridge_worker_calls", "Calls a worker carries now.", ("calls",)),
    ("sipbridge_worker_clock_late_ticks", "Media ticks that came late.", ("clock_late_ticks",)),
    ("sipbridge_worker_clock_max_late_ms", "The latest media tick so far.", ("clock_max_late_ms",)),
    ("sipbridge_worker_clock_restarts", "Times the media clock stood still.", ("clock_restarts",)),
    (
        "sipbridge_worker_spool_bytes",
        "Events on disk that control has not stored yet.",
        ("link", "backlog_bytes"),
    ),
    ("sipbridge_worker_events_lost", "Events the spool could not take.", ("link", "refused")),
)


_TRUNK_GAUGES = (
    ("sipbridge_trunk_registered", "1 while the trunk's registration is in force.", "registered"),
    ("sipbridge_trunk_reachable", "1 while the trunk answers OPTIONS.", "reachable"),
)


@dataclass(slots=True)
class Facts:
    """Counted since the start of this control process."""

    started_at: float
    events: Counter[str] = field(default_factory=Counter)
    cost_usd: float = 0.0
    worker_died_calls: int = 0
    plans_refused: int = 0


@dataclass(frozen=True, slots=True)
class More:
    """What others have to say: `notes` (worth knowing, nothing is unhealthy) and further metrics."""

    notes: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()


def pages(
    facts: Facts,
    link: LinkServer,
    workers: int,
    plan: Callable[[], Plan | None],
    more: Callable[[], More] = More,
) -> Pages:
    """The pages by path."""
    return {
        "/healthz": lambda: health(link, workers, plan(), more().notes),
        "/metrics": lambda: metrics(facts, link, plan(), more().metrics),
    }


def health(link: LinkServer, workers: int, plan: Plan | None, notes: tuple[str, ...] = ()) -> Page:
    """JSON: status, problems, notes, plan version, and what each worker said last."""
    peers = link.peers()
    here = {peer.hello.worker for peer in peers}
    problems = [f"worker {index} is not connected" for index in range(workers) if index not in here]
    problems += [] if plan else ["no plan is in force"]
    if link.store_failing_since is not None:
        seconds = time.monotonic() - link.store_failing_since
        problems.append(
            f"the store has taken no events for {seconds:.0f} s; they wait in the workers' spools"
        )
    body = {
        "status": "unhealthy" if problems else "ok",
        "problems": problems,
        "notes": list(notes),
        "plan": plan.version if plan else None,
        "workers": {str(peer.hello.worker): _public(peer.status) for peer in peers},
    }
    status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
    return Page(status, "application/json", json.dumps(body) + "\n")


def _public(status: Mapping[str, Any]) -> dict[str, Any]:
    """Without the calls it names: anybody may read the page."""
    return {key: value for key, value in status.items() if key != "held"}


def metrics(facts: Facts, link: LinkServer, plan: Plan | None, more: tuple[Metric, ...] = ()) -> Page:
    """Prometheus' text."""
    peers = link.peers()
    counters = link.counters
    families = [
        _one(
            "sipbridge_uptime_seconds",
            "gauge",
            "Age of this control process.",
            time.time() - facts.started_at,
        ),
        _one("sipbridge_workers_connected", "gauge", "Workers on the link.", len(peers)),
        _one(
            "sipbridge_plan_routes", "gauge", "Routes of the plan in force.", len(plan.routes) if plan else 0
        ),
        _one("sipbridge_cost_usd_total", "counter", "Cost of model responses.", facts.cost_usd),
        _one(
            "sipbridge_worker_died_calls_total",
            "counter",
            "Calls ended by a worker's death.",
            facts.worker_died_calls,
        ),
        _one(
            "sipbridge_plans_refused_total",
            "counter",
            "Reloads that left the plan in force.",
            facts.plans_refused,
        ),
        _one(
            "sipbridge_store_failing",
            "gauge",
            "1 while the store takes no events.",
            link.store_failing_since is not None,
        ),
        _one("sipbridge_link_requests_total", "counter", "Requests of workers.", counters.requests),
        _one("sipbridge_store_retries_total", "counter", "Times the store refused.", counters.store_retries),
        Metric(
            "sipbridge_events_total",
            "counter",
            "Call events stored, by type.",
            tuple(({"type": name}, float(facts.events[name])) for name in EVENT_TYPES),
        ),
    ]
    families += [_gauge(peers, name, words, path) for name, words, path in _WORKER_GAUGES]
    families += more
    families += [_trunk_gauge(peers, name, words, key) for name, words, key in _TRUNK_GAUGES]
    return Page(HTTPStatus.OK, "text/plain; version=0.0.4", render(families))


def _one(name: str, kind: str, words: str, value: float) -> Metric:
    return Metric(name, kind, words, (({}, float(value)),))


def _gauge(peers: list[Peer], name: str, words: str, path: tuple[str, ...]) -> Metric:
    samples = [({"worker": str(peer.hello.worker)}, number(_at(peer.status, path)) or 0.0) for peer in peers]
    return Metric(name, "gauge", words, tuple(samples))


def _trunk_gauge(peers: list[Peer], name: str, words: str, key: str) -> Metric:
    """One sample a worker and trunk that knows the answer; trunks are names of the plan, at most 200."""
    samples = [
        ({"worker": str(peer.hello.worker), "trunk": str(trunk)}, float(bool(facts[key])))
        for peer in peers
        for trunk, facts in _object(_at(peer.status, ("trunks",))).items()
        if _object(facts).get(key) is not None
    ]
    return Metric(name, "gauge", words, tuple(samples))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _at(status: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        status = status.get(key) if isinstance(status, dict) else None
    return status
