"""`sipbridge dialplan new TEMPLATE [FILE]`: a whole dialplan to begin with, its tests, and the schemas for an editor.

The templates are dialplans/examples/*, which are loaded and tested with the bridge. Nothing that is there is
overwritten. The first line of each file tells editors (VS Code: the extension YAML by Red Hat) where its schema is, so
that keys are completed and mistakes are underlined.
"""

from pathlib import Path
from typing import Annotated

import typer

import bridge
from bridge.cli.planschema import cases_schema, json_schema
from bridge.dialplan.cases import beside
from bridge.fieldhelp import nearest

EXAMPLES = Path(bridge.__file__).parents[1] / "dialplans" / "examples"
HEADER = "# yaml-language-server: $schema="
PLAN_SCHEMA, CASES_SCHEMA = "schema.json", "test.schema.json"

Template = Annotated[
    str, typer.Argument(help="clinic, shop, help-desk or after-hours; a list when left out.")
]
File = Annotated[Path | None, typer.Argument(help="The dialplan to write; TEMPLATE.yaml when left out.")]


def new(template: Template = "", file: File = None) -> None:
    """Begin a dialplan from a template, with its tests."""
    known = {
        folder.name: folder / f"{folder.name}.yaml"
        for folder in sorted(EXAMPLES.glob("*"))
        if folder.is_dir()
    }
    if not template:
        for name, source in known.items():
            typer.echo(f"{name:12} {about(source)}")
        return
    if template not in known:
        raise typer.BadParameter(f"there is no template {template} ({nearest(template, known)})")
    source, target = known[template], file or Path(f"{template}.yaml")
    if target.suffix not in {".yaml", ".yml"}:
        raise typer.BadParameter(f"{target} must end in .yaml")
    texts = {
        target: _named(source, target, PLAN_SCHEMA),
        beside(target): _named(beside(source), target, CASES_SCHEMA),
    }
    there = [str(one) for one in texts if one.exists()]
    if there:
        typer.echo(f"{' and '.join(there)} is there already: name another file")
        raise typer.Exit(1)
    target.parent.mkdir(parents=True, exist_ok=True)
    schemas = {PLAN_SCHEMA: json_schema(), CASES_SCHEMA: cases_schema()}
    texts |= {
        target.with_name(name): text for name, text in schemas.items() if not target.with_name(name).exists()
    }
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    typer.echo(f"{target} and {beside(target).name} written; now:")
    for verb in ("check", "test", "graph", "simulate"):
        more = {"graph": f" -o {target.with_suffix('.svg')}", "simulate": " --to 100"}.get(verb, "")
        typer.echo(f"  sipbridge dialplan {verb} {target}{more}")


def about(source: Path) -> str:
    """The first sentence of a template's head."""
    lines = (line.removeprefix("#").strip() for line in source.read_text(encoding="utf-8").splitlines()[1:])
    return next((line for line in lines if line), "").partition(". ")[0].rstrip(".:")


def _named(source: Path, target: Path, schema: str) -> str:
    """The template's text with its own schema line, and with the new file's name in its comments."""
    _, _, rest = source.read_text(encoding="utf-8").partition("\n")
    old = source.parent.name
    for suffix in (".yaml", ".svg"):
        rest = rest.replace(f" {old}{suffix}", f" {target.with_suffix(suffix).name}")
    return f"{HEADER}{schema}\n{rest}"
