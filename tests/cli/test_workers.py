"""With a supervisor that tells a story: one state after the other. With a real one: tests/system/test_pool.py."""

import contextlib
import json
import selectors
import threading

import pytest
from typer.testing import CliRunner

from bridge.cli.main import app
from bridge.errors import BridgeError
from bridge.pool.door import Door


def worker(slot, state="active", pid=0, calls=0, why=""):
    return {
        "slot": slot, "name": f"worker-{slot}", "pool": "narrow", "state": state, "calls": calls, "taken": 7,
        "age_s": 7300.0, "ready_ms": 20.0, "memory_mb": 18.6, "cpu_percent": 1.25, "life": 1, "why": why,
        "pid": pid or 100 + slot,
    }  # fmt: skip


def state(*workers, rolling=""):
    return {"ok": True, "workers": list(workers), "rolling": rolling, "supervisor": 1}


class Told:
    """What the supervisor was asked, and its states: the last one stays."""

    def __init__(self, *states):
        self.states = list(states)
        self.asked = []

    def answer(self, order, _now):
        self.asked.append((order["do"], order["slot"]))
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


@contextlib.contextmanager
def supervisor(folder, *states):
    told, stop = Told(*states), threading.Event()
    (folder / "run").mkdir()
    with selectors.DefaultSelector() as selector:
        door = Door(folder / "run" / "supervisor.sock", selector, told.answer)

        def serve():
            while not stop.is_set():
                for key, _ in selector.select(0.02):
                    key.data()

        thread = threading.Thread(target=serve)
        thread.start()
        yield told
        stop.set()
        thread.join()
        door.close()


def run(folder, *words):
    file = folder / "settings.yaml"
    file.write_text("state_dir: .\ndialplans: plans\n")
    return CliRunner().invoke(app, ["workers", *words, "--config", str(file)])


def test_the_list_shows_what_each_worker_carries_and_uses(tmp_path):
    with supervisor(tmp_path, state(worker(0, calls=3), worker(1, "free"), rolling="1 of 2 replaced")):
        shown = run(tmp_path, "list")
        data = json.loads(run(tmp_path, "list", "--json").stdout)
    first, second = shown.stdout.splitlines()[1:3]
    assert first.split()[:5] == ["0", "worker-0", "narrow", "active", "3"]
    assert "2 h" in first
    assert "19 MB" in first
    assert second.split() == ["1", "worker-1", "free"]
    assert "rolling restart: 1 of 2 replaced" in shown.stdout
    assert data["workers"][0]["calls"] == 3


def test_a_rolling_restart_is_followed_to_its_end(tmp_path):
    story = [
        state(worker(0), worker(1)),
        state(worker(0, "draining", calls=2), worker(1), rolling="0 of 2 replaced"),
        state(worker(0, "draining", calls=2), worker(1), rolling="0 of 2 replaced"),
        state(worker(0, pid=200), worker(1, "draining", calls=1), rolling="1 of 2 replaced"),
        state(worker(0, pid=200), worker(1, pid=201)),
    ]
    with supervisor(tmp_path, *story) as told:
        shown = run(tmp_path, "restart", "--all")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == [
        "0 of 2 replaced: worker-0 (2 calls)",
        "1 of 2 replaced: worker-1 (1 calls)",
        "all workers have been replaced",
    ]
    assert told.asked[:3] == [("status", None), ("restart", "rolling"), ("status", None)]


def test_a_rolling_restart_that_ended_early_is_a_failure(tmp_path):
    story = [state(worker(0), worker(1)), state(worker(0, pid=200), worker(1))]
    with supervisor(tmp_path, *story):
        shown = run(tmp_path, "restart", "--all")
    assert isinstance(shown.exception, BridgeError)
    assert "1 worker(s) were not replaced" in str(shown.exception)


def test_one_worker_is_restarted_and_followed(tmp_path):
    story = [
        state(worker(0), worker(1)),
        state(worker(0), worker(1, "draining", calls=1, why="asked for")),
        state(worker(0), worker(1, "draining", calls=1, why="asked for")),
        state(worker(0), worker(1, "starting", pid=300, why="asked for")),
        state(worker(0), worker(1, pid=300)),
    ]
    with supervisor(tmp_path, *story) as told:
        shown = run(tmp_path, "restart", "1")
    assert shown.stdout.splitlines() == ["worker-1 drains: 1 calls", "worker-1 has been replaced"]
    assert ("restart", 1) in told.asked


def test_who_does_not_want_to_wait_need_not(tmp_path):
    with supervisor(tmp_path, state(worker(0))) as told:
        assert "under way" in run(tmp_path, "restart", "--all", "--no-wait").stdout
    assert told.asked == [("status", None), ("restart", "rolling")]


@pytest.mark.parametrize("words", [("restart",), ("restart", "0", "--all")])
def test_which_worker_must_be_said(tmp_path, words):
    assert "name a slot, or --all" in str(run(tmp_path, *words).exception)


def test_draining_and_undraining_say_what_they_did(tmp_path):
    with supervisor(tmp_path, state(worker(0, "drained", calls=2))) as told:
        assert run(tmp_path, "drain", "0").stdout == "worker-0 takes no new calls; it has 2\n"
        assert run(tmp_path, "undrain", "0").stdout == "worker-0 takes calls again\n"
    assert told.asked == [("drain", 0), ("undrain", 0)]


def test_without_a_bridge_the_error_says_so(tmp_path):
    assert "no bridge runs here" in str(run(tmp_path, "list").exception)
