"""Tools that agents name and nobody has. Warnings: the plan works, the agent only cannot do what it should.

Pure: the names come in. Not worker-safe. Called by bridge/dialplan/load.py.
"""

from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase

from bridge.dialplan.source import Source
from bridge.errors import Problem
from bridge.fieldhelp import nearest


def warnings(sources: Sequence[Source], tools: Collection[str]) -> Iterator[Problem]:
    """One for each name of an agent's `tools` that fits none of `tools`; `SERVER__*` fits all of a server."""
    for source in sources:
        for name, agent in source.agents():
            for number, wanted in enumerate(agent.tools):
                if not any(fnmatchcase(tool, wanted) for tool in tools):
                    path = ("agents", name, "tools", number)
                    hint = nearest(wanted, tools) or "see sipbridge tools list"
                    yield source.document.problem(path, f"there is no tool {wanted}", hint)
