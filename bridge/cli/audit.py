"""`sipbridge audit verify|export|erase`: prove what happened, hand it on, forget who it was.

verify finds an entry that was edited, removed, moved or cut off, a payload that was changed, a signature that is not
ours and a request whose state the chain does not know; and says which. Not worker-safe.
"""

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.approval.chain import broken, contradicted, cut_off, payloads_changed, unapproved
from bridge.approval.signing import AUDIT_PUBLIC, Verifier, sealed
from bridge.cli.identity import gates_of, with_store
from bridge.control_anchor import HEADS
from bridge.errors import StoreError
from bridge.keys import decision_key, keys_folder
from bridge.settings import Settings
from bridge.store.gatestore import GateStore
from bridge.store.nodestore import NodeStore
from bridge.store.store import Store
from bridge.store.userstore import User

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Prove what happened.",
)
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
KeyFile = Annotated[
    Path | None, typer.Option("--key", help="Public keys; state_dir/keys/audit.pub when left out.")
]
Payloads = Mapping[str, tuple[str, Mapping[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is to look at. `states` is None for an export: the requests' table is not in it."""

    entries: list[dict[str, Any]]
    payloads: Payloads
    states: Mapping[str, str] | None


@app.command()
def verify(
    key: KeyFile = None,
    heads: Annotated[
        Path | None,
        typer.Option("--heads", help="Heads kept elsewhere; settings' audit.heads when left out."),
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="An export instead of the store.")] = None,
    config: Config = None,
) -> None:
    """Look at every entry. Exit status 1, and a line for each thing that is wrong."""

    async def work(store: Store, settings: Settings, _me: User) -> tuple[Evidence, Settings, list[str]]:
        theirs = await keys_of_nodes(store, settings) if key is None else []
        if file is not None:
            return _export_of(file), settings, theirs
        return Evidence(*await GateStore(store).evidence()), settings, theirs

    evidence, settings, theirs = with_store(config, "audit", work)
    verifier = Verifier(key or keys_folder(settings) / AUDIT_PUBLIC, theirs)
    named = heads or settings.audit.heads
    if named is not None and not named.exists():
        raise StoreError(f"{named}: there are no heads; without them nobody sees what was cut off at the end")
    kept = list(heads_of(named or settings.state_dir / HEADS))
    found = wrong_with(evidence, kept, verifier)
    for problem in found:
        typer.echo(problem)
    erased = sum(1 for _, payload in evidence.payloads.values() if payload is None)
    typer.echo(
        f"{len(evidence.entries)} entries, {len(evidence.payloads)} payloads ({erased} erased), {len(kept)} heads: "
        + (f"{len(found)} things are wrong" if found else "all of it holds")
    )
    raise typer.Exit(bool(found))


def wrong_with(evidence: Evidence, heads: list[Mapping[str, Any]], verifier: Verifier) -> list[str]:
    """Everything that does not hold, in words."""
    return [
        *broken(evidence.entries, verifier.verify),
        *cut_off(evidence.entries, heads, verifier.verify),
        *unapproved(evidence.entries),
        *payloads_changed(evidence.entries, evidence.payloads),
        *(contradicted(evidence.entries, evidence.states) if evidence.states is not None else ()),
    ]


@app.command()
def export(
    call: Annotated[str, typer.Option("--call", help="Only this call; such a part cannot be verified.")] = "",
    config: Config = None,
) -> None:
    """Entries with their payloads, one JSON object a line, on standard output."""

    async def work(store: Store, _settings: Settings, _me: User) -> Evidence:
        gates = GateStore(store)
        return Evidence(await gates.audit(call), await gates.payloads(), None)

    evidence = with_store(config, "audit", work)
    for entry in evidence.entries:
        salt, payload = evidence.payloads.get(entry.get("payload_hash") or "", ("", None))
        typer.echo(json.dumps({**entry, "salt": salt, "payload": payload}))


@app.command()
def erase(call: Annotated[str, typer.Argument(help="Id of the call.")], config: Config = None) -> None:
    """Forget arguments, numbers and words of a call's requests. The chain stays whole."""

    async def work(store: Store, settings: Settings, me: User) -> int:
        return await (await gates_of(store, settings)).erase(call, me.name, time.time())

    typer.echo(f"{with_store(config, 'administer', work)} payloads erased")


async def keys_of_nodes(store: Store, settings: Settings) -> list[str]:
    """Public keys of the other nodes. One that does not carry the seal of the nodes' common key is nobody's."""
    found = []
    seal_key = decision_key(settings, os.environ)
    for row in await NodeStore(store).keys():
        words = {name: row[name] for name in ("key_id", "node", "public")}
        if sealed(seal_key, "audit key", {**words, "seal": row["seal"]}):
            found.append(str(row["public"]))
        else:
            typer.echo(
                f"the key {row['key_id']} of node {row['node']} is not sealed by our key: not used", err=True
            )
    return found


def _export_of(path: Path) -> Evidence:
    entries, payloads = [], {}
    for line in _lines(path):
        salt, payload = line.pop("salt"), line.pop("payload")
        entries.append(line)
        if line.get("payload_hash") and (salt or payload is not None):
            payloads[line["payload_hash"]] = (salt, payload)
    return Evidence(entries, payloads, None)


def heads_of(path: Path) -> Iterable[Mapping[str, Any]]:
    return _lines(path) if path.exists() else ()


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
