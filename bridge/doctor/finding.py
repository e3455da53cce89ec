"""What a check found: a section, a level, one sentence, and what to do. Pure."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any


class Level(IntEnum):
    """How bad it is. `FAIL`: calls will not work, or not safely; `WARN`: they may not, soon or under load."""

    OK = 0
    NOTE = 1
    WARN = 2
    FAIL = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence for the operator; `do` is empty when nothing needs to be done."""

    section: str
    level: Level
    text: str
    do: str = ""

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "level": self.level.name.lower()}


SECTIONS = {
    "settings": "settings and secrets",
    "dialplan": "dialplan",
    "processes": "processes",
    "nodes": "nodes",
    "ports": "ports",
    "addresses": "addresses",
    "audio": "audio of browsers",
    "call": "test call",
    "certificates": "certificates",
    "clock": "clock",
    "kernel": "kernel and limits",
    "disk": "disk",
    "store": "store",
    "versions": "versions and known flaws",
    "providers": "providers",
    "mcp": "MCP servers",
    "files": "files and accounts",
    "sign-in": "signing in to the console",
    "zones": "time zones",
}
"""In the order in which they are shown."""


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """By section, and in it the worst first."""
    places = list(SECTIONS)
    return sorted(findings, key=lambda one: (places.index(one.section), -one.level))


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level; OK of nothing."""
    return max((one.level for one in findings), default=Level.OK)
