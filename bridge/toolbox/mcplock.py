"""The lock file of MCP tools: which definitions an admin has accepted, each by its hash.

    tools/mcp.lock.json   {"SERVER": {"TOOL": {hash, definition, accepted_by, accepted_at}}}

A definition that is not in it, or not the same any more, is not offered to any model and not run: a server cannot put
words into a prompt, or another meaning behind a name, that nobody has read. Written by `sipbridge tools accept`; keep
it under version control beside the tools. Files only, no server.
"""

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bridge.errors import ToolError
from bridge.toolbox.mcptools import McpDefinition

LOCK = "mcp.lock.json"
Standing = Literal["accepted", "new", "changed"]


@dataclass(frozen=True, slots=True)
class Pinned:
    """What was accepted, and by whom."""

    hash: str
    definition: Mapping[str, Any]
    accepted_by: str
    accepted_at: float


class McpLock:
    """The lock file at `path`; one that is not there accepts nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pins: dict[tuple[str, str], Pinned] = {}
        self._seen: object = None

    def read(self) -> None:
        """Read it again if it changed. Raises ToolError: it cannot be read, and then nothing is accepted."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self.pins, self._seen = {}, None
            return
        seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if seen == self._seen:
            return
        self.pins = {}
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
            self.pins = {
                (server, tool): Pinned(**pin) for server, tools in data.items() for tool, pin in tools.items()
            }
        except (OSError, ValueError, TypeError, AttributeError) as error:
            self._seen = None
            raise ToolError(f"{self.path} cannot be read: {error}. No MCP tool is accepted.") from error
        self._seen = seen

    def standing(self, definition: McpDefinition) -> Standing:
        """How a definition stands to what was accepted."""
        pin = self.pins.get((definition.server, definition.tool))
        if pin is None:
            return "new"
        return "accepted" if pin.hash == definition.hash else "changed"

    def accept(self, definitions: Iterable[McpDefinition], by: str, at: float) -> None:
        """Accept these, beside what is there; the file is replaced whole. `at` is unix seconds."""
        self.read()
        for one in definitions:
            self.pins[one.server, one.tool] = Pinned(one.hash, one.content(), by, at)
        self._write()

    def remove(self, server: str, tools: Iterable[str]) -> None:
        """Take back what was accepted."""
        self.read()
        for tool in tools:
            self.pins.pop((server, tool), None)
        self._write()

    def _write(self) -> None:
        data: dict[str, dict[str, Any]] = {}
        for (server, tool), pin in sorted(self.pins.items()):
            data.setdefault(server, {})[tool] = {
                "hash": pin.hash,
                "definition": pin.definition,
                "accepted_by": pin.accepted_by,
                "accepted_at": pin.accepted_at,
            }
        draft = self.path.with_name(self.path.name + ".new")
        draft.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        draft.replace(self.path)

    def difference(self, definition: McpDefinition) -> list[str]:
        """What changed since it was accepted, as lines of a unified diff."""
        pin = self.pins.get((definition.server, definition.tool))
        old = _lines(pin.definition) if pin else []
        new = _lines(definition.content())
        found = [*difflib.unified_diff(old, new, "accepted", "now", lineterm="", n=1)]
        return found or ["the change is in characters that cannot be shown"]


def _lines(content: Mapping[str, Any]) -> list[str]:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=True).splitlines()
