"""What a load run found: levels, rates, the aims they are held against, and the knee. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tests.bench.loadmedia import Heard
from tests.bench.loadsip import Placed, Refusal
from tests.bench.loadsystem import BESIDE, OWN, Usage

AIMS = {
    "cpu_percent": 1.0,  # of a core, a call, for the bridge's own processes
    "mb": 15.0,
    "gap_p99_ms": 30.0,
    "refused_ms": 100.0,
    "rate": 20.0,
}
KNEE = 1.25  # times what a call adds at the cheapest level, or a wrong call, or pacing beyond its aim: past the knee


@dataclass(frozen=True, slots=True)
class Level:
    """One number of calls. `used`: while they talked; `resting`: the bridge without a call; `others`: cores.

    `slow_ms`: CPU time of a fixed piece of work meanwhile. `engine_ms`: how long the engine itself keeps each frame,
    because it gives several at a time.
    """

    calls: int
    up: int
    placed: Placed
    heard: Heard
    used: Mapping[str, Usage]
    resting: Mapping[str, Usage]
    refusals: Sequence[Refusal]
    records: int
    others: float
    engine_ms: float = 0.0
    slow_ms: float = 0.0

    @property
    def cpu_percent(self) -> float:
        """Of a core, a call, for the bridge's own processes."""
        return sum(self.used[kind].cores for kind in OWN if kind in self.used) / self.calls * 100

    @property
    def idle_percent(self) -> float:
        """Of a core, for the bridge's own processes without a call."""
        return sum(self.resting[kind].cores for kind in OWN if kind in self.resting) * 100

    @property
    def added_percent(self) -> float:
        """Of a core, a call, above what the bridge takes without one."""
        return self.cpu_percent - self.idle_percent / self.calls

    @property
    def mb(self) -> float:
        """PSS a call, for the bridge's own processes."""
        return sum(self.used[kind].mb for kind in OWN if kind in self.used) / self.calls

    @property
    def right(self) -> bool:
        """All calls came up, talked and ended; nothing was lost, foreign or damaged; each has one record."""
        whole = self.placed.good == self.calls == self.up and self.heard.right
        # The edge turns calls away by itself; a worker writes a record of it.
        turned_away = 0 if "kamailio" in self.used else len(self.refusals)
        return whole and self.records in {-1, self.calls + turned_away}

    @property
    def paced(self) -> bool:
        """Whether the gaps between packets are within the aim."""
        return self.heard.gaps.percentile(99) <= AIMS["gap_p99_ms"]

    def row(self) -> dict[str, Any]:
        """For the table. Percent of a core and MB are a call's."""
        setup, heard = self.placed.setup_ms, self.heard
        kinds = {
            f"{kind} %": f"{self.used[kind].cores / self.calls * 100:.2f}"
            for kind in (*OWN, *BESIDE, "engine", "telephones")
            if kind in self.used
        }
        return {
            "calls": self.calls,
            "right": f"{min(self.up, self.placed.good)}" + ("" if self.right else " WRONG"),
            "setup p50/95/99 ms": "/".join(f"{_percentile(setup, p):.0f}" for p in (50, 95, 99)),
            "added p50/95/99 ms": "/".join(
                f"{heard.rtt.percentile(p) - self.engine_ms:.0f}" for p in (50, 95, 99)
            ),
            "gap p50/99/max ms": "/".join(
                f"{gap:.1f}"
                for gap in (heard.gaps.percentile(50), heard.gaps.percentile(99), heard.gaps.largest)
            ),
            "lost": heard.faults["lost"] + heard.faults["tail"],
            "foreign": heard.faults["foreign"] + heard.faults["strangers"],
            "dry": heard.starved,
            "swapped": heard.reordered,
            "503 ms": f"{max((refusal.ms for refusal in self.refusals), default=float('nan')):.0f}",
            "CPU %": f"{self.cpu_percent:.2f}",
            "MB": f"{self.mb:.1f}",
            **kinds,
            "others": f"{self.others:.2f}",
            "slow ms": f"{self.slow_ms:.1f}",
        }

    def said(self) -> str:
        """One line while the run goes on."""
        gaps = f"gaps p99 {self.heard.gaps.percentile(99):.1f} ms"
        word = "right" if self.right else f"WRONG {self.wrongs()}"
        return f"{word}, {self.cpu_percent:.2f} % of a core and {self.mb:.1f} MB a call, {gaps}"

    def wrongs(self) -> str:
        """What is not right, in figures."""
        faults = {name: count for name, count in self.heard.faults.items() if count}
        facts = {
            "up": self.up,
            "ended well": self.placed.good,
            "sent": self.heard.sent,
            "back": self.heard.back,
        }
        calls = f" in calls {list(self.heard.wrong_calls[:10])}" if self.heard.wrong_calls else ""
        return f"{facts} {faults}{calls} records {self.records} {self.placed.said[-300:]}".strip()

    def to_dict(self) -> dict[str, Any]:
        """For the JSON file."""
        setup, heard = self.placed.setup_ms, self.heard
        spread = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
        return {
            "calls": self.calls,
            "right": self.right,
            "up": self.up,
            "ended_well": self.placed.good,
            "records": self.records,
            "setup_ms": {name: round(_percentile(setup, p), 2) for name, p in spread.items()},
            "added_ms": {
                name: round(heard.rtt.percentile(p) - self.engine_ms, 2) for name, p in spread.items()
            },
            "gap_ms": {name: heard.gaps.percentile(p) for name, p in spread.items()}
            | {"max": heard.gaps.largest},
            "telephone_late_ms": {"p99": heard.late.percentile(99), "max": heard.late.largest},
            "frames": {
                "sent": heard.sent,
                "back": heard.back,
                "starved": heard.starved,
                "reordered": heard.reordered,
                **heard.faults,
            },
            "refused": [asdict(refusal) for refusal in self.refusals],
            "cpu_percent_a_call": round(self.cpu_percent, 4),
            "pss_mb_a_call": round(self.mb, 3),
            "used": {kind: _rounded(usage) for kind, usage in self.used.items()},
            "resting": {kind: _rounded(usage) for kind, usage in self.resting.items()},
            "slow_ms": round(self.slow_ms, 3),
            "others_cores": round(self.others, 3),
        }


