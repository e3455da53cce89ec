"""What the pages for load balancers and Prometheus say: counts, and the last status of every worker, as text.

    /livez    200: the process answers
    /readyz   200: this node can take a call now: a plan in force, a worker that is not draining; else 503 and why
    /healthz  200: all is as it should be: every worker the settings ask for, a plan, a store that takes events
    /metrics  Prometheus' text, or OpenMetrics for who asks for it

Label values come from fixed sets (worker slots, trunks and queues of the plan, closed lists), so the number of series
is bounded. Pure but for reading the objects it is given, /proc and the clock; served by control_api on control's loop.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

from bridge import __version__
from bridge.control_health import Metric, Page, Pages
from bridge.control_metrics import Counts, process_gauges
from bridge.dialplan.plan import Plan
from bridge.link.server import LinkServer, Peer
from bridge.records.cdr import number
from bridge.store.tables import OPEN_STATES

_WORKER_GAUGES = (
    ("sipbridge_worker_calls", "gauge", "Calls a worker carries now.", ("calls",)),
    ("sipbridge_worker_clock_late_ticks", "gauge", "Media ticks that came late.", ("clock_late_ticks",)),
    ("sipbridge_worker_clock_max_late_ms", "gauge", "The latest media tick so far.", ("clock_max_late_ms",)),
    ("sipbridge_worker_clock_restarts", "gauge", "Times the media clock stood still.", ("clock_restarts",)),
    ("sipbridge_worker_spool_bytes", "gauge", "Events on disk, not stored yet.", ("link", "backlog_bytes")),
    ("sipbridge_worker_events_lost", "gauge", "Events the spool could not take.", ("link", "refused")),
)
OVERDUE_GRACE_S = 60.0
"""How long the end of a call that has reached its limit may take."""
_TRUNK_GAUGES = (
    ("sipbridge_trunk_registered", "1 while the trunk's registration is in force.", "registered"),
    ("sipbridge_trunk_reachable", "1 while the trunk answers OPTIONS.", "reachable"),
)


@dataclass(slots=True)
class Facts:
    """Counted since the start of this control process."""

    started_at: float
    counts: Counts = field(default_factory=Counts)
    max_call_s: float = 3600.0
    workers: int = 0
    calls_per_worker: int = 4
    worker_died_calls: int = 0
    plans_refused: int = 0


@dataclass(frozen=True, slots=True)
class More:
    """What others have to say: `notes` (worth knowing, nothing is unhealthy), further metrics, and `problems`."""

    notes: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    problems: tuple[str, ...] = ()


def pages(
    facts: Facts,
    link: LinkServer,
    workers: int,
    plan: Callable[[], Plan | None],
    more: Callable[[], More] = More,
) -> Pages:
    """The pages by path."""
    return {
        "/livez": lambda _accept: Page(HTTPStatus.OK, "text/plain", "ok\n"),
        "/readyz": lambda _accept: readiness(link, plan()),
        "/healthz": lambda _accept: health(link, workers, plan(), more()),
        "/metrics": lambda accept: metrics(facts, link, plan(), more().metrics, accept),
    }


def readiness(link: LinkServer, plan: Plan | None) -> Page:
    """Whether a load balancer may send calls here. A node that lacks some of its workers still takes calls."""
    peers = link.peers()
    takes = [peer for peer in peers if not peer.status.get("draining", False)]
    problem = ""
    if plan is None:
        problem = "no plan is in force"
    elif not takes:
        problem = "every worker is draining" if peers else "no worker is connected"
    status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
    return Page(status, "text/plain", f"{problem or 'ready'}\n")


def health(link: LinkServer, workers: int, plan: Plan | None, more: More = More()) -> Page:  # frozen
    """JSON: status, problems, notes, plan version, and what each worker said last."""
    peers = link.peers()
    problems = _missing({peer.hello.worker for peer in peers}, workers)
    problems += [] if plan else ["no plan is in force"]
    problems += more.problems
    if link.store_failing_since is not None:
        seconds = time.monotonic() - link.store_failing_since
        problems.append(
            f"the store has taken no events for {seconds:.0f} s; they wait in the workers' spools"
        )
    body = {
        "status": "unhealthy" if problems else "ok",
        "problems": problems,
        "notes": list(more.notes),
        "plan": plan.version if plan else None,
        "workers": {str(peer.hello.worker): _public(peer.status) for peer in peers},
    }
    status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
    return Page(status, "application/json", json.dumps(body) + "\n")


def _missing(here: set[int], workers: int) -> list[str]:
    """Which workers there should be. With surge slots any slots will do: one that was replaced may be in any other."""
    missing = workers - len(here)
    if missing > 0 and max(here, default=0) >= workers:
        return [f"{missing} of {workers} workers are not connected"]
    return [
        f"worker {index} is not connected" for index in range(workers) if index not in here and missing > 0
    ]


def _public(status: Mapping[str, Any]) -> dict[str, Any]:
    """Without the calls it names: anybody may read the page."""
    return {key: value for key, value in status.items() if key != "held"}


def metrics(
    facts: Facts, link: LinkServer, plan: Plan | None, more: tuple[Metric, ...] = (), accept: str = ""
) -> Page:
    """For Prometheus. `accept`: what formats it reads."""
    content_type, text = facts.counts.render(gauges(facts, link, plan, more), accept)
    return Page(HTTPStatus.OK, content_type, text)


def gauges(facts: Facts, link: LinkServer, plan: Plan | None, more: tuple[Metric, ...] = ()) -> list[Metric]:
    """What is looked up at a scrape."""
    peers, counters = link.peers(), link.counters
    draining = sum(peer.status.get("draining") is True for peer in peers)
    failing_since = link.store_failing_since
    lines = (len(peers) - draining) * facts.calls_per_worker
    families = [
        Metric("sipbridge_build_info", "gauge", "1; the version.", (({"version": __version__}, 1.0),)),
        _one("sipbridge_uptime_seconds", "gauge", "Age of this control.", time.time() - facts.started_at),
        _one("sipbridge_workers_connected", "gauge", "Workers on the link.", len(peers)),
        _one("sipbridge_workers_wanted", "gauge", "Workers that the settings ask for.", facts.workers),
        _one(
            "sipbridge_call_lines", "gauge", "Calls that the workers can carry which take calls now.", lines
        ),
        _one("sipbridge_workers_draining", "gauge", "Workers that take no new calls.", draining),
        _one("sipbridge_worker_starts_total", "counter", "Worker processes seen.", link.counters.boots),
        _one("sipbridge_plan_in_force", "gauge", "1 while calls have a dialplan.", plan is not None),
        _one(
            "sipbridge_plan_routes", "gauge", "Routes of the plan in force.", len(plan.routes) if plan else 0
        ),
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
            failing_since is not None,
        ),
        _one(
            "sipbridge_store_failing_seconds",
            "gauge",
            "For how long the store has taken no events.",
            0.0 if failing_since is None else time.monotonic() - failing_since,
        ),
        _one("sipbridge_link_requests_total", "counter", "Requests of workers.", counters.requests),
        _one("sipbridge_store_retries_total", "counter", "Times the store refused.", counters.store_retries),
        *_running(facts, peers),
        *(_gauge(peers, name, kind, words, path) for name, kind, words, path in _WORKER_GAUGES),
        *process_gauges({str(peer.hello.worker): peer.hello.pid for peer in peers}),
    ]
    families += more
    families += [_trunk_gauge(peers, name, words, key) for name, words, key in _TRUNK_GAUGES]
    return families


def _running(facts: Facts, peers: list[Peer]) -> tuple[Metric, Metric]:
    found = facts.counts.running({peer.hello.boot for peer in peers}, facts.max_call_s + OVERDUE_GRACE_S)
    samples = tuple(
        ({"direction": direction, "state": state}, float(count))
        for (direction, state), count in found.calls.items()
    )
    return (
        Metric("sipbridge_calls_active", "gauge", "Calls of this node that are not over.", samples),
        _one(
            "sipbridge_calls_overdue",
            "gauge",
            "Calls that run for longer than limits.max_call_s.",
            found.overdue,
        ),
    )


class Measured(Protocol):
    """A part of control that has something to say to Prometheus."""

    def metrics(self) -> Iterable[Metric]:
        """Gauges and counters as they are now."""


def metrics_of(*parts: Measured | None) -> list[Metric]:
    """Of all parts that are there."""
    return [metric for part in parts if part is not None for metric in part.metrics()]


def request_gauge(waiting: Mapping[str, int]) -> Metric:
    """Requests of the gate that are not over, by state."""
    samples = tuple(({"state": state}, float(waiting.get(state, 0))) for state in OPEN_STATES)
    return Metric("sipbridge_approvals_open", "gauge", "Tool requests that are not over, by state.", samples)


def _one(name: str, kind: str, words: str, value: float) -> Metric:
    return Metric(name, kind, words, (({}, float(value)),))


def _gauge(peers: list[Peer], name: str, kind: str, words: str, path: tuple[str, ...]) -> Metric:
    samples = [({"worker": str(peer.hello.worker)}, number(_at(peer.status, path)) or 0.0) for peer in peers]
    return Metric(name, kind, words, tuple(samples))


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
