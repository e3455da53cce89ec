import asyncio

import pytest
from typer.testing import CliRunner

from bridge.cli import audit
from bridge.cli.calls import app
from bridge.errors import StoreError
from bridge.store.gatestore import GateStore
from bridge.store.store import Store
from tests.fakes.events import Script, conversation


@pytest.fixture
def run(tmp_path):
    config = tmp_path / "bridge.yaml"
    config.write_text("state_dir: var\n")
    recording = tmp_path / "var" / "recordings" / "2001-01-01" / "call-1.wav"
    recording.parent.mkdir(parents=True)
    recording.write_bytes(b"RIFF")

    async def fill():
        async with Store(f"sqlite:///{tmp_path}/var/sipbridge.db") as store:
            script = Script(call_id="call-1", boot="b1").tell("call.started")
            script.tell("transcript", text="I am Anna").tell("recording", path=str(recording))
            script.tell("voicemail", path="/elsewhere/m.wav", seconds=3.0, mailbox="m", to=[])
            await store.write(0, script.tell("call.ended", by="caller").events)
            await store.write(0, conversation(call_id="other", boot="b2"))
            await store.write(0, Script(call_id="running", boot="b3").tell("call.started").events)

    asyncio.run(fill())

    def run(*words, app=app, answer=None):
        return CliRunner().invoke(app, [*words, "--config", str(config)], input=answer)

    run.recording, run.url = recording, f"sqlite:///{tmp_path}/var/sipbridge.db"
    return run


def entries(run):
    async def read():
        async with Store(run.url) as store:
            return [(one["type"], one["facts"]) for one in await GateStore(store).audit("call-1")]

    return asyncio.run(read())


def test_a_call_is_erased_with_everything_and_the_audit_says_so(run):
    done = run("erase", "call-1", "--yes")
    assert done.exit_code == 0, done.output
    assert "call-1 is erased: 5 events, 1 files, 0 payloads" in done.output
    assert "not on this machine, delete it where it is: /elsewhere/m.wav" in done.output
    assert not run.recording.exists()
    assert isinstance(run("show", "call-1").exception, StoreError)
    assert run("show", "other").exit_code == 0
    assert entries(run)[-1] == (
        "call_erased",
        {"via": "cli", "events": 5, "messages": 1, "files": 1, "outbound": 0},
    )
    checked = run("verify", app=audit.app)
    assert checked.exit_code == 0, checked.output


def test_whoever_does_not_confirm_erases_nothing(run):
    assert "nothing was erased" in run("erase", "call-1", answer="n\n").output
    assert "Aborted" in run("erase", "call-1").output
    assert run.recording.exists()


def test_a_held_call_is_erased_only_after_its_release(run):
    assert run("hold", "call", "--reason", "case 7").output == "call-1 is held\n"
    assert run("hold", "call", "--reason", "again").output == "call-1 is held already\n"
    refused = run("erase", "call-1", "--yes")
    assert "is held" in str(refused.exception)
    assert run.recording.exists()
    assert run("release", "call-1").output == "call-1 is released\n"
    assert "is not held" in str(run("release", "call-1").exception)
    assert run("erase", "call-1", "--yes").exit_code == 0
    assert [kind for kind, _ in entries(run)][:2] == ["held", "released"]


@pytest.mark.parametrize(
    ("call", "words"), [("nobody", "no calls have"), ("", "no calls have"), ("running", "goes on")]
)
def test_what_is_not_there_or_goes_on_is_not_erased(run, call, words):
    refused = run("erase", call, "--yes")
    assert isinstance(refused.exception, StoreError)
    assert words in str(refused.exception)
