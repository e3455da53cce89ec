"""`sipbridge dialplan test`: put the calls of the test files beside a plan through it, and say what came otherwise.

One line a case; exit status 1 when one fails, when a file is wrong and when there is nothing to test. Dials nobody.
"""

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.planread import Config, PlanPath, count, plan_at, refused, settings_of
from bridge.dialplan.cases import Verdict, files, judge, plan_of, read
from bridge.errors import DialplanError

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only what fails, and the sum.")]


def run_tests(path: PlanPath = None, *, quiet: Quiet = False, config: Config = None) -> None:
    """Run the tests (*.test.yaml) beside a dialplan. Exit code 1: one fails, or there is none."""
    loaded = settings_of(config)
    wanted = path or loaded.dialplans
    plan = plan_at(plan_of(wanted), loaded).plan
    found = files(wanted)
    if not found:
        typer.echo(f"{wanted}: no *.test.yaml beside it (sipbridge dialplan new writes an example)")
        raise typer.Exit(1)
    verdicts: list[Verdict] = []
    for file in found:
        try:
            verdicts += judge(read(file, plan), plan)
        except DialplanError as error:
            raise refused(error) from None
    for verdict in verdicts:
        if verdict.misfits or not quiet:
            typer.echo("\n".join(_lines(verdict)))
    failed = [verdict for verdict in verdicts if verdict.misfits]
    typer.echo(f"{count(verdicts, 'test')}, {len(failed)} failed")
    raise typer.Exit(bool(failed))


def _lines(verdict: Verdict) -> list[str]:
    if not verdict.misfits:
        return [f"ok    {verdict.name}: {verdict.route or 'no route'}"]
    where = f"{Path(verdict.file)}:{verdict.line}"
    lines = [f"FAIL  {verdict.name} ({where})"]
    return lines + [f"      {verdict.file}:{one.line}: {one}" for one in verdict.misfits]
