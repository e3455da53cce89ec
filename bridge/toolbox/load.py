"""A folder of tool files to a toolbox: one module a file, one tool a decorated function.

A file that cannot be used is a Problem with its line, and the other files go on. Files whose name begins with an
underscore are helpers for the others (`from _shop import …` is not possible: use `helper(__file__, "_shop")`). Control
and the CLI load at start and on reload; loading runs the files' code, which ops own.
"""

import importlib.util
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from bridge.errors import Problem, ToolError
from bridge.toolbox.spec import MARK, ToolSpec, spec_of


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools by name, and what is wrong with the files that gave none."""

    tools: Mapping[str, ToolSpec]
    problems: tuple[Problem, ...] = ()


def load(folder: Path) -> Toolbox:
    """The tools of a folder; a folder that is not there is an empty one."""
    _forget_helpers(folder)
    tools: dict[str, ToolSpec] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.py")):
        if path.name.startswith("_"):
            continue
        try:
            module = _module(path)
        except Exception as error:  # noqa: BLE001  # whatever an ops file raises is that file's problem
            problems.append(Problem(str(path), _line(error, path), 0, "", f"{type(error).__name__}: {error}"))
            continue
        for function in vars(module).values():
            if not hasattr(function, MARK) or function.__module__ != module.__name__:
                continue
            line = function.__code__.co_firstlineno
            try:
                spec = spec_of(function)
            except ToolError as error:
                problems.append(Problem(str(path), line, 0, function.__name__, str(error)))
                continue
            if "__" in spec.name:
                message = f"{spec.name}: two underscores are for tools of MCP servers (SERVER__TOOL)"
                problems.append(Problem(str(path), line, 0, spec.name, message, "rename it"))
                continue
            if spec.name in tools:
                message = f"there is a tool {spec.name} at {tools[spec.name].where} already"
                problems.append(Problem(str(path), line, 0, spec.name, message, "rename one of them"))
                continue
            tools[spec.name] = spec
    return Toolbox(tools, tuple(problems))


def helper(file: str, name: str) -> ModuleType:
    """The module `name`.py beside `file`, loaded once."""
    path = Path(file).with_name(f"{name}.py")
    known = sys.modules.get(_name(path))
    return known if known is not None else _module(path)


def _forget_helpers(folder: Path) -> None:
    """A reload reads helpers anew too."""
    for path in folder.glob("_*.py"):
        sys.modules.pop(_name(path), None)


def _name(path: Path) -> str:
    return f"sipbridge_tools.{path.resolve().as_posix().strip('/').replace('/', '.').removesuffix('.py')}"


def _module(path: Path) -> ModuleType:
    name = _name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ToolError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _line(error: BaseException, path: Path) -> int:
    if isinstance(error, SyntaxError):
        return error.lineno or 0
    here = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    return (here[-1] if here else 0) or 0
