"""`sipbridge policy check|explain|replay`: look at the policy before it is live.

Prints to standard output and exits 1 when the policy cannot be used. Reads the settings, the tools folder and its
policy, and for replay the store; runs no tool, changes nothing. Not worker-safe.
"""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge import settings
from bridge.approval.policy import Facts, Policy, load
from bridge.approval.policy_lint import misfits, too_few
from bridge.approval.request import Actor, Ruling
from bridge.approval.tally import Past
from bridge.approval.tally import counts as counts_of
from bridge.errors import PolicyError, StoreError
from bridge.localday import midnight
from bridge.store.gaterows import StoredRequest
from bridge.store.gatestore import GateStore
from bridge.store.store import Store
from bridge.store.userstore import UserStore
from bridge.toolbox.load import Toolbox
from bridge.toolbox.load import load as load_toolbox
from bridge.toolbox.run import validate

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Check, explain and replay the policy for function tools.",
)

PolicyPath = Annotated[
    Path | None, typer.Option("--policy", help="Policy file; tools/policy.yaml when left out.")
]
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
MAX_REPLAYED = 10_000
Risk = Annotated[str, typer.Option("--risk", help="Of a tool that is not in the tools folder.")]


@app.command()
def check(policy: PolicyPath = None, config: Config = None) -> None:
    """Find mistakes. Exit code 0: the policy can be used."""
    rules, toolbox = _load(policy, config)
    for problem in toolbox.problems:
        typer.echo(f"{problem} [tool]")
    people = asyncio.run(_people(config))
    for warning in (
        *rules.warnings,
        *misfits(rules, {name: spec.schema for name, spec in toolbox.tools.items()}),
        *(too_few(rules, people) if people is not None else ()),
    ):
        typer.echo(f"{warning} [warning]")
    typer.echo(f"version {rules.version}: {len(rules.rules)} rules")
    for rule in rules.rules:
        effect = " then ".join(
            key for key in ("allow", "deny", "confirm", "ask") if getattr(rule.spec, key) is not None
        )
        typer.echo(f"  {rule.spec.name}: {effect}")


async def _people(config: Path | None) -> list[Actor] | None:
    """Who there is; None where no bridge has run yet, as on the machine of who writes the policy."""
    try:
        async with Store(str(settings.load(config, os.environ).store), migrate=False) as store:
            return [user.actor() for user in await UserStore(store).users() if not user.disabled]
    except StoreError:
        return None


@app.command()
def explain(  # noqa: PLR0913, PLR0917  # one option a fact
    tool: Annotated[str, typer.Argument(help="Name of the tool.")],
    arguments: Annotated[str, typer.Argument(help="JSON, as the model would write it.")] = "{}",
    caller: Annotated[str, typer.Option("--from", help="The caller's number.")] = "",
    verified: Annotated[bool, typer.Option("--verified", help="The caller is verified.")] = False,
    agent: Annotated[str, typer.Option("--agent", help="The agent's name.")] = "",
    counts: Annotated[str, typer.Option("--counts", help="JSON of call, caller and day.")] = "{}",
    hour: Annotated[int | None, typer.Option("--hour", min=0, max=23, help="Now when left out.")] = None,
    weekday: Annotated[int | None, typer.Option("--weekday", min=1, max=7, help="1 is Monday.")] = None,
    risk: Risk = "",
    policy: PolicyPath = None,
    config: Config = None,
) -> None:
    """Say which rule decides about a function call, and why not the ones before it. Runs nothing."""
    rules, toolbox = _load(policy, config)
    spec = toolbox.tools.get(tool)
    if spec is None and not risk:
        raise typer.BadParameter(f"there is no tool {tool} in the tools folder: give its --risk")
    local = time.localtime()
    facts = Facts(
        tool=tool,
        arguments=validate(spec, arguments) if spec else _object(arguments, "the arguments"),
        risk=risk or (spec.options.risk if spec else ""),
        caller={"number": caller, "verified": verified},
        agent=agent,
        hour=local.tm_hour if hour is None else hour,
        weekday=local.tm_wday + 1 if weekday is None else weekday,
        counts=_object(counts, "--counts"),
    )
    for verdict in rules.explain(facts):
        mark = "??" if verdict.error else "->" if verdict.fits else " x"
        typer.echo(f"{mark} {verdict.rule} (line {verdict.line}): {verdict.why}")
    _show(rules.rule(facts))


