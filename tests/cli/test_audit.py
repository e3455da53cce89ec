"""A chain written by the real store, then touched as an attacker with the database would: each is found and named."""

import asyncio
import json
import sqlite3

import pytest
from typer.testing import CliRunner

from bridge.approval.gate import Gate
from bridge.approval.request import Ask, CallerFacts, Ruling, ToolRequest
from bridge.approval.signing import Signer, seal
from bridge.cli.audit import app
from bridge.control_anchor import Anchor
from bridge.errors import StoreError
from bridge.settings_tools import AuditHeads
from bridge.store.gatestore import GateStore, NewAudit
from bridge.store.nodestore import NodeStore
from bridge.store.store import Store


async def fill(folder):
    signer = Signer(folder / "keys")
    async with Store(f"sqlite:///{folder}/sipbridge.db") as store:
        gates = GateStore(store, signer)
        anchor = Anchor(gates, signer, AuditHeads(), folder, "")
        for number in range(3):
            request = ToolRequest(
                f"r{number}", f"c{number}", "f", "refund", "d", {"amount": 40}, "money", False, "bind", "p", 0.0,
                caller=CallerFacts("+491"),
            )  # fmt: skip
            gate, actions = Gate.open(request, Ruling("ask", "refunds", "because", ask=Ask("boss")), 1.0)
            version = 0
            for moved in (actions, gate.tick(1e9)):
                audit = [
                    NewAudit(a.type, a.actor, {**a.facts, "state": gate.state.value}, a.personal)
                    for a in moved
                    if hasattr(a, "personal")
                ]
                version = await gates.save(gate.to_json(), version, audit, 1.0)
            await anchor.keep()


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "var"
    folder.mkdir()
    path = tmp_path / "bridge.yaml"
    path.write_text(f"state_dir: {folder}\n")
    asyncio.run(fill(folder))

    def run(*words):
        return CliRunner().invoke(app, [*words, "--config", str(path)])

    run.folder = folder
    return run


def sql(run, *orders):
    with sqlite3.connect(run.folder / "sipbridge.db") as connection:
        for order in orders:
            connection.execute(order)


def test_an_untouched_chain_holds(run):
    result = run("verify")
    assert result.exit_code == 0, result.output
    assert result.output == "6 entries, 3 payloads (0 erased), 3 heads: all of it holds\n"


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("UPDATE audit_entries SET actor = 'eve' WHERE seq = 2", "entry 2 was edited"),
        ("UPDATE audit_entries SET facts = '{}' WHERE seq = 3", "entry 3 was edited"),
        ("DELETE FROM audit_entries WHERE seq = 4", "entry 4 is missing"),
        ("DELETE FROM audit_entries WHERE seq > 4", "entries 5 to 6 were cut off at the end"),
        ("DELETE FROM audit_entries", "were cut off at the end"),
        ("UPDATE audit_entries SET signature = NULL WHERE seq = 5", "entry 5 is not signed"),
        (
            "UPDATE audit_payloads SET payload = '{}' WHERE call_id = 'c1'",
            "the payload of entry 3 was edited",
        ),
        ("DELETE FROM audit_payloads WHERE call_id = 'c1'", "the payload of entry 3 was removed"),
        ("UPDATE tool_requests SET state = 'succeeded' WHERE request_id = 'r1'", "request r1 is succeeded"),
    ],
)
def test_whatever_is_touched_is_named(run, order, found):
    sql(run, order)
    result = run("verify")
    assert result.exit_code == 1
    assert found in result.output


def test_two_entries_that_changed_places_are_named(run):
    sql(
        run,
        "UPDATE audit_entries SET seq = 99 WHERE seq = 2",
        "UPDATE audit_entries SET seq = 2 WHERE seq = 3",
        "UPDATE audit_entries SET seq = 3 WHERE seq = 99",
    )
    assert "entry 2 was edited" in run("verify").output


def test_an_export_is_verified_without_the_store_and_with_the_public_key_alone(run, tmp_path):
    text = run("export").output
    path = tmp_path / "export.jsonl"
    path.write_text(text)
    key = str(run.folder / "keys" / "audit.pub")
    assert run("verify", "--file", str(path), "--key", key).exit_code == 0
    lines = text.splitlines()
    entry = json.loads(lines[2])
    entry["payload"]["arguments"]["amount"] = 4
    path.write_text("\n".join([*lines[:2], json.dumps(entry), *lines[3:]]))
    result = run("verify", "--file", str(path))
    assert (result.exit_code, "the payload of entry 3 was edited" in result.output) == (1, True)
    assert len(run("export", "--call", "c1").output.splitlines()) == 2


def test_an_erased_call_leaves_the_chain_whole(run):
    assert run("erase", "c1").output == "1 payloads erased\n"
    result = run("verify")
    assert (result.exit_code, "1 erased" in result.output) == (0, True)
    exported = [json.loads(line) for line in run("export", "--call", "c1").output.splitlines()]
    assert [(one["type"], one["payload"]) for one in exported] == [
        ("requested", None),
        ("expired", None),
        ("erased", None),
    ]


def test_payloads_that_nobody_is_on_record_for_erasing_are_named(run):
    sql(run, "UPDATE audit_payloads SET payload = NULL WHERE call_id = 'c1'")
    result = run("verify")
    assert (result.exit_code, "nobody is on record" in result.output) == (1, True)


def test_heads_that_are_not_there_are_no_heads_that_hold(run):
    assert isinstance(run("verify", "--heads", str(run.folder / "none.jsonl")).exception, StoreError)


async def told_by(url, folder, name, seal_key):
    """A node of this name writes an entry, and keeps its public key in the store under `seal_key`."""
    signer = Signer(folder / name)
    words = {"key_id": signer.key_id, "node": name, "public": signer.public}
    async with Store(url, node=name) as store:
        await NodeStore(store).keep_key({**words, "seal": seal(seal_key, "audit key", words), "at": 1.0})
        await GateStore(store, signer).note(NewAudit("noted", name, {}), "", 1.0)


@pytest.mark.parametrize(("sealed_by", "holds"), [("ab" * 32, True), ("cd" * 32, False)])
def test_a_chain_of_two_nodes_is_verified_on_either_and_an_unsealed_key_proves_nothing(
    cluster, tmp_path, monkeypatch, sealed_by, holds
):
    """Who can write the database could add a key of their own, and entries signed by it."""
    url = cluster.fresh()
    (tmp_path / "var").mkdir()
    settings = f'state_dir: var\nstore: "{url}"\nnode: {{name: a, decision_key_env: SEAL}}\n'
    (tmp_path / "bridge.yaml").write_text(settings)
    monkeypatch.setenv("SEAL", "ab" * 32)
    asyncio.run(told_by(url, tmp_path / "var", "keys", bytes.fromhex("ab" * 32)))
    asyncio.run(told_by(url, tmp_path / "b", "keys", bytes.fromhex(sealed_by)))
    result = CliRunner().invoke(app, ["verify", "--config", str(tmp_path / "bridge.yaml")])
    assert (result.exit_code == 0) is holds, result.output
    assert ("entry 2 is not signed by our key" in result.output) is not holds
