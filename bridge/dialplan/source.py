"""One dialplan file, read and typed. Not worker-safe. Called by load, check and the compilers."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bridge.dialplan.prompts import Library
from bridge.dialplan.schema import Dialplan, Route
from bridge.dialplan.schema_agent import Agent
from bridge.yamlfile import KeyPath, YamlFile


@dataclass(frozen=True, slots=True)
class Source:
    """One dialplan file, read and typed. `folder`: what its paths are relative to.

    `broken`: paths of agents and routes that could not be typed (told already); in `spec` something empty stands
    for them, so that names and numbers stay. `prompts`: of the folder beside the file.
    """

    document: YamlFile
    spec: Dialplan
    folder: Path
    broken: frozenset[KeyPath] = frozenset()
    prompts: Library = field(default_factory=lambda: Library(Path()))

    def agents(self) -> Iterator[tuple[str, Agent]]:
        """Those that could be typed."""
        return ((name, one) for name, one in self.spec.agents.items() if ("agents", name) not in self.broken)

    def routes(self) -> Iterator[tuple[int, Route]]:
        """Those that could be typed, with their number."""
        numbered = enumerate(self.spec.routes)
        return ((number, one) for number, one in numbered if ("routes", number) not in self.broken)


def play_path(source: Source, text: str) -> Path:
    """The absolute path of a `play` file."""
    return Path(source.folder, text).absolute()
