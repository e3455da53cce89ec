"""The prompt files beside a dialplan, and which of them an agent means. Not worker-safe.

    prompts/*.md ──Library──► find(id, version) ──► PromptFile

A mistake in a prompt that no agent uses is a warning; in one that is used it is a mistake of the plan. Reads files,
writes none; any thread. Called by check.py, compile_agent.py and load.py.
"""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from bridge.dialplan import promptfile
from bridge.dialplan.promptfile import PromptFile
from bridge.dialplan.schema_agent import PromptUse
from bridge.errors import Problem
from bridge.fieldhelp import nearest
from bridge.yamlfile import KeyPath, YamlFile

FOLDER = "prompts"


class Library:
    """The prompts of one folder, read when the first is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._used: set[str] = set()

    @cached_property
    def _files(self) -> tuple[PromptFile, ...]:
        paths = sorted(one for one in self._folder.glob("*.md") if one.name[0] not in "._")
        return tuple(promptfile.read(path) for path in paths)

    def find(self, use: PromptUse) -> list[PromptFile]:
        """The files an agent may mean: one, if all is well."""
        return [
            one
            for one in self._files
            if one.front is not None and one.front.id == use.id and use.version in {None, one.front.version}
        ]

    def problems(self, document: YamlFile, path: KeyPath, use: PromptUse) -> Iterator[Problem]:
        """What is wrong with an agent's prompt; `path`: of the mapping `prompt`."""
        found = self.find(use)
        if not found:
            yield self._missing(document, path, use)
            return
        if len(found) > 1:
            yield self._several(document, path, use, found)
            return
        one = found[0]
        first = one.document.name not in self._used
        self._used.add(one.document.name)
        yield from one.problems if first else ()
        for name, what, hint in one.misfits(use.variables):
            yield document.problem((*path, "variables", name), what, hint)

    def _missing(self, document: YamlFile, path: KeyPath, use: PromptUse) -> Problem:
        known = [one.front for one in self._files if one.front is not None]
        versions = sorted(front.version for front in known if front.id == use.id)
        if versions:
            hint = f"there are: {', '.join(versions)}"
            return document.problem((*path, "version"), f"prompt {use.id} has no version {use.version}", hint)
        self._used |= {one.document.name for one in self._files if one.front is None}
        unread = [problem for one in self._files if one.front is None for problem in one.problems]
        hint = (
            f"perhaps it is in this file: {unread[0]}"
            if unread
            else nearest(use.id, {one.id for one in known}) or f"put a file there that says id: {use.id}"
        )
        return document.problem((*path, "id"), f"no prompt {use.id} in {self._folder}", hint)

    def _several(self, document: YamlFile, path: KeyPath, use: PromptUse, found: list[PromptFile]) -> Problem:
        versions = [one.front.version for one in found if one.front]
        if use.version is None:
            hint = f"version: {' or '.join(sorted(versions))}"
            return document.problem((*path, "id"), f"prompt {use.id} has several versions", hint)
        files = ", ".join(Path(one.document.name).name for one in found)
        message = f"prompt {use.id} version {use.version} is in several files: {files}"
        return document.problem((*path, "id"), message, "give one another version")

    def warnings(self) -> Iterator[Problem]:
        """Mistakes in prompts that nobody uses."""
        for one in self._files:
            if one.document.name not in self._used:
                yield from one.problems


def library(folder: Path) -> Library:
    """The prompts beside a dialplan file in `folder`."""
    return Library(folder / FOLDER)
