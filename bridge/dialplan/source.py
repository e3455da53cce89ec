"""One dialplan file, read and typed. Not worker-safe. Called by load, check and the compilers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bridge.dialplan.prompts import Library
from bridge.dialplan.schema import Dialplan, Route
from bridge.dialplan.schema_agent import Agent
from bridge.dialplan.schema_hours import Hours
from bridge.dialplan.schema_queues import Queue
from bridge.dialplan.schema_steps import Step
from bridge.yamlfile import KeyPath, YamlFile

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """One dialplan file, read and typed. `folder`: what its paths are relative to; they may not leave `root`.

    `broken`: paths of named things and routes that could not be typed (told already); in `spec` something empty stands
    for them, so that names and numbers stay. `prompts`: of the folder beside the file.
    """

    document: YamlFile
    spec: Dialplan
    folder: Path
    root: Path
    broken: frozenset[KeyPath] = frozenset()
    prompts: Library = field(default_factory=lambda: Library(Path()))

    def typed(self, section: Mapping[str, T], key: str) -> Iterator[tuple[str, T]]:
        """Those of `section`, which stands under the top-level `key`, that could be typed."""
        return ((name, one) for name, one in section.items() if (key, name) not in self.broken)

    def agents(self) -> Iterator[tuple[str, Agent]]:
        """Those that could be typed."""
        return ((name, one) for name, one in self.spec.agents.items() if ("agents", name) not in self.broken)

    def flows(self) -> Iterator[tuple[str, list[Step]]]:
        """Those that could be typed."""
        return ((name, one) for name, one in self.spec.flows.items() if ("flows", name) not in self.broken)

    def queues(self) -> Iterator[tuple[str, Queue]]:
        """Those that could be typed."""
        return ((name, one) for name, one in self.spec.queues.items() if ("queues", name) not in self.broken)

    def hours(self) -> Iterator[tuple[str, Hours]]:
        """Those that could be typed."""
        return ((name, one) for name, one in self.spec.hours.items() if ("hours", name) not in self.broken)

    def routes(self) -> Iterator[tuple[int, Route]]:
        """Those that could be typed, with their number."""
        numbered = enumerate(self.spec.routes)
        return ((number, one) for number, one in numbered if ("routes", number) not in self.broken)


def music_path(source: Source, text: str | None) -> str:
    """The absolute path of a `music` file; "" when none is named."""
    return str(play_path(source, text)) if text else ""


def play_path(source: Source, text: str) -> Path:
    """The absolute path of a `play` file."""
    return Path(source.folder, text).absolute()
