"""`sipbridge users add|list|remove|password|link|token|tokens|revoke`: who may look, decide and administer.

Roles: viewer (look), operator (calls, audit), approver (decide, in their groups), admin. Not worker-safe.
"""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bridge.approval.request import ROLES
from bridge.cli.identity import gates_of, with_store
from bridge.errors import StoreError
from bridge.settings import Settings
from bridge.store.factorstore import FactorStore
from bridge.store.gatestore import NewAudit
from bridge.store.sessionstore import FIRST, LinkStore, SessionStore, link_of
from bridge.store.store import Store
from bridge.store.userstore import User, UserStore

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Who may look, decide and administer.",
)
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
Name = Annotated[str, typer.Argument(help="Sign-in name; for commands the account of this machine.")]
HOUR_S, DAY_S = 3600, 86_400


@app.command()
def add(
    name: Name,
    role: Annotated[list[str], typer.Option("--role", help=f"One of {', '.join(ROLES)}; repeat for more.")],
    group: Annotated[list[str] | None, typer.Option("--group", help="Of approvers; repeat for more.")] = None,
    number: Annotated[
        list[str] | None, typer.Option("--number", help="Their telephone: nobody approves their own call.")
    ] = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Keep them, but let them do nothing.")] = False,
    config: Config = None,
) -> None:
    """Add a user, or change one: what is given replaces what was."""
    user = User(name, frozenset(role), frozenset(group or ()), frozenset(number or ()), disabled)
    with_store(config, "administer", lambda store, _settings, _me: UserStore(store).put(user))
    typer.echo(f"{name}: {', '.join(sorted(user.roles))}; groups: {', '.join(sorted(user.groups)) or 'none'}")


@app.command("list")
def list_(config: Config = None) -> None:
    """Everybody."""
    found = with_store(config, "administer", lambda store, _settings, _me: UserStore(store).users())
    table = Table(box=None)
    for column in ("name", "roles", "groups", "password", "disabled"):
        table.add_column(column)
    for user in found:
        names = (" ".join(sorted(user.roles)), " ".join(sorted(user.groups)))
        table.add_row(user.name, *names, "set" if user.has_password else "", "yes" if user.disabled else "")
    Console().print(
        table if found else "no users: sipbridge users add NAME --role approver --group supervisors"
    )


@app.command()
def remove(name: Name, config: Config = None) -> None:
    """Forget a user and their tokens. Their decisions stay in the audit."""
    if not with_store(config, "administer", lambda store, _settings, _me: UserStore(store).remove(name)):
        raise StoreError(f"there is no user {name}")
    typer.echo(f"removed {name}")


@app.command()
def password(name: Name, config: Config = None) -> None:
    """Set a user's password for the console; it is asked for twice."""
    words = typer.prompt("password", hide_input=True, confirmation_prompt=True)
    with_store(config, "administer", lambda store, _settings, _me: UserStore(store).set_password(name, words))
    typer.echo(f"the password of {name} is set")


@app.command("reset-factors")
def reset_factors(name: Name, config: Config = None) -> None:
    """Take somebody's second factors and recovery codes away (lost phone), and sign them out."""

    async def work(store: Store, settings: Settings, me: User) -> int:
        if name not in {user.name for user in await UserStore(store).users()}:
            raise StoreError(f"there is no user {name}")
        gates = await gates_of(store, settings)
        gone = await FactorStore(store).reset(name)
        console = settings.console
        await SessionStore(store, console.session_idle_s, console.session_s).end_of(name)
        note = NewAudit("factors_reset", me.name, {"whose": name, "via": "cli"})
        await gates.note(note, "", time.time())
        return gone

    gone = with_store(config, "administer", work)
    typer.echo(f"{name} has no second factor any more" if gone else f"{name} had none")


@app.command()
def link(
    name: Annotated[
        str, typer.Argument(help="Whose; nobody's: the first admin's, while there are no users.")
    ] = "",
    hours: Annotated[float, typer.Option("--hours", min=0.1, max=168, help="Valid for so long.")] = 24,
    config: Config = None,
) -> None:
    """Make a link by which a user chooses their password for the console themselves. It works once."""

    async def work(store: Store, settings: Settings, _me: User) -> str:
        secret = await LinkStore(store).give(name or FIRST, time.time(), hours * HOUR_S)
        return link_of(settings.console.base(settings.console.port), secret)

    typer.echo(with_store(config, "administer", work))


@app.command()
def token(
    name: Name,
    label: Annotated[str, typer.Option("--label", help="What it is for.")] = "",
    days: Annotated[float, typer.Option("--days", min=0, help="Valid for so long; 0: until revoked.")] = 90,
    role: Annotated[
        list[str] | None, typer.Option("--role", help="Of the user's roles, those it has; all without.")
    ] = None,
    config: Config = None,
) -> None:
    """Make an API token for a user. It is shown once; commands read it from SIPBRIDGE_TOKEN."""
    if unknown := sorted({*(role or ())} - {*ROLES}):
        raise StoreError(f"there is no role {unknown[0]}: roles are {', '.join(ROLES)}")
    expires_at = time.time() + days * DAY_S if days else None
    typer.echo(
        with_store(
            config,
            "administer",
            lambda store, _settings, _me: UserStore(store).give_token(name, label, expires_at, role or None),
        )
    )


@app.command()
def tokens(config: Config = None) -> None:
    """Every token, without its secret."""
    for one in with_store(config, "administer", lambda store, _settings, _me: UserStore(store).tokens()):
        ends = time.strftime("%Y-%m-%d", time.localtime(one.expires_at)) if one.expires_at else "never"
        used = time.strftime("%Y-%m-%d", time.localtime(one.used_at)) if one.used_at else "never"
        typer.echo(f"{one.token_id}  {one.user:20} expires {ends:10} last used {used:10} {one.label}")


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(help="As `tokens` shows it.")], config: Config = None
) -> None:
    """Take a token back."""
    if not with_store(config, "administer", lambda store, _settings, _me: UserStore(store).revoke(token_id)):
        raise StoreError(f"there is no token {token_id}")
    typer.echo(f"revoked {token_id}")
