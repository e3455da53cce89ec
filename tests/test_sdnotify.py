import os
import socket

import pytest

from bridge.sdnotify import Manager


@pytest.fixture(params=["file", "abstract"])
def manager(request, tmp_path):
    """A service manager's socket, and what came to it."""
    name = str(tmp_path / "notify") if request.param == "file" else f"\0sipbridge-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name)
        listening.settimeout(2)

        class Heard:
            variable = "@" + name[1:] if name.startswith("\0") else name

            def next(self):
                return listening.recv(4096).decode().split("\n")

            def nothing(self):
                listening.setblocking(False)
                with pytest.raises(BlockingIOError):
                    listening.recv(100)
                return True

        yield Heard()


def test_systemd_hears_when_all_of_it_works_and_when_it_stops(manager):
    environ = {"NOTIFY_SOCKET": manager.variable, "PATH": "/bin"}
    service = Manager(environ)
    assert environ == {"PATH": "/bin"}
    service.ready("SIP on 127.0.0.1\nhealth")
    assert manager.next() == ["READY=1", f"MAINPID={os.getpid()}", "STATUS=SIP on 127.0.0.1 health"]
    service.status("rolling")
    assert manager.next() == ["STATUS=rolling"]
    service.stopping()
    assert manager.next() == ["STOPPING=1", "STATUS=draining"]
    assert service.next_due() is None


def test_the_watchdog_hears_twice_in_its_period(manager):
    service = Manager(
        {"NOTIFY_SOCKET": manager.variable, "WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())}
    )
    service.tick(100.0)
    assert manager.next() == ["WATCHDOG=1"]
    assert service.next_due() == 110.0
    service.tick(109.9)
    assert manager.nothing()
    service.tick(110.0)
    assert service.next_due() == 120.0


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"NOTIFY_SOCKET": "/nowhere/notify"},
        {"NOTIFY_SOCKET": "x" * 300},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "many"},
    ],
)
def test_nobody_who_listens_is_no_error(environ):
    service = Manager(environ)
    service.ready("x")
    service.tick(1.0)
    service.stopping()
    assert service.next_due() is None
