"""`sipbridge calls live|hangup|…` against control's API, which runs beside, in a thread."""

import asyncio
import json
import threading
from contextlib import contextmanager

import pytest
import structlog
from typer.testing import CliRunner

from bridge.cli.calls import app
from bridge.errors import BridgeError
from tests.fakes.api import running_api
from tests.fakes.events import Script, conversation

LIVE, OTHER, OVER = "aaaa1111" * 4, "aaab2222" * 4, "bbbb0000" * 4
FACTS = {"direction": "in", "to": "sip:100@bridge", "route": "front", "agent": "anna", "worker": "worker-0"}


class Bench:
    """The commands, with an API beside."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "st").mkdir()
        (folder / "bridge.yaml").write_text("state_dir: st\n")
        self.worker = None

    def run(self, *words):
        result = CliRunner().invoke(app, [*words, "--config", str(self.folder / "bridge.yaml")])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    @contextmanager
    def control(self, *, calls=True):
        ready, loop, over = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

        async def run():
            async with running_api(self.folder / "st") as api:
                if calls:
                    await fill(api.store)
                self.worker = api.worker
                ready.set()
                await over.wait()

        thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
        with structlog.testing.capture_logs():
            thread.start()
            try:
                assert ready.wait(20)
                yield self
            finally:
                loop.call_soon_threadsafe(over.set)
                thread.join(20)
                loop.run_until_complete(loop.shutdown_default_executor())
                loop.close()


async def fill(store):
    await store.write(0, conversation(call_id=OVER, boot="b0"))
    for call_id, boot, caller in ((LIVE, "b1", "sip:+4930123\x1b[2J@trunk"), (OTHER, "gone", "sip:bob@x")):
        script = Script(call_id=call_id, boot=boot)
        await store.write(0, script.tell("call.started", **{"from": caller}, **FACTS).events)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_live_calls_are_a_table_that_no_caller_can_steer(bench):
    with bench.control():
        code, output = bench.run("live")
        lines = output.splitlines()
        data = json.loads(bench.run("live", "--json")[1])
    assert code == 0
    assert lines[0].split() == ["id", "from", "to", "route", "agent", "since", "worker", "state"]
    assert "aaaa1111" in output
    assert "\x1b" not in output
    assert "ringing, worker away" in next(line for line in lines if "aaab2222" in line)
    assert {one["id"] for one in data} == {LIVE, OTHER}


def test_without_calls_it_says_so(bench):
    with bench.control(calls=False):
        assert bench.run("live") == (0, "no live calls\n")


@pytest.mark.parametrize(
    ("words", "kind", "body", "said"),
    [
        (("hangup", "aaaa"), "hang_up", {}, "hung up"),
        (("hangup", "aaaa", "--reason", "fraud"), "hang_up", {"reason": "fraud"}, "hung up"),
        (("transfer", "aaaa1111", "sales"), "transfer", {"target": "sales"}, "transferred to sales"),
        (
            ("warm-transfer", "aaaa", "sales", "--summary", "Refund."),
            "warm_transfer",
            {"target": "sales", "summary": "Refund."},
            "connected with sales",
        ),
        (
            ("supervise", "aaaa", "boss", "--mode", "whisper"),
            "supervise",
            {"target": "boss", "mode": "whisper"},
            "boss is there: whisper",
        ),
        (
            ("supervise", "aaaa", "boss", "--stop"),
            "supervise",
            {"target": "boss", "stop": True},
            "boss supervises no more",
        ),
        (("take-over", "aaaa", "boss"), "take_over", {"target": "boss"}, "boss has the caller"),
        (
            ("hand-off", "aaaa", "billing", "--note", "an invoice"),
            "hand_off",
            {"agent": "billing", "note": "an invoice"},
            "billing has the caller",
        ),
    ],
)
def test_a_command_is_done_and_told(bench, words, kind, body, said):
    with bench.control() as found:
        assert bench.run(*words) == (0, f"aaaa1111: {said}\n")
        ((call_id, got, data),) = found.worker.asked
    by = data.pop("by")
    assert (call_id, got, data, bool(by)) == (LIVE, kind, body, True)


@pytest.mark.parametrize(
    ("action", "answer", "said"),
    [
        ("pause", {"recording": True, "paused": True, "changed": True}, "paused"),
        ("pause", {"recording": True, "paused": True, "changed": False}, "paused (it was paused already)"),
        ("resume", {"recording": True, "paused": False, "changed": True}, "recording"),
        (
            "resume",
            {"recording": True, "paused": True, "changed": False},
            "paused (no operator had paused it)",
        ),
        ("pause", {"recording": False, "paused": True, "changed": True}, "no recording runs"),
    ],
)
def test_the_recording_s_state_is_told(bench, action, answer, said):
    with bench.control() as found:
        found.worker.answers["recording"] = {"ok": True, **answer}
        assert bench.run("record", "aaaa", action) == (0, f"aaaa1111: {said}\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("hangup", "cccc"), "no call's id begins with cccc"),
        (("hangup", "aaa"), "4 to 32"),
        (("hangup", "../../etc"), "is no call's id"),
        (("hangup", "bbbb"), "call bbbb0000 is over"),
        (("hangup", "aaab"), "not connected now"),
        (("transfer", "aaaa", "sip:evil@example.com"), "a name of the dialplan's transfers"),
        (("supervise", "aaaa", "boss", "--mode", "x"), "listen or whisper or join"),
        (("record", "aaaa", "delete"), "pause or resume"),
    ],
)
def test_what_cannot_be_done_is_said_in_clear_words(bench, words, sentence):
    with bench.control() as found:
        with pytest.raises(BridgeError, match=sentence):
            bench.run(*words)
        assert found.worker.asked == []


def test_the_call_s_own_reason_is_told(bench):
    with bench.control() as found:
        found.worker.answers["transfer"] = {"ok": False, "error": "the target could not be reached: 486 Busy"}
        with pytest.raises(BridgeError, match="486 Busy"):
            bench.run("transfer", "aaaa", "sales")


def test_without_control_it_says_that_the_bridge_is_not_running(bench):
    with pytest.raises(BridgeError, match="not running"):
        bench.run("hangup", "aaaa")
