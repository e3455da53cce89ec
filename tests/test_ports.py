"""Finding free ports."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.errors import SettingsError
from bridge.ports import free_console_port, free_sip_port, free_tcp_port


def test_a_taken_udp_port_is_passed_over():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        first = taken.getsockname()[1]
        assert free_sip_port("127.0.0.1", first) > first


def test_a_taken_tcp_port_is_passed_over():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 0))
        first = taken.getsockname()[1]
        assert free_sip_port("127.0.0.1", first) > first


def test_an_address_of_another_machine_is_told_instead_of_looking_for_ports():
    with pytest.raises(
        SettingsError, match=r"sip.bind: 192.0.2.7 is not an address of this machine \(see `ip"
    ):
        free_sip_port("192.0.2.7", 5060)
    with pytest.raises(SettingsError, match=r"console.bind: 192.0.2.7 is not"):
        free_console_port("192.0.2.7", 8080)


UNPRIVILEGED = """
import os, sys
from bridge.ports import free_sip_port
os.setuid(65534)
free_sip_port("127.0.0.1", 7)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up its rights")
def test_a_port_that_needs_root_is_told():
    limit = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if int(limit.read_text()) <= 7:
        pytest.skip("here every user may bind low ports")
    ended = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED], capture_output=True, text=True, timeout=50, check=False
    )
    assert "sip.port: 7 cannot be bound (ports below 1024 need root)" in ended.stderr


def test_connections_that_just_ended_do_not_hold_a_port():
    """A bridge that is started again at once gets its port: TIME_WAIT is no listener."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0] as accepted:
            accepted.close()
    assert free_console_port("127.0.0.1", port) == port


def test_several_ports_in_a_row_are_all_free():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        second = taken.getsockname()[1]
        assert free_sip_port("127.0.0.1", second - 1, count=2) > second


def test_no_free_port_is_a_settings_error():
    with pytest.raises(SettingsError, match="no free port from 65535"):
        free_sip_port("127.0.0.1", 65535, count=2)


def test_a_tcp_port_can_be_bound_afterwards():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as user:
        user.bind(("127.0.0.1", free_tcp_port("127.0.0.1")))
