import asyncio
import json

import pytest
from typer.testing import CliRunner

from bridge.cli.voicemail import app
from bridge.errors import StoreError
from bridge.media.messagefile import message_path, save
from bridge.store.keepstore import Hold, KeepStore
from bridge.store.store import Store
from tests.fakes.events import Script


@pytest.fixture
def wav(tmp_path):
    path = message_path(str(tmp_path / "var" / "recordings"), "c1", 1, 0.0)
    save(path, b"\1\0")
    return path


@pytest.fixture
def run(tmp_path, wav):
    config = tmp_path / "bridge.yaml"
    config.write_text(f"state_dir: {tmp_path}/var\n")
    data = {
        "path": str(wav),
        "seconds": 4.2,
        "mailbox": "sales",
        "to": ["office"],
        "transcript": "call\x1b[2J me",
    }
    events = Script(call_id="c1").tell("voicemail", **data, **{"from": "sip:+491@x"}).events

    async def fill():
        async with Store(f"sqlite:///{tmp_path}/var/sipbridge.db") as store:
            await store.write(0, events)

    asyncio.run(fill())
    return lambda *words: CliRunner().invoke(app, [*words, "--config", str(config)])


def test_messages_are_listed_until_they_are_done(run):
    listed = run("list").output
    assert "sales" in listed
    assert "sip:+491@x" in listed
    assert run("done", "1").output == "1: done\n"
    assert run("list").output == "no new messages\n"
    assert "done" in run("list", "--all").output
    assert "no new messages" in run("list", "--mailbox", "support").output


def test_one_message_is_shown_with_its_deliveries_and_cannot_steer_the_terminal(run):
    shown = run("show", "1").output
    assert "office     pending after 0 tries" in shown
    assert "\x1b" not in shown
    assert json.loads(run("show", "1", "--json").output)["deliveries"][0]["channel"] == "office"
    assert json.loads(run("list", "--json").output)[0]["seconds"] == 4.2


def test_a_player_gets_the_path(run, wav):
    assert run("play-path", "1").output == f"{wav}\n"


def test_deleting_takes_the_file_along(run, wav):
    assert run("delete", "1").output == "1: deleted\n"
    assert not wav.exists()
    assert run("list", "--all").output == "no messages\n"


def test_deleting_never_takes_a_file_that_is_no_message(run, wav, tmp_path):
    (tmp_path / "precious").write_text("")
    wav.unlink()
    wav.symlink_to(tmp_path / "precious")
    assert run("delete", "1").output == "1: deleted\n"
    assert (tmp_path / "precious").exists()


def test_a_message_of_a_call_that_is_held_is_not_deleted(run, wav, tmp_path):
    async def hold():
        async with Store(f"sqlite:///{tmp_path}/var/sipbridge.db") as store:
            await KeepStore(store).hold(Hold("c1", "case 7", "ann", 5.0))

    asyncio.run(hold())
    refused = run("delete", "1").exception
    assert isinstance(refused, StoreError)
    assert "call c1, which is held (case 7)" in str(refused)
    assert wav.exists()
    assert "sales" in run("list").output


@pytest.mark.parametrize("command", ["show", "play-path", "done", "delete"])
def test_a_message_that_is_not_there_is_said(run, command):
    error = run(command, "7").exception
    assert isinstance(error, StoreError)
    assert "no message 7" in str(error)