@app.command()
def replay(
    days: Annotated[float, typer.Option("--days", min=0, help="How far back.")] = 7,
    everything: Annotated[bool, typer.Option("--all", help="Also what would be ruled as it was.")] = False,
    policy: PolicyPath = None,
    config: Config = None,
) -> None:
    """Say what this policy would have done with the function calls of the last days. Runs nothing."""
    rules, _ = _load(policy, config)
    stored = asyncio.run(_stored(config))
    since = time.time() - days * 86_400
    past: list[Past] = []
    effects: Counter[str] = Counter()
    changed = 0
    for row in sorted(stored, key=lambda row: row.created_at):
        if row.created_at >= since:
            ruling, before = rules.rule(_facts_then(row, past)), row.gate["ruling"]
            same = (ruling.effect, ruling.rule) == (before["effect"], before["rule"])
            effects[ruling.effect] += 1
            changed += not same
            if everything or not same:
                typer.echo(f"{'  ' if same else '->'} {_compared(row, before, ruling)}")
        past.append(_past(row))
    parts = ", ".join(f"{effect} {number}" for effect, number in sorted(effects.items()))
    if len(stored) == MAX_REPLAYED:
        typer.echo(f"only the newest {MAX_REPLAYED} function calls were looked at")
    typer.echo(f"{effects.total()} function calls: {parts or 'none'}; {changed} would be ruled otherwise")


async def _stored(config: Path | None) -> list[StoredRequest]:
    async with Store(str(settings.load(config, os.environ).store), migrate=False) as store:
        return await GateStore(store).requests(limit=MAX_REPLAYED)


def _past(row: StoredRequest) -> Past:
    number = str(row.gate["request"]["caller"]["number"])
    return Past(row.tool, row.call_id, number, row.state, row.gate["request"]["arguments"], row.created_at)


def _facts_then(row: StoredRequest, past: list[Past]) -> Facts:
    """The facts as they were; states of earlier requests are those of today."""
    asked, then = row.gate["request"], datetime.fromtimestamp(row.created_at).astimezone()
    return Facts(
        tool=row.tool,
        arguments=asked["arguments"],
        risk=asked["risk"],
        caller=asked["caller"],
        agent=asked["agent"],
        hour=then.hour,
        weekday=then.isoweekday(),
        counts=counts_of(past, _past(row), midnight(row.created_at)),
    )


def _compared(row: StoredRequest, before: Mapping[str, Any], ruling: Ruling) -> str:
    at = datetime.fromtimestamp(row.created_at).astimezone().strftime("%Y-%m-%d %H:%M")
    arguments = json.dumps(row.gate["request"]["arguments"])[:80]
    was = f"{before['effect']} ({before['rule'] or 'no rule'})"
    return f"{at} {row.request_id} {row.tool} {arguments}: {was} now {ruling.effect} ({ruling.why})"


def _show(ruling: Ruling) -> None:
    typer.echo(f"{ruling.effect}: {ruling.why}")
    if ruling.words:
        typer.echo(f"  the model hears: {ruling.words}")
    if ruling.confirm:
        typer.echo(f"  the caller is asked, by {' or '.join(ruling.confirm.by)}: {ruling.confirm.question}")
    if ruling.ask:
        ask = ruling.ask
        people = "person" if ask.approvers == 1 else "people"
        later = f", {ask.escalate_to} too after {ask.escalate_s:g} s" if ask.escalate_s else ""
        typer.echo(f"  {ask.approvers} {people} of {ask.group} must approve within {ask.decide_s:g} s{later}")


def _object(text: str, what: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"{what}: not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise typer.BadParameter(f"{what}: a JSON object is needed")
    return value


def _load(policy: Path | None, config: Path | None) -> tuple[Policy, Toolbox]:
    folder = settings.load(config, os.environ).tools
    try:
        rules = load(policy or folder / "policy.yaml")
    except PolicyError as error:
        for problem in error.problems:
            typer.echo(str(problem))
        typer.echo(f"{len(error.problems)} {'mistake' if len(error.problems) == 1 else 'mistakes'}")
        raise typer.Exit(1) from None
    return rules, load_toolbox(folder)
