"""Reads flaws.toml, the dated table of known flaws. A file of the package, so a mistake in it is ours."""

import tomllib
from pathlib import Path

from bridge.doctor.parts import Flaw


def read() -> tuple[str, list[Flaw]]:
    """(date of the table, its rows)."""
    data = tomllib.loads(Path(__file__).with_name("flaws.toml").read_text(encoding="utf-8"))
    return data["as_of"], [Flaw(**row) for row in data["flaws"]]
