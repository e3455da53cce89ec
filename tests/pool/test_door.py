import json
import resource
import selectors
import socket
import threading
import time

import pytest

from bridge.errors import BridgeError
from bridge.pool import client
from bridge.pool.door import DEAF_S, MAX_CLIENTS, MAX_ORDER_BYTES, PATIENCE_S, Door


class House:
    """A door with its loop; clients of the tests run beside it."""

    def __init__(self, folder, answer=None):
        self.path = folder / "run" / "supervisor.sock"
        self.path.parent.mkdir()
        self.selector = selectors.DefaultSelector()
        self.asked = []
        self.given = answer or {"ok": True, "workers": []}
        self.door = Door(self.path, self.selector, self.answer)

    def answer(self, order, now):
        self.asked.append(order)
        return self.given

    def turn(self, seconds=0.0):
        for key, _ in self.selector.select(seconds):
            key.data()

    def serve(self, work):
        """Run `work` on a thread, and the loop until it is done. What it gave, or raised."""
        results = []

        def run():
            try:
                results.append(work())
            except BridgeError as error:
                results.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        limit = time.monotonic() + 10
        while thread.is_alive() and time.monotonic() < limit:
            self.turn(0.05)
        thread.join(1)
        return results[0]

    def connect(self):
        visitor = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        visitor.connect(str(self.path))
        visitor.settimeout(5)
        self.turn()
        return visitor


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    house.door.close()
    house.selector.close()


def test_an_order_is_answered_and_only_our_user_may_ask(house, tmp_path):
    assert house.path.stat().st_mode & 0o777 == 0o600
    assert house.serve(lambda: client.ask(tmp_path, {"do": "status"})) == {"ok": True, "workers": []}
    assert house.asked == [{"do": "status"}]


def test_a_refusal_becomes_an_error_with_its_sentence(house, tmp_path):
    house.given = {"ok": False, "error": "there is no slot 9: they are 0 to 2"}
    told = house.serve(lambda: client.ask(tmp_path, {"do": "restart", "slot": 9}))
    assert str(told) == "there is no slot 9: they are 0 to 2"


@pytest.mark.parametrize("line", [b"\n", b"[1]\n", b"{\n", b"\xff\xff\n", b"[" * 4000 + b"\n"])
def test_what_is_no_order_is_told_so(house, line):
    with house.connect() as visitor:
        visitor.sendall(line)
        house.turn(1)
        answer = json.loads(visitor.recv(1000))
    assert answer["ok"] is False
    assert '{"do": "status"}' in answer["error"]
    assert house.asked == []


def test_an_order_may_come_in_pieces_and_one_without_end_is_cut_off(house):
    with house.connect() as visitor:
        for piece in (b'{"do": ', b'"status"}\n'):
            visitor.sendall(piece)
            house.turn(1)
        assert json.loads(visitor.recv(1000))["ok"]
    with house.connect() as visitor:
        visitor.sendall(b"x" * MAX_ORDER_BYTES)
        house.turn(1)
        assert visitor.recv(1) == b""


def test_visitors_are_bounded_and_silent_ones_are_sent_away(house):
    visitors = [house.connect() for _ in range(MAX_CLIENTS + 1)]
    assert visitors[-1].recv(1) == b""
    house.door.tick(time.monotonic() + PATIENCE_S + 1)
    assert [visitor.recv(1) for visitor in visitors] == [b""] * len(visitors)
    for visitor in visitors:
        visitor.close()


def test_a_socket_left_behind_is_no_obstacle(house, tmp_path):
    second = Door(house.path, house.selector, house.answer)
    assert second.problem == ""
    assert house.serve(lambda: client.ask(tmp_path, {"do": "status"}))["ok"]
    second.close()


def test_a_socket_that_cannot_be_made_is_told_and_stops_nothing(tmp_path):
    door = Door(tmp_path / "no" / "folder.sock", selectors.DefaultSelector(), lambda order, now: {})
    assert "nobody can ask for the workers" in door.problem
    door.close()


def test_without_descriptors_a_knock_does_not_keep_the_supervisor_busy(house):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    visitor = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    visitor.connect(str(house.path))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        house.turn()
        assert house.selector.select(0) == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert house.door.next_due() <= time.monotonic() + DEAF_S
    house.door.tick(time.monotonic() + DEAF_S)
    visitor.sendall(b'{"do": "status"}\n')
    house.turn()
    house.turn()
    assert house.asked == [{"do": "status"}]
    visitor.close()
    assert house.door.next_due() is None
