"""`sipbridge calls export`: what fits a filter, as a file for other programs."""

import asyncio
import csv
import io
import json

import pytest
from typer.testing import CliRunner

from bridge.approval.signing import Signer
from bridge.cli.calls import app
from bridge.errors import StoreError
from bridge.store.gatestore import GateStore, NewAudit
from bridge.store.store import Store
from tests.fakes.events import Script

T0 = 1_795_000_000.0


@pytest.fixture
def run(tmp_path):
    config = tmp_path / "bridge.yaml"
    config.write_text("state_dir: var\n")
    (tmp_path / "var").mkdir()

    async def fill():
        async with Store(f"sqlite:///{tmp_path}/var/sipbridge.db") as store:
            for number in range(4):
                script = Script(call_id=f"c{number}", boot=f"b{number}", at=T0 + number)
                route = "desk" if number else "other"
                script.tell("call.started", route=route, from_display="=1+1", **{"from": f"+49{number}"})
                await store.write(0, script.events)

    asyncio.run(fill())
    return lambda *words: CliRunner().invoke(app, ["export", *words, "--config", str(config)])


def test_what_fits_is_written_as_csv_newest_first_and_harmless(run):
    done = run("route=desk")
    rows = list(csv.DictReader(io.StringIO(done.stdout, newline="")))
    assert [row["call_id"] for row in rows] == ["c3", "c2", "c1"]
    assert rows[0]["from_display"] == "'=1+1"


def test_who_exported_what_is_in_the_audit_and_nothing_of_that_in_the_file(run, tmp_path):
    done = run("number=+493", "outcome=live")
    assert done.stdout.startswith("call_id,")

    async def read():
        async with Store(f"sqlite:///{tmp_path}/var/sipbridge.db") as store:
            return await GateStore(store).audit()

    (entry,) = asyncio.run(read())
    looked_for = {"number": True, "outcome": "live"}
    assert (entry["type"], entry["facts"]) == (
        "calls_exported",
        {"kind": "csv", "filter": looked_for, "personal": True, "via": "cli"},
    )
    assert entry["signature"]


def test_json_lines_go_to_a_file_as_many_as_are_wanted(run, tmp_path):
    done = run("--format", "jsonl", "--limit", "2", "--output", str(tmp_path / "out.jsonl"))
    assert done.output == f"2 calls in {tmp_path}/out.jsonl\n"
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["call_id"] for line in lines] == ["c3", "c2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("route",), "is no filter"),
        (("colour=red",), "is no filter"),
        (("since=yesterday", "outcome=odd"), "not understood: since=yesterday, outcome=odd"),
        (("--format", "xml"), "csv or jsonl"),
    ],
)
def test_what_is_not_understood_is_an_error_not_a_wider_export(run, words, said):
    done = run(*words)
    assert isinstance(done.exception, StoreError)
    assert said in str(done.exception)


def test_a_machine_that_cannot_sign_the_audit_of_the_store_gives_nothing_out_and_makes_no_key(run, tmp_path):
    async def begin():
        async with Store(f"sqlite:///{tmp_path}/var/sipbridge.db") as store:
            gates = GateStore(store, Signer(tmp_path / "elsewhere"))
            await gates.note(NewAudit("user_added", "root", {}), "", T0)

    asyncio.run(begin())
    done = run()
    assert done.stdout == ""
    assert isinstance(done.exception, StoreError)
    assert f"no key {tmp_path}/var/keys/audit.key" in str(done.exception)
    assert not (tmp_path / "var" / "keys").exists()
