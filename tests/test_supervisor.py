"""Real processes, but tiny ones: `python -S -c …` or a shell, never the bridge's own."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bridge.supervision import Limits
from bridge.supervisor import Program, Supervisor, SupervisorError, how_it_ended, lock, read_serve

GUARD_S = 10
LIMITS = {"restart_min_s": 0.05, "hurry_s": 0.3, "stop_s": 0.3, "drain_s": 0.3, "ready_s": 5}

# Writes its pid, says "ready", ends by itself after a SIGTERM unless told to be stubborn.
CHILD = """
import os, signal, sys, time
name, mode = sys.argv[1:]
with open(name + ".pids", "a") as file: file.write(f"{os.getpid()} {os.environ['BRIDGE_BOOT']}\\n")
def term(*_):
    with open("order", "a") as file: file.write(name + "\\n")
    if mode != "stubborn": sys.exit(0)
signal.signal(signal.SIGTERM, term)
signal.signal(signal.SIGHUP, lambda *_: open(name + ".hup", "w").close())
if mode == "crash": sys.exit(7)
if mode == "reads": print(sys.stdin.readline().strip())
print("ready", flush=True)
while True: signal.pause()
"""


def program(folder, name, stage, mode="good", **more):
    argv = [sys.executable, "-S", "-c", CHILD, name, mode]
    return {"name": name, "stage": stage, "argv": argv, "says_ready": True, **more}


class Bridge:
    """A supervisor process in a folder of its own."""

    def __init__(self, folder, *programs, environ=None, **limits):
        self.folder = folder
        serve = {"programs": programs, "limits": LIMITS | limits, "announcement": "all is up"}
        serve["leftovers"] = [str(folder / "edge")]
        (folder / "serve.json").write_text(json.dumps(serve))
        arguments = [sys.executable, "-m", "bridge.supervisor", str(folder / "serve.json"), "0"]
        environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])} | (environ or {})
        self.process = subprocess.Popen(
            arguments, cwd=folder, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environ, text=True
        )

    def until_line(self, words):
        for line in self.process.stdout:
            if words in line:
                return line
        pytest.fail(f"the supervisor ended without saying {words!r}")

    def pids(self, name):
        try:
            lines = (self.folder / f"{name}.pids").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [int(line.split()[0]) for line in lines if " " in line]

    def boots(self, name):
        return [line.split()[1] for line in (self.folder / f"{name}.pids").read_text().splitlines()]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(GUARD_S)

    def order(self):
        return (self.folder / "order").read_text().split()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.stdout.close()
        self.process.wait()


def until(condition):
    limit = time.monotonic() + GUARD_S
    while not condition():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.005)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[0] != "Z"
    except OSError:
        return False


def test_everything_starts_in_order_is_announced_and_stops_in_the_opposite_order(tmp_path):
    programs = [program(tmp_path, name, stage) for stage, name in enumerate(("sim", "control", "worker-0"))]
    with Bridge(tmp_path, *programs) as bridge:
        bridge.until_line("all is up")
        assert bridge.pids("sim") < bridge.pids("control") < bridge.pids("worker-0")
        assert bridge.stop() == 0
    assert bridge.order() == ["worker-0", "control", "sim"]


def test_what_is_of_no_use_afterwards_is_removed_when_all_have_stopped_and_not_before(tmp_path):
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge" / "users").write_text("hashes")
    with Bridge(tmp_path, program(tmp_path, "control", 0)) as bridge:
        bridge.until_line("all is up")
        assert (tmp_path / "edge" / "users").exists()
        assert bridge.stop() == 0
    assert not (tmp_path / "edge").exists()


def test_a_killed_child_is_back_at_once_and_how_it_ended_is_noted_for_its_boot(tmp_path):
    worker = program(tmp_path, "worker-1", 2, spool_dir=str(tmp_path / "spool"), index=1)
    with Bridge(tmp_path, program(tmp_path, "control", 1), worker) as bridge:
        bridge.until_line("all is up")
        first = bridge.pids("worker-1")[0]
        os.kill(first, signal.SIGKILL)
        until(lambda: len(bridge.pids("worker-1")) == 2)
        assert "signal 9 (SIGKILL); starting it again in 0.05 s" in bridge.until_line("worker-1 ended")
        boots = bridge.boots("worker-1")
        assert boots[0] != boots[1]
        note = tmp_path / "spool" / f"worker-1-{boots[0]}.exit"
        assert note.read_text() == "signal 9 (SIGKILL)\n"
        assert len(bridge.pids("control")) == 1
        assert bridge.stop() == 0


def test_the_note_of_an_end_is_never_written_through_a_link_of_the_worker(tmp_path):
    """With pool.user the folder is the worker's, and the supervisor is root."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "mine").write_text("precious")
    worker = program(tmp_path, "worker-1", 2, spool_dir=str(tmp_path / "spool"), index=1)
    with Bridge(tmp_path, worker) as bridge:
        bridge.until_line("all is up")
        note = tmp_path / "spool" / f"worker-1-{bridge.boots('worker-1')[0]}.exit"
        note.with_suffix(".new").symlink_to(tmp_path / "mine")
        os.kill(bridge.pids("worker-1")[0], signal.SIGKILL)
        bridge.until_line("worker-1 ended")
        assert bridge.stop() == 0
    assert (tmp_path / "mine").read_text() == "precious"
    assert note.read_text() == "signal 9 (SIGKILL)\n"