@dataclass(frozen=True, slots=True)
class RateStep:
    """New calls a second, each up for `hold_s`."""

    rate: float
    hold_s: float
    placed: Placed

    @property
    def right(self) -> bool:
        """Every call came up and ended."""
        return self.placed.good == self.placed.calls

    def to_dict(self) -> dict[str, Any]:
        """For the JSON file."""
        setup = {f"p{p}": round(_percentile(self.placed.setup_ms, p), 2) for p in (50, 95, 99)}
        counts = {"calls": self.placed.calls, "ended_well": self.placed.good}
        return {"rate": self.rate, "hold_s": self.hold_s, **counts, "setup_ms": setup}


def knee(levels: Sequence[Level]) -> int | None:
    """The largest number of calls before cost, pacing or rightness breaks; None when nothing broke.

    0: the first level is past it already.
    """
    cheapest = min((level.added_percent for level in levels), default=0.0)
    before = 0
    for level in levels:
        if not level.right or not level.paced or level.added_percent > cheapest * KNEE:
            return before
        before = level.calls
    return None


def summary(levels: Sequence[Level], steps: Sequence[RateStep]) -> list[str]:
    """The aims, each with what was seen."""
    last = levels[-1]
    costs = [level.added_percent for level in levels]
    idle = [level.idle_percent for level in levels]
    found = knee(levels)
    refusals = [refusal for level in levels for refusal in level.refusals]
    worst = max((refusal.ms for refusal in refusals), default=float("nan"))
    all_503 = bool(refusals) and all(refusal.status == 503 for refusal in refusals)
    best_rate = max((step.rate for step in steps if step.right), default=0.0)
    gap = last.heard.gaps.percentile(99)
    lines = [
        _aim(last.right, f"{last.calls} calls, all right", last.said()),
        _aim(gap <= AIMS["gap_p99_ms"], "pacing p99 ≤ 30 ms", f"{gap:.1f} ms"),
        _aim(
            last.cpu_percent <= AIMS["cpu_percent"],
            "CPU ≤ 1.0 % of a core a call",
            f"{last.cpu_percent:.2f} %",
        ),
        _aim(last.mb <= AIMS["mb"], "PSS ≤ 15 MB a call", f"{last.mb:.1f} MB"),
        _aim(
            all_503 and worst <= AIMS["refused_ms"],
            "the call after the last gets 503 in 100 ms",
            f"{worst:.1f} ms",
        ),
        f"     a call adds, at {levels[0].calls} to {last.calls}: {_range(costs)} % of a core; idle: {_range(idle)} %",
        f"     the knee: {'none up to here' if found is None else f'after {found} calls'}",
    ]
    if steps:
        lines.append(
            _aim(best_rate >= AIMS["rate"], "≥ 20 new calls a second", f"{best_rate:g}, every call right")
        )
    return lines


def _aim(ok: bool, aim: str, seen: str) -> str:
    return f"{'OK  ' if ok else 'MISS'} {aim}: {seen}"


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


def _percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(np.asarray(values, float), percent)) if values else float("nan")


def _rounded(usage: Usage) -> dict[str, float]:
    return {name: round(value, 4) for name, value in asdict(usage).items()}
