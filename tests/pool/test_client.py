"""What it gets from a door that works: tests/pool/test_door.py."""

import socket
import threading

import pytest

from bridge.errors import BridgeError
from bridge.pool.client import ask


def test_where_no_bridge_runs_the_error_says_what_to_do(tmp_path):
    with pytest.raises(BridgeError, match=r"no bridge runs here .*--config"):
        ask(tmp_path, {"do": "status"})


@pytest.mark.parametrize(
    ("said", "words"), [(b"", "broke off"), (b"nonsense\n", "broke off"), (None, "does not answer")]
)
def test_a_supervisor_that_is_not_right_is_an_error_within_the_deadline(tmp_path, said, words):
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(str(tmp_path / "run" / "supervisor.sock"))
        door.listen()

        def serve():
            visitor, _ = door.accept()
            visitor.recv(1000)
            if said is not None:
                visitor.sendall(said)
                visitor.close()
            kept.append(visitor)

        kept = []
        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(BridgeError, match=words):
            ask(tmp_path, {"do": "status"}, 0.3)
        thread.join(5)
        kept[0].close()
