"""`sipbridge sim` as a process."""

import json
import signal
import socket
import subprocess
import sys

from websockets.sync.client import connect

COMMAND = [sys.executable, "-m", "bridge", "sim"]


def test_it_prints_its_address_serves_and_ends_on_sigterm():
    with subprocess.Popen([*COMMAND, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        word, url = process.stdout.readline().split()
        assert (word, url.endswith("/v1/realtime")) == ("listening", True)
        with connect(url) as socket:
            assert "session.created" in socket.recv(timeout=20)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0


def test_a_taken_port_is_told_in_one_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*COMMAND, "--port", str(port)], capture_output=True, text=True, timeout=50, check=False
        )
    assert (done.returncode, done.stderr) == (
        1,
        f"cannot listen on 127.0.0.1:{port}: Address already in use\n",
    )


def test_with_json_every_line_it_logs_is_json():
    command = [*COMMAND, "--port", "0", "--log-format", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().split()[1]
        with connect(url) as told:
            told.recv(timeout=20)
        process.send_signal(signal.SIGTERM)
        _, text = process.communicate(timeout=30)
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["event"] for line in lines] == ["session.opened", "session.closed"]
    assert {line["process"] for line in lines} == {"sim"}


def test_a_wrong_script_is_told_and_ends_it(tmp_path):
    path = tmp_path / "faults.yaml"
    path.write_text("faults: [{do: drop}]\n")
    done = subprocess.run(
        [*COMMAND, "--script", str(path)], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 1
    assert f"{path}:1:10: faults[0]:" in done.stderr
