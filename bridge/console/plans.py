"""What the pages of the dialplan need of control: plans to look at, and the two ways to change which is in force.

A Look is one plan with the texts it was made of: that in force ("running"), the files as they are now ("disk"), or a
version that is kept. Values and a protocol; control's side is bridge/control_planwindow.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bridge.dialplan.plan import Plan
from bridge.errors import Problem

RUNNING, DISK = "running", "disk"


@dataclass(frozen=True, slots=True)
class Look:
    """`texts` by name in the plan's folder; `plan` None: the files are wrong, `problems` say why, or there is none."""

    which: str
    version: str = ""
    plan: Plan | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a reload or a rollback. `version`: in force now; `lagging`: workers that do not have it yet."""

    ok: bool
    action: str
    version: str
    changed: bool = False
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    note: str = ""
    lagging: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is in force, since when and why, and the last refusal (`refused_*`; "" when there is none to tell of).

    `others`: nodes that live besides this one.
    """

    version: str = ""
    since: float | None = None
    how: str = ""
    by: str = ""
    rolled_back: bool = False
    folder: str = ""
    watched: bool = False
    lagging: Mapping[str, str] = field(default_factory=dict)
    refused_action: str = ""
    refused_at: float = 0.0
    refused_how: str = ""
    refused_by: str = ""
    problems: tuple[Problem, ...] = ()
    others: tuple[str, ...] = ()


class Plans(Protocol):
    """What control knows of dialplans. Everything that reads files does so on a thread."""

    def standing(self) -> Standing:
        """As it is now."""

    async def heads(self) -> Sequence[Mapping[str, Any]]:
        """Every kept version, newest first: version, in_force, at, how, by, action, routes, agents, files."""

    async def look(self, which: str) -> Look:
        """RUNNING, DISK, or a version or its beginning. Raises BridgeError: there is no such."""

    async def reload(self, by: str, *, everywhere: bool = False) -> Done:
        """Put the files in force, or leave all as it is. `everywhere`: if it works, every other node reads its own."""

    async def rollback(self, version: str, by: str) -> Done:
        """Put a kept version in force."""
