"""`sipbridge dialplan set|unset|add-holiday`: the changes that come every week, without an editor.

The file keeps its comments, anchors and order. The change is shown, as lines and as what it means for calls; the whole
plan is checked with it first; then the file is replaced in one step. A running bridge takes it up when it reloads.
"""

import difflib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.cli.planread import Config, plan_at, refused, settings_of
from bridge.control_plan import around
from bridge.dialplan.diff import compare
from bridge.dialplan.edit import Change, adding, edited, parts, setting, unsetting
from bridge.dialplan.files import Documents
from bridge.dialplan.load import inspect
from bridge.dialplan.plan import Plan
from bridge.errors import DialplanError, Problem
from bridge.settings import Settings

KeyPath = Annotated[str, typer.Argument(help="Such as agents.night.voice or 'routes[front desk].when.to'.")]
Value = Annotated[str, typer.Argument(help="As it would stand in the file (YAML).")]
InPlan = Annotated[Path | None, typer.Option("--plan", help="File or folder; the settings' when left out.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the change, write nothing.")]
Name = Annotated[str, typer.Argument(help="Name of the opening hours.")]
Dates = Annotated[list[str], typer.Argument(help="Such as 2026-12-31 or 12-25; more than one is possible.")]


def set_value(
    path: KeyPath, value: Value, *, plan: InPlan = None, dry_run: DryRun = False, config: Config = None
) -> None:
    """Set one value: a number of a route, a voice, a window of the opening hours."""
    _edit(settings_of(config), plan, path, setting(path, value), dry_run=dry_run)


def unset(path: KeyPath, *, plan: InPlan = None, dry_run: DryRun = False, config: Config = None) -> None:
    """Take one key or list entry out."""
    _edit(settings_of(config), plan, path, unsetting(path), dry_run=dry_run)


def add_holiday(
    hours: Name, dates: Dates, *, plan: InPlan = None, dry_run: DryRun = False, config: Config = None
) -> None:
    """Close on a day: add it to the holidays of opening hours."""
    path = f"hours[{hours}].holidays"
    _edit(settings_of(config), plan, path, adding(path, dates), dry_run=dry_run)


def _edit(loaded: Settings, plan: Path | None, path: str, change: Change, *, dry_run: bool) -> None:
    whole = plan or loaded.dialplans
    before = plan_at(whole, loaded).plan
    try:
        file = file_with(whole, path, loaded.environment)
        old = file.read_bytes().decode("utf-8-sig")
        new = edited(str(file), old, change)
        if new == old:
            typer.echo("nothing to change (what comes by << or * is written elsewhere: change it there)")
            return
        after = checked(whole, file, new, loaded)
    except DialplanError as error:
        raise refused(error) from None
    typer.echo("".join(_text_diff(file, old, new)), nl=False)
    for one in compare(before, after):
        typer.echo("\n    ".join((f"{one.sign} {one.what}", *one.lines)))
    if dry_run:
        typer.echo("not written (--dry-run)")
        return
    write(file, new)
    typer.echo(f"{file}: written; sipbridge dialplan reload brings it into force")


def file_with(whole: Path, path: str, environment: str | None = None) -> Path:
    """The file of a plan in which the first two parts of a path are written. Raises DialplanError."""
    if not whole.is_dir():
        return whole
    section, *name = parts(path)[:2]
    documents = Documents(whole, environment).documents
    found = [Path(one.name) for one, _ in documents if _holds(one.data, section, *name)]
    if len(found) == 1:
        return found[0]
    said = f"{path} is in {len(found)} files" if found else f"no file has {path}"
    raise DialplanError([Problem(str(whole), 0, 0, "", said, "name the file with --plan")])


def _holds(data: Any, section: str, name: str = "") -> bool:
    """Whether a file has this section, and in it this name: a key, or the name of a route."""
    found = data.get(section) if isinstance(data, dict) else None
    if not name or found is None:
        return found is not None
    if isinstance(found, list):
        return any(isinstance(one, dict) and one.get("name") == name for one in found)
    return isinstance(found, dict) and name in found


def checked(whole: Path, file: Path, text: str, loaded: Settings) -> Plan:
    """The plan as it would be with the new text of one of its files. Raises DialplanError."""
    return inspect(whole, around(loaded), environment=loaded.environment, instead={file: text}).plan


def write(file: Path, text: str) -> None:
    """All of the text or what was there before, whatever happens in between; mode and links stay."""
    target = file.resolve()
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8", newline="")
    fresh.chmod(target.stat().st_mode & 0o777)
    fresh.replace(target)


def _text_diff(file: Path, old: str, new: str) -> Iterator[str]:
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), str(file), str(file), n=1
    )
    return (line if line.endswith("\n") else f"{line}\n" for line in lines)
