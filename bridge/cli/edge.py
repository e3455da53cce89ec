"""`sipbridge edge render|status|ban`: look at the edge, and forgive or banish an address.

`render` needs no running bridge; the others ask Kamailio itself over its Unix socket, so they work while control is
away. Only the account that runs the bridge (or root) gets at the socket. Not worker-safe.
"""

import asyncio
import ipaddress
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bridge.edge.dispatch import Listed, listed
from bridge.edge.render import Place, kamailio_cfg, rtpengine_conf, tls_cfg
from bridge.edge.rpc import COUNTERS, KamailioRpc
from bridge.errors import EdgeError
from bridge.settings import Settings, load

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Look at the edge (Kamailio, rtpengine), and ban or forgive addresses.",
)
ban = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Addresses that Kamailio does not hear.",
)
app.add_typer(ban, name="ban")
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Address = Annotated[str, typer.Argument(help="An IP address.")]
HIDDEN = "0" * 32


@app.command()
def render(config: Config = None) -> None:
    """Print the configurations that serve would start Kamailio and rtpengine with; nothing is written."""
    settings = load(config, os.environ)
    place = Place(str(settings.state_dir / "edge"), settings.sip.port, HIDDEN)
    typer.echo(kamailio_cfg(settings, place))
    typer.echo(f"#### rtpengine.conf\n{rtpengine_conf(settings)}")
    if settings.edge.tls:
        typer.echo(f"#### tls.cfg\n{tls_cfg(settings, place)}")


@app.command()
def status(as_json: AsJson = False, config: Config = None) -> None:
    """Is it up, which workers get calls, how many calls each has, what was refused."""
    rpc = _rpc(config)
    uptime, workers, counts, media = asyncio.run(_look(rpc))
    if as_json:
        data = {
            "uptime_s": uptime.get("uptime"),
            "rtpengine": media,
            "workers": [
                {
                    "set": one.set_id,
                    "uri": one.uri,
                    "state": STATES.get(one.flags[:1], one.flags),
                    "calls": one.load,
                }
                for one in workers
            ],
            "counters": counts,
        }
        typer.echo(json.dumps(data, indent=2))
        return
    typer.echo(f"Kamailio up for {uptime.get('uptime')} s; rtpengine {media}")
    table = Table(box=None)
    for column in ("worker", "pool", "state", "calls"):
        table.add_column(column)
    for one in workers:
        pool = {1: "narrow", 2: "wide"}.get(one.set_id, str(one.set_id))
        table.add_row(one.uri, pool, STATES.get(one.flags[:1], one.flags), str(one.load))
    console = Console()
    console.print(table if workers else "no worker gets calls")
    for name, value in sorted(counts.items()):
        typer.echo(f"{value:>8}  {COUNTERS.get(name, name)}")


@ban.command("list")
def list_(as_json: AsJson = False, config: Config = None) -> None:
    """Banned addresses; a ban ends by itself after edge.limits.ban_s."""
    banned = sorted(asyncio.run(_rpc(config).table("ban")))
    typer.echo(json.dumps(banned) if as_json else "\n".join(banned) or "nobody is banned")


@ban.command()
def add(address: Address, config: Config = None) -> None:
    """Ban an address for edge.limits.ban_s; for ever: edge.deny. Addresses of trunks are heard all the same."""
    asyncio.run(_rpc(config).ask("htable.seti", "ban", _checked(address), 1))
    typer.echo(f"{address} is banned")


@ban.command()
def remove(address: Address, config: Config = None) -> None:
    """Forgive an address."""
    asyncio.run(_forgive(_rpc(config), _checked(address)))
    typer.echo(f"{address} is heard again")


STATES = {"A": "active", "T": "active, did not answer once", "I": "gets no calls", "D": "switched off"}


async def _look(rpc: KamailioRpc) -> tuple[Mapping[str, Any], Sequence[Listed], dict[str, int], str]:
    uptime = await rpc.ask("core.uptime")
    try:
        shown = listed(await rpc.ask_long("dispatcher.list"))
    except EdgeError:  # no place at all
        shown = []
    counts = {name: int(value) for name, value in (await rpc.table("count")).items() if value.isdigit()}
    return uptime, [one for one in shown if one.flags != "IX" or one.load], counts, await _media(rpc)


async def _media(rpc: KamailioRpc) -> str:
    try:
        shown = await rpc.ask("rtpengine.show", "all")
    except EdgeError:
        return "unknown"
    every = shown if isinstance(shown, list) else [shown]
    disabled = [
        one for one in every if isinstance(one, dict) and str(one.get("disabled", "0")).startswith(("1", "y"))
    ]
    return "away" if disabled else "there"


async def _forgive(rpc: KamailioRpc, address: str) -> None:
    banned = await rpc.table("ban")
    if address not in banned:
        raise EdgeError(f"{address} is not banned; sipbridge edge ban list shows who is")
    for table in ("ban", "strikes"):
        if table == "ban" or address in await rpc.table(table):
            await rpc.ask("htable.delete", table, address)


def _checked(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        raise EdgeError(f"{address[:60]!r} is no IP address") from None


def _rpc(config: Path | None) -> KamailioRpc:
    settings: Settings = load(config, os.environ)
    if not settings.edge.enabled:
        raise EdgeError("there is no edge here: edge.enabled is not set")
    folder = settings.state_dir / "edge"
    try:
        owner = folder.resolve().stat().st_uid if os.geteuid() == 0 else None
    except OSError:
        raise EdgeError(f"the edge does not run here ({folder} is not there)") from None
    return KamailioRpc(folder, owner=owner)
