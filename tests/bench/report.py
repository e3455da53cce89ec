"""Figures, their targets, the table and the JSON. Pure but for `write`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

STATS = ("min", "p50", "p95", "p99", "max")


@dataclass(frozen=True, slots=True)
class Measure:
    """Samples of one thing. `targets`: statistic → limit; a statistic must not exceed it (`at_least`: fall below)."""

    name: str
    unit: str
    values: Sequence[float]
    targets: dict[str, float] = field(default_factory=dict)
    at_least: bool = False
    note: str = ""

    def stat(self, name: str) -> float:
        """One statistic of the samples; nan when there are none."""
        values = np.asarray(self.values, float)
        if not len(values):
            return float("nan")
        if name in {"min", "max"}:
            return float(getattr(values, name)())
        return float(np.percentile(values, float(name[1:])))

    @property
    def verdict(self) -> str:
        """OK, MISS, or nothing when there is no target. No samples is a miss."""
        if not self.targets:
            return ""
        sign = -1 if self.at_least else 1
        ok = all(sign * self.stat(name) <= sign * limit for name, limit in self.targets.items())
        return "OK" if ok else "MISS"

    @property
    def target(self) -> str:
        """The targets in words."""
        compare = "≥" if self.at_least else "≤"
        return ", ".join(f"{name} {compare} {limit:g}" for name, limit in self.targets.items())

    def to_dict(self) -> dict[str, Any]:
        """For the JSON file."""
        stats = {name: round(self.stat(name), 4) for name in STATS}
        fields = {"name": self.name, "unit": self.unit, "n": len(self.values), **stats}
        return {**fields, "targets": self.targets, "verdict": self.verdict, "note": self.note}


def table(measures: Sequence[Measure]) -> Table:
    """One row a measure."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("measure")
    for name in ("unit", "n", *STATS):
        grid.add_column(name, justify="right")
    grid.add_column("target")
    grid.add_column("")
    for measure in measures:
        numbers = (f"{measure.stat(name):.{_digits(measure)}f}" for name in STATS)
        verdict = measure.verdict
        style = {"OK": "green", "MISS": "bold red"}.get(verdict, "")
        shown = f"[{style}]{verdict}[/]" if style else ""
        grid.add_row(measure.name, measure.unit, str(len(measure.values)), *numbers, measure.target, shown)
    return grid


def _digits(measure: Measure) -> int:
    return 0 if measure.unit in {"packets", "samples"} else 2


def write(measures: Sequence[Measure], facts: dict[str, Any], path: Path) -> None:
    """The table to the terminal, everything to the file."""
    console = Console(width=None if Console().is_terminal else 150)
    console.print(table(measures))
    notes = [measure for measure in measures if measure.note]
    for measure in notes:
        console.print(f"  {measure.name}: {measure.note}", style="dim", highlight=False)
    console.print(", ".join(f"{name}: {value}" for name, value in facts.items()), highlight=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {"facts": facts, "measures": [measure.to_dict() for measure in measures]}
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(f"written to {path}")
