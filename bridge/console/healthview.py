"""The health page's tables from facts: what is shown, and what of it is not as it should be. Pure.

    Facts (control_healthlook.py) ──panels──► Panel(name, columns, rows), each cell with a tone

Names of panels, columns and states are those of words/health.py; everything else in a cell is data and shown as text.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.console.healthfacts import CRASHES, GB, Facts, Provider
from bridge.console.texts import text

NONE = "\N{EN DASH}"
GOOD, WARN, BAD, QUIET = "good", "warn", "bad", "quiet"
MAX_ROWS = 200
SLOW_MS = 250.0


@dataclass(frozen=True, slots=True)
class Cell:
    """`number`: right-aligned."""

    text: str
    tone: str = ""
    number: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """A button for who may administer: a POST to `path` under /console/health. `name`: of its words."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Line:
    """A row."""

    cells: tuple[Cell, ...]
    acts: tuple[Act, ...] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """A table; `note` stands above it. `tone`: the worst of what is in it."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Line, ...]
    note: str = ""
    wide: bool = True

    @property
    def tone(self) -> str:
        """bad, warn or nothing."""
        tones = {cell.tone for row in self.rows for cell in row.cells}
        return next((one for one in (BAD, WARN) if one in tones), "")


def panels(facts: Facts) -> list[Panel]:
    """All that have something to show, in the order of the page."""
    made = (
        _nodes(facts),
        _workers(facts),
        _processes(facts),
        _trunks(facts),
        _edge(facts),
        _providers(facts),
        _mcp(facts),
        _store(facts),
        _disks(facts),
        _queues(facts),
        _campaigns(facts),
        _versions(facts),
    )
    return [panel for panel in made if panel.rows or panel.note]


def size(count: float | None) -> str:
    """Bytes for a person."""
    if count is None:
        return NONE
    for unit, bytes_ in (("GB", GB), ("MB", 1024**2), ("kB", 1024)):
        if count >= bytes_:
            return f"{count / bytes_:.1f} {unit}"
    return f"{count:.0f} B"


def span(seconds: float) -> str:
    """A length of time for a person."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _nodes(facts: Facts) -> Panel:
    rows = []
    for one in facts.nodes if facts.shared else ():
        state = str(one["state"])
        acts = {"live": ("drain",), "draining": ("undrain",)}.get(state, ())
        problems = ", ".join(one["problems"])
        rows.append(
            Line(
                (
                    Cell(
                        str(one["name"]) + (f" ({text('health.this')})" if one["name"] == facts.node else "")
                    ),
                    Cell(state, {"live": GOOD, "draining": WARN, "lost": BAD}.get(state, QUIET)),
                    Cell(f"{one['seen_s']:.0f} s", number=True),
                    Cell(str(one["workers"]), number=True),
                    Cell(str(one["calls"]), number=True),
                    Cell(str(one["plan"])),
                    Cell(str(one["version"])),
                    Cell(problems, BAD if problems else ""),
                ),
                tuple(Act(name, f"/nodes/{one['name']}/{name}") for name in acts),
            )
        )
    columns = ("name", "state", "seen", "workers", "calls", "plan", "version", "problems")
    return Panel("nodes", columns, tuple(rows[:MAX_ROWS]))


def _workers(facts: Facts) -> Panel:
    rows = []
    for one in facts.workers:
        state = str(one.get("state", ""))
        if state == "free":
            continue
        slot = int(one["slot"])
        acts = {"active": ("drain",), "paused": ("undrain",), "drained": ("undrain",)}.get(state, ())
        lag = str(one.get("plan_lag", ""))
        rows.append(
            Line(
                (
                    Cell(str(one.get("name", slot))),
                    Cell(state, GOOD if state == "active" else WARN),
                    Cell(str(one.get("calls", 0)), number=True),
                    Cell(str(one.get("taken", NONE)), number=True),
                    Cell(span(float(one.get("age_s", 0))), number=True),
                    Cell(f"{one.get('cpu_percent', 0)} %", number=True),
                    Cell(f"{one.get('memory_mb', 0)} MB", number=True),
                    Cell(f"{one.get('late_ms', 0)} ms", number=True),
                    Cell(
                        ", ".join(part for part in (str(one.get("why", "")), lag) if part),
                        WARN if lag else "",
                    ),
                ),
                tuple(Act(name, f"/workers/{slot}/{name}") for name in acts),
            )
        )
    columns = ("worker", "state", "calls", "carried", "age", "cpu", "memory", "late", "note")
    return Panel("workers", columns, tuple(rows[:MAX_ROWS]), facts.supervisor)


def _processes(facts: Facts) -> Panel:
    rows = []
    for one in facts.children:
        name, state, restarts = str(one["name"]), str(one["state"]), int(one["restarts"])
        if name.startswith("worker") and not restarts:
            continue  # they have a table of their own
        up = state == "running"
        tone = GOOD if up and not one["failures"] else BAD if int(one["failures"]) >= CRASHES else WARN
        rows.append(
            Line(
                (
                    Cell(name),
                    Cell(state, tone),
                    Cell(span(float(one["since_s"])), number=True),
                    Cell(str(restarts), WARN if restarts else "", number=True),
                    Cell(str(one["last"])),
                )
            )
        )
    return Panel("processes", ("process", "state", "since", "restarts", "ended"), tuple(rows[:MAX_ROWS]))


