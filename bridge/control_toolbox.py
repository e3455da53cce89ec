"""The tools that there are, and the policy over them: functions of the tools folder and MCP servers, as one.

    tools/*.py ──► functions ┐
    settings.mcp ► servers ──┴► tools (live view)      tools/policy.yaml ──► policy

Loaded at start, as far as the files are right, and again at a reload, all or nothing (control_dialplan.py). Without any
policy nothing is offered. Runs in control.
"""

import asyncio
import fnmatch
import hashlib
from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from bridge.approval.policy import Policy
from bridge.approval.policy import load as load_policy
from bridge.approval.policy_lint import misfits
from bridge.console.card import Described
from bridge.control_health import Metric
from bridge.errors import PolicyError, Problem
from bridge.settings import Settings
from bridge.settings_tools import McpServer
from bridge.toolbox.load import Toolbox
from bridge.toolbox.load import load as load_functions
from bridge.toolbox.mcplock import LOCK
from bridge.toolbox.mcptools import SEPARATOR
from bridge.toolbox.spec import ToolSpec

log = structlog.get_logger(__name__)

POLICY = "policy.yaml"


@dataclass(frozen=True, slots=True)
class FreshTools:
    """Functions and policy as the files have them. `policy` None: there is none, or it is broken."""

    loaded: Toolbox
    policy: Policy | None
    policy_problems: tuple[Problem, ...]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every mistake."""
        return (*self.loaded.problems, *self.policy_problems)


class ToolSource:
    """`tools`: what may be offered and run now, by name; it changes in place. `policy`: None until one was good."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self.policy: Policy | None = None
        self._folder = settings.tools
        self.step_up = settings.console.step_up
        self._functions: dict[str, ToolSpec] = {}
        self._last: tuple[str, Toolbox] | None = None
        self._provider_run = {name: one for name, one in settings.mcp.items() if one.run_by == "provider"}
        self.tools: Mapping[str, ToolSpec] = self._functions
        self.mcp = None
        if settings.mcp:
            # Only who uses MCP pays for its SDK: 60 MB and a second of start.
            from bridge.toolbox.mcpclient import McpServers  # noqa: PLC0415

            self.mcp = McpServers(settings.mcp, self._folder / LOCK, environ, settings.state_dir / "log")
            self.tools = ChainMap(self._functions, self.mcp.specs)

    @classmethod
    def of(cls, tools: Mapping[str, ToolSpec], policy: Policy, settings: Settings) -> "ToolSource":
        """A source of tools that are there already."""
        source = cls(settings, {})
        source.tools, source.policy = tools, policy
        return source

    def load(self) -> None:
        """Read functions and policy and put what is right in force, at the start. Blocks."""
        fresh = self.read()
        for problem in fresh.loaded.problems:
            log.error("tools.refused", problem=str(problem))
        for problem in fresh.policy_problems:
            log.error("policy.refused", problem=str(problem))
        self.take(fresh)

    def read(self) -> "FreshTools":
        """What the files say now; nothing comes into force. Blocks.

        Files that are as they were are not run again: an approval that waits is bound to the very function it is for.
        """
        fingerprint = _fingerprint(self._folder)
        if self._last is None or self._last[0] != fingerprint:
            self._last = fingerprint, load_functions(self._folder)
        loaded = self._last[1]
        try:
            policy = load_policy(self._folder / POLICY)
        except PolicyError as error:
            if (self._folder / POLICY).exists():
                return FreshTools(loaded, None, error.problems)
            if loaded.tools or self.mcp is not None:  # odd, but no reason to refuse a dialplan
                for problem in error.problems:
                    log.error("policy.refused", problem=str(problem))  # noqa: TRY400  # it says it all
            return FreshTools(loaded, None, ())
        return FreshTools(loaded, policy, ())

    def take(self, fresh: "FreshTools") -> None:
        """Put it in force, in one step: a broken file keeps the tools it gave, a broken policy the one in force."""
        loaded, policy = fresh.loaded, fresh.policy
        broken = {problem.file for problem in loaded.problems}
        kept = {
            name: spec for name, spec in self._functions.items() if spec.where.rpartition(":")[0] in broken
        }
        self._functions.clear()
        self._functions.update({**kept, **loaded.tools})
        if policy is None:
            return
        self.policy = policy
        known = {name: spec.schema for name, spec in self._functions.items()}
        for warning in (*policy.warnings, *(misfits(policy, known) if self.mcp is None else ())):
            log.warning("policy.odd", problem=str(warning))
        log.info("tools.in_force", tools=sorted(self._functions), policy=policy.version)

    def hidden(self, tool: str) -> tuple[str, ...]:
        """Arguments of a tool that no log and no message shows."""
        spec = self.tools.get(tool)
        return spec.options.redact if spec is not None else ()

    def described(self, tool: str) -> Described:
        """What a tool does, in its maker's words; nothing when there is none of this name any more."""
        spec = self.tools.get(tool)
        return Described(spec.options.description, spec.origin != "function") if spec else Described()

    def metrics(self) -> tuple[Metric, ...]:
        """Of the MCP servers: which are connected, and what waits for an admin. Servers are those of the settings."""
        connections = self.mcp.connections if self.mcp is not None else {}
        up = tuple(({"server": name}, float(not one.problem)) for name, one in connections.items())
        pending = len(self.mcp.pending) if self.mcp is not None else 0
        waits = "Tools of MCP servers that an admin has not accepted."
        return (
            Metric("sipbridge_mcp_connected", "gauge", "1 while the MCP server is connected.", up),
            Metric("sipbridge_mcp_tools_pending", "gauge", waits, (({}, float(pending)),)),
        )

    async def run(self) -> None:
        """Keep the MCP servers connected, until cancelled."""
        if self.mcp is not None:
            await self.mcp.run()
        await asyncio.Event().wait()

    def offer(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """The `tools` of a Realtime session for an agent that may use these names; `SERVER__*` stands for all of it."""
        if self.policy is None:
            return []
        wanted = list(names)
        entries = [self._provider_entry(name, one, wanted) for name, one in self._provider_run.items()]
        offered = [entry for entry in entries if entry]
        missing = []
        for name in wanted:
            found = [
                spec
                for known, spec in self.tools.items()
                if fnmatch.fnmatchcase(known, name) and spec.origin != "provider"
            ]
            offered += [spec.definition() for spec in found if spec.definition() not in offered]
            if not found and name.partition(SEPARATOR)[0] not in self._provider_run:
                missing.append(name)
        if missing:
            log.warning("tools.missing", names=missing)
        return offered

    def _provider_entry(self, label: str, server: McpServer, wanted: Iterable[str]) -> dict[str, Any] | None:
        """A server whose tools the Realtime provider calls: never without asking us (require_approval)."""
        prefix = label + SEPARATOR
        patterns = [name.removeprefix(prefix) for name in wanted if name.startswith(prefix)]
        accepted = [name.removeprefix(prefix) for name, spec in self.tools.items() if name.startswith(prefix)]
        allowed = [tool for tool in accepted if any(fnmatch.fnmatchcase(tool, one) for one in patterns)]
        if not allowed:
            return None
        return {
            "type": "mcp",
            "server_label": label,
            "server_url": server.url,
            "allowed_tools": sorted(allowed),
            "require_approval": "always",
        }


def folder_of(settings: Settings) -> Path:
    """Where tools keep their own files."""
    return settings.state_dir / "tools"


def _fingerprint(folder: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        whole.update(f"{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()
