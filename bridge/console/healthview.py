"""The health page's tables from facts: what is shown, and what of it is not as it should be. Pure.

    Facts (control_healthlook.py) ──panels──► Panel(name, columns, rows), each cell with a tone

What is a node's own is told of every node: then its tables have a second column, which says whose a row is, and how old
when that is not as good as now. Of a lost node nothing stands out but that it is lost.
Names of panels, columns and states are those of words/health.py; everything else in a cell is data and shown as text.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from bridge.console.healthfacts import CRASHES, GB, Facts, NodeHealth, Provider
from bridge.console.texts import text

NONE = "\N{EN DASH}"
GOOD, WARN, BAD, QUIET = "good", "warn", "bad", "quiet"
MAX_ROWS = 200
SLOW_MS = 250.0
OLD_S = 30.0
"""What a node said so long ago is shown with its age."""


@dataclass(frozen=True, slots=True)
class Cell:
    """`number`: right-aligned. `href`: where it leads."""

    text: str
    tone: str = ""
    number: bool = False
    href: str = ""


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


def _of_all(
    facts: Facts, name: str, columns: tuple[str, ...], rows_of: Callable[[NodeHealth], Iterator[Line]]
) -> Panel:
    """A table of what is a node's own; with other nodes each row says whose it is."""
    if not facts.others:
        return Panel(name, columns, tuple(rows_of(facts.here))[:MAX_ROWS])
    rows: list[Line] = []
    for part in facts.parts():
        whose = _whose(part, this=part.name == facts.here.name)
        rows += [_told(line, whose, quiet=not part.fresh) for line in rows_of(part)]
    return Panel(name, (columns[0], "name", *columns[1:]), tuple(rows[:MAX_ROWS]))


def _whose(part: NodeHealth, *, this: bool) -> Cell:
    words = {"name": part.name, "time": span(part.age_s)}
    if part.state == "lost":
        return Cell(text("health.lost", **words), BAD, href=part.console)
    if part.age_s > OLD_S:
        return Cell(text("health.old", **words), WARN, href=part.console)
    return Cell(f"{part.name} ({text('health.this')})") if this else Cell(part.name, href=part.console)


def _told(line: Line, whose: Cell, *, quiet: bool) -> Line:
    first, *rest = [replace(cell, tone=QUIET) if quiet else cell for cell in line.cells]
    return Line((first, whose, *rest), line.acts)


def _nodes(facts: Facts) -> Panel:
    rows = []
    consoles = {one.name: one.console for one in facts.others}
    for one in facts.nodes if facts.shared else ():
        state = str(one["state"])
        acts = {"live": ("drain",), "draining": ("undrain",)}.get(state, ())
        problems = ", ".join(one["problems"])
        rows.append(
            Line(
                (
                    Cell(
                        str(one["name"])
                        + (f" ({text('health.this')})" if one["name"] == facts.here.name else ""),
                        href=consoles.get(str(one["name"]), ""),
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
    columns = ("worker", "state", "calls", "carried", "age", "cpu", "memory", "late", "note")
    panel = _of_all(
        facts, "workers", columns, lambda part: _worker_rows(part, acts=part.name == facts.here.name)
    )
    silent = [part for part in facts.parts() if part.supervisor]
    notes = [f"{part.name}: {part.supervisor}" if facts.others else part.supervisor for part in silent]
    return replace(panel, note=" ".join(notes))


def _worker_rows(part: NodeHealth, *, acts: bool) -> Iterator[Line]:
    """`acts`: they can be drained from here."""
    for one in part.workers:
        state = str(one.get("state", ""))
        if state == "free":
            continue
        slot = int(one["slot"])
        orders = {"active": ("drain",), "paused": ("undrain",), "drained": ("undrain",)}.get(state, ())
        lag = str(one.get("plan_lag", ""))
        yield Line(
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
                    ", ".join(it for it in (str(one.get("why", "")), lag) if it),
                    WARN if lag else "",
                ),
            ),
            tuple(Act(name, f"/workers/{slot}/{name}") for name in orders) if acts else (),
        )


def _processes(facts: Facts) -> Panel:
    return _of_all(facts, "processes", ("process", "state", "since", "restarts", "ended"), _process_rows)


def _process_rows(part: NodeHealth) -> Iterator[Line]:
    for one in part.children:
        name, state, restarts = str(one["name"]), str(one["state"]), int(one["restarts"])
        if name.startswith("worker") and not restarts:
            continue  # they have a table of their own
        up = state == "running"
        tone = GOOD if up and not one["failures"] else BAD if int(one["failures"]) >= CRASHES else WARN
        yield Line(
            (
                Cell(name),
                Cell(state, tone),
                Cell(span(float(one["since_s"])), number=True),
                Cell(str(restarts), WARN if restarts else "", number=True),
                Cell(str(one["last"])),
            )
        )


def _trunks(facts: Facts) -> Panel:
    return _of_all(facts, "trunks", ("trunk", "registered", "reachable", "problems"), _trunk_rows)


def _trunk_rows(part: NodeHealth) -> Iterator[Line]:
    for one in part.trunks:
        registered = _yes(one.registered) if one.registers else Cell(text("health.not_wanted"), QUIET)
        if one.registers and not one.registered and not part.registering:
            registered = Cell(text("health.elsewhere"), QUIET)
        problem = Cell(one.problem, BAD if one.problem else "")
        yield Line((Cell(one.name), registered, _yes(one.reachable), problem))


def _yes(value: bool | None) -> Cell:
    if value is None:
        return Cell(NONE, QUIET)
    return Cell(text("health.yes"), GOOD) if value else Cell(text("health.no"), BAD)


def _edge(facts: Facts) -> Panel:
    return replace(_of_all(facts, "edge", ("what", "value"), _edge_rows), wide=False)


def _edge_rows(part: NodeHealth) -> Iterator[Line]:
    for name, value in (part.edge or {}).items():
        yield Line((Cell(name), Cell(f"{value:g}", BAD if name == "up" and not value else "", number=True)))


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
    return replace(_of_all(facts, "mcp", ("server", "state", "tools", "accepted"), _mcp_rows), wide=False)


def _mcp_rows(part: NodeHealth) -> Iterator[Line]:
    for one in part.mcp:
        yield Line(
            (
                Cell(one.name),
                Cell(one.problem or text("health.connected"), BAD if one.problem else GOOD),
                Cell(str(one.tools), number=True),
                Cell(str(one.accepted), number=True),
            )
        )


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
    return replace(_of_all(facts, "disks", ("what", "free", "total"), _disk_rows), wide=False)


def _disk_rows(part: NodeHealth) -> Iterator[Line]:
    for one in part.disks:
        yield Line(
            (
                Cell(f"{one.what} ({one.path})"),
                Cell(size(one.free), BAD if one.tight else GOOD, number=True),
                Cell(size(one.total), number=True),
            )
        )


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