def _trunks(facts: Facts) -> Panel:
    rows = tuple(
        Line(
            (
                Cell(one.name),
                _yes(one.registered) if one.registers else Cell(text("health.not_wanted"), QUIET),
                _yes(one.reachable),
                Cell(one.problem, BAD if one.problem else ""),
            )
        )
        for one in facts.trunks[:MAX_ROWS]
    )
    return Panel("trunks", ("trunk", "registered", "reachable", "problems"), rows)


def _yes(value: bool | None) -> Cell:
    if value is None:
        return Cell(NONE, QUIET)
    return Cell(text("health.yes"), GOOD) if value else Cell(text("health.no"), BAD)


def _edge(facts: Facts) -> Panel:
    rows = tuple(
        Line((Cell(name), Cell(f"{value:g}", BAD if name == "up" and not value else "", number=True)))
        for name, value in (facts.edge or {}).items()
    )
    return Panel("edge", ("what", "value"), rows, wide=False)


def _providers(facts: Facts) -> Panel:
    rows = tuple(
        Line(
            (
                Cell(one.name),
                Cell(one.where, QUIET),
                Cell(str(one.calls), number=True),
                Cell(str(one.failed), _failing(one), number=True),
                Cell(_ago(facts.at, one.connected_at)),
                Cell(_ago(facts.at, one.failed_at)),
                Cell(one.error),
            )
        )
        for one in facts.providers[:MAX_ROWS]
    )
    return Panel(
        "providers", ("provider", "where", "calls", "failed", "connected", "failed_at", "error"), rows
    )


def _failing(one: Provider) -> str:
    """It fails now: nothing has worked since the last failure."""
    if one.failed_at is None:
        return ""
    return BAD if one.connected_at is None or one.connected_at < one.failed_at else ""


def _ago(at: float, then: float | None) -> str:
    return NONE if then is None else text("health.ago", time=span(at - then))


def _mcp(facts: Facts) -> Panel:
    rows = tuple(
        Line(
            (
                Cell(one.name),
                Cell(one.problem or text("health.connected"), BAD if one.problem else GOOD),
                Cell(str(one.tools), number=True),
                Cell(str(one.accepted), number=True),
            )
        )
        for one in facts.mcp[:MAX_ROWS]
    )
    return Panel("mcp", ("server", "state", "tools", "accepted"), rows, wide=False)


def _store(facts: Facts) -> Panel:
    it = facts.store
    pairs: list[tuple[str, Cell]] = [("kind", Cell(it.kind))]
    if it.error:
        pairs.append(("error", Cell(it.error, BAD)))
    if it.latency_ms is not None:
        pairs.append(("latency", Cell(f"{it.latency_ms:.1f} ms", WARN if it.latency_ms > SLOW_MS else "")))
        pairs.append(("size", Cell(size(it.size_bytes))))
    if it.failing_s:
        pairs.append(("failing", Cell(span(it.failing_s), BAD)))
    pairs.append(("backlog", Cell(size(it.backlog_bytes), WARN if it.backlog_bytes > 1024**2 else "")))
    if it.unknown:
        pairs.append(("unknown", Cell(str(it.unknown), WARN)))
    pairs += [("lease", Cell(f"{name}: {node}")) for name, node in it.leases]
    rows = tuple(Line((Cell(text(f"health.store.{name}"), QUIET), cell)) for name, cell in pairs)
    return Panel("store", ("what", "value"), rows, wide=False)


def _disks(facts: Facts) -> Panel:
    rows = tuple(
        Line(
            (
                Cell(f"{one.what} ({one.path})"),
                Cell(size(one.free), BAD if one.tight else GOOD, number=True),
                Cell(size(one.total), number=True),
            )
        )
        for one in facts.disks
    )
    return Panel("disks", ("what", "free", "total"), rows, wide=False)


def _queues(facts: Facts) -> Panel:
    found = facts.queues.get("queues")
    rows = tuple(
        Line(
            (
                Cell(str(one.get("name", ""))),
                Cell(str(one.get("waiting", 0)), WARN if one.get("waiting") else "", number=True),
                Cell(span(float(one.get("longest_wait_s", 0) or 0)), number=True),
                Cell(str(len(one.get("members", ()))), number=True),
            )
        )
        for one in (found if isinstance(found, list) else [])[:MAX_ROWS]
    )
    return Panel("queues", ("queue", "waiting", "longest", "members"), rows, wide=False)


def _campaigns(facts: Facts) -> Panel:
    rows = tuple(
        Line((Cell(one.name), Cell(one.state), Cell(", ".join(_counts(one.counts)))))
        for one in facts.campaigns[:20]
    )
    return Panel("campaigns", ("campaign", "state", "outbound"), rows, wide=False)


def _counts(counts: Mapping[str, int]) -> Iterator[str]:
    for state, count in sorted(counts.items()):
        yield f"{count} {state}"


def _versions(facts: Facts) -> Panel:
    rows = tuple(Line((Cell(name), Cell(version))) for name, version in facts.versions)
    return Panel("versions", ("what", "version"), rows, wide=False)