def test_a_child_that_crashes_at_once_is_tried_again_ever_more_slowly(tmp_path):
    with Bridge(tmp_path, program(tmp_path, "worker-0", 2, "crash"), restart_min_s=0.02) as bridge:
        delays = [bridge.until_line("exit code 7").split()[-2] for _ in range(4)]
        assert delays == ["0.02", "0.04", "0.08", "0.16"]
        assert bridge.stop() == 0


def test_a_program_that_is_not_there_is_a_crash_and_not_the_end(tmp_path):
    missing = {"name": "worker-0", "stage": 2, "argv": ["/no/such/program"]}
    with Bridge(tmp_path, missing) as bridge:
        assert "exit code 127" in bridge.until_line("worker-0 ended")
        assert bridge.stop() == 0


def test_a_machine_that_can_make_no_process_now_costs_the_others_nothing(tmp_path):
    with Bridge(tmp_path, program(tmp_path, "control", 1), program(tmp_path, "worker-0", 2)) as bridge:
        bridge.until_line("all is up")
        limits = resource.prlimit(bridge.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(bridge.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        os.kill(bridge.pids("worker-0")[0], signal.SIGKILL)
        assert "Too many open files" in bridge.until_line("worker-0 ended: cannot be started")
        resource.prlimit(bridge.process.pid, resource.RLIMIT_NOFILE, limits)
        until(lambda: len(bridge.pids("worker-0")) == 2)
        assert len(bridge.pids("control")) == 1
        assert bridge.stop() == 0


def test_a_stop_ends_a_worker_that_still_waits_for_a_process_of_the_zygote(tmp_path):
    (tmp_path / "in.json").write_text("{}\n")
    silent = ["-S", "-c", "import time; print('ready', flush=True); time.sleep(600)"]
    zygote = {"name": "zygote", "stage": 0, "argv": [sys.executable, *silent], "role": "zygote"}
    worker = program(tmp_path, "worker-0", 2, role="worker", stdin=str(tmp_path / "in.json"))
    with Bridge(tmp_path, zygote | {"says_ready": True}, program(tmp_path, "control", 1), worker) as bridge:
        bridge.until_line("ready")  # of control: the worker's turn comes in the same breath
        assert bridge.stop() == 0
        assert not bridge.pids("worker-0")


def test_a_stubborn_child_is_killed_when_its_time_is_over(tmp_path):
    with Bridge(tmp_path, program(tmp_path, "worker-0", 2, "stubborn")) as bridge:
        bridge.until_line("all is up")
        (pid,) = bridge.pids("worker-0")
        assert bridge.stop() == 0
    assert not alive(pid)
    assert bridge.order() == ["worker-0", "worker-0"]


def test_a_second_signal_ends_a_long_drain(tmp_path):
    with Bridge(tmp_path, program(tmp_path, "worker-0", 2, "stubborn"), drain_s=600) as bridge:
        bridge.until_line("all is up")
        bridge.process.send_signal(signal.SIGTERM)
        bridge.until_line("stopping")
        bridge.process.send_signal(signal.SIGINT)
        bridge.until_line("stopping at once")
        assert bridge.process.wait(GUARD_S) == 0


def test_hup_reaches_control_and_nobody_else(tmp_path):
    with Bridge(tmp_path, program(tmp_path, "control", 1), program(tmp_path, "worker-0", 2)) as bridge:
        bridge.until_line("all is up")
        bridge.process.send_signal(signal.SIGHUP)
        until((tmp_path / "control.hup").exists)
        assert not (tmp_path / "worker-0.hup").exists()
        assert bridge.stop() == 0


def test_children_die_with_a_supervisor_that_is_killed(tmp_path):
    with Bridge(tmp_path, program(tmp_path, "control", 1), program(tmp_path, "worker-0", 2)) as bridge:
        bridge.until_line("all is up")
        pids = bridge.pids("control") + bridge.pids("worker-0")
        assert all(map(alive, pids))
        bridge.process.kill()
        until(lambda: not any(map(alive, pids)))


def test_a_child_gets_its_standard_input_and_what_it_says_is_passed_on(tmp_path):
    (tmp_path / "in.json").write_text('{"index": 4}\n')
    reader = program(tmp_path, "worker-0", 2, "reads", stdin=str(tmp_path / "in.json"))
    with Bridge(tmp_path, reader) as bridge:
        bridge.until_line('{"index": 4}')
        bridge.until_line("all is up")
        assert bridge.stop() == 0


def environ_of(pid):
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().rstrip("\0").split("\0")
    return dict(pair.split("=", 1) for pair in pairs)


def test_keys_reach_control_alone_and_a_worker_only_what_it_needs(tmp_path):
    control = program(tmp_path, "control", 1, secrets=True, environ={"SIPBRIDGE_SIP__PORT": "5070"})
    worker = program(tmp_path, "worker-0", 2, environ={"OWN": "1"})
    secrets = {
        "OPENAI_API_KEY": "sk-x",
        "SIPBRIDGE_STORE": "postgresql://u:p@h/d",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }
    with Bridge(tmp_path, program(tmp_path, "sim", 0), control, worker, environ=secrets) as bridge:
        bridge.until_line("all is up")
        found = {name: environ_of(bridge.pids(name)[0]) for name in ("sim", "control", "worker-0")}
        assert bridge.stop() == 0
    assert {"OPENAI_API_KEY", "SIPBRIDGE_STORE", "BRIDGE_BOOT"} <= set(found["control"])
    assert found["control"]["SIPBRIDGE_SIP__PORT"] == "5070"
    assert found["worker-0"]["OWN"] == "1"
    for name in ("sim", "worker-0"):
        assert not {"OPENAI_API_KEY", "SIPBRIDGE_STORE"} & set(found[name])
        assert {"PATH", "PYTHONPATH", "LC_ALL", "TZ", "BRIDGE_BOOT"} <= set(found[name])


def test_nobody_reading_our_output_any_more_ends_nothing(tmp_path):
    with Bridge(tmp_path, program(tmp_path, "worker-0", 2)) as bridge:
        bridge.until_line("all is up")
        bridge.process.stdout.close()
        os.kill(bridge.pids("worker-0")[0], signal.SIGKILL)
        until(lambda: len(bridge.pids("worker-0")) == 2)
        until(lambda: bridge.process.poll() is None)
        assert bridge.stop() == 0


def test_only_one_supervisor_runs_on_a_state_folder_and_the_error_names_it(tmp_path):
    held = lock(str(tmp_path / "state"))
    with pytest.raises(SupervisorError, match=rf"already runs on .*state \(process {os.getpid()}\)"):
        lock(str(tmp_path / "state"))
    os.close(held)


def test_a_pid_file_left_behind_is_no_obstacle(tmp_path):
    (tmp_path / "supervisor.pid").write_text("4194304999\n")
    held = lock(str(tmp_path))
    assert (tmp_path / "supervisor.pid").read_text() == f"{os.getpid()}\n"
    os.close(held)


def test_a_state_folder_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SupervisorError, match="cannot write"):
        lock(str(tmp_path / "file" / "state"))


def test_a_full_disk_is_said_in_a_sentence(tmp_path):
    (tmp_path / "supervisor.pid").symlink_to("/dev/full")
    with pytest.raises(SupervisorError, match=r"cannot write .*supervisor\.pid: "):
        lock(str(tmp_path))


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "exit code 0"), (256, "exit code 1"), (9, "signal 9 (SIGKILL)"), (40, "signal 40")],
)
def test_a_wait_status_is_put_into_words(status, words):
    assert how_it_ended(status) == words


