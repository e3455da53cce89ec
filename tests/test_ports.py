"""Finding free ports."""

import socket

import pytest

from bridge.errors import SettingsError
from bridge.ports import free_sip_port, free_tcp_port


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
