"""The ports that tests get."""

import socket

import pytest

from tests.fakes.ports import FIRST, TCP, UDP, Ports


def test_a_port_is_given_again_only_when_all_others_were():
    ports = Ports(FIRST, FIRST + 40)
    given = [ports.take(10, (UDP,), 10) for _ in range(8)]
    assert sorted(given[:4]) == [FIRST, FIRST + 10, FIRST + 20, FIRST + 30]
    assert given[4:] == given[:4]


@pytest.mark.parametrize("kind", [UDP, TCP])
def test_a_port_that_somebody_has_is_in_no_block(kind):
    with socket.socket(socket.AF_INET, kind) as other:
        port = Ports().take(30, (UDP, TCP), 30)
        other.bind(("127.0.0.1", port + 11))
        ports = Ports(port, port + 30)
        assert {ports.take(10, (UDP, TCP), 2) for _ in range(9)} <= {port, *range(port + 12, port + 21)}
        with pytest.raises(AssertionError, match="no 20 free ports"):
            ports.take(20, (UDP, TCP), 2)