def test_the_supervisor_is_small(tmp_path):
    """It must be the last process to run out of memory: nothing of the bridge's weight may creep in."""
    script = "import bridge.supervisor, sys; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    for heavy in ("'asyncio'", "pydantic", "structlog", "sqlalchemy", "numpy", "websockets", "'subprocess'"):
        assert heavy not in loaded


def test_what_serve_wrote_is_read_back(tmp_path):
    serve = {"programs": [program(tmp_path, "a", 0)], "limits": {"drain_s": 7}, "announcement": "hi"}
    (tmp_path / "s.json").write_text(json.dumps(serve))
    told = read_serve(str(tmp_path / "s.json"))
    program_told = told["programs"][0]
    assert (program_told.name, program_told.argv[-2:], told["limits"].drain_s, told["announcement"]) == (
        "a",
        ("a", "good"),
        7,
        "hi",
    )


def test_a_line_of_a_child_that_was_reaped_in_the_same_round_is_no_obstacle():
    supervisor = Supervisor([], Limits())
    supervisor._read("control")
    assert not supervisor._processes


def test_a_worker_that_still_waits_for_its_process_retires_at_once():
    zygote = Program("zygote", 0, ("true",), says_ready=True, role="zygote")
    supervisor = Supervisor([zygote, Program("worker-0", 2, ("true",), role="worker")], Limits())
    supervisor._machine.begin(0.0)
    supervisor._obey(supervisor._machine.ready("zygote", 0.0))
    supervisor._machine.leave("worker-0", again=False, now=1.0)
    assert not supervisor._machine.free("worker-0")
    supervisor._word("worker-0", "retire")
    assert supervisor._machine.free("worker-0")
