"""`sipbridge sim` as a process."""

import signal
import subprocess
import sys

from websockets.sync.client import connect

COMMAND = [sys.executable, "-m", "bridge", "sim"]


def test_it_prints_its_address_serves_and_ends_on_sigterm():
    with subprocess.Popen([*COMMAND, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        word, url = process.stdout.readline().split()
        assert (word, url.endswith("/v1/realtime")) == ("listening", True)
        with connect(url) as socket:
            assert "session.created" in socket.recv(timeout=5)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0


def test_a_wrong_script_is_told_and_ends_it(tmp_path):
    path = tmp_path / "faults.yaml"
    path.write_text("faults: [{do: drop}]\n")
    done = subprocess.run(
        [*COMMAND, "--script", str(path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert f"{path}:1:10: faults[0]:" in done.stderr
