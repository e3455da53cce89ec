import os
import socket

from bridge.doctor import gather_network
from tests.fakes.ports import free_port


def test_a_port_is_free_taken_ours_or_not_to_be_had():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
        port = free_port()
        mine.bind(("127.0.0.1", port))
        wanted = [
            ("a", "udp", "127.0.0.1", port),
            ("b", "tcp", "127.0.0.1", port),
            ("c", "udp", "10.213.7.9", port),
        ]
        taken, other, nowhere = gather_network.ports(wanted, None)
        assert (taken.state, str(os.getpid()) in taken.who) == ("taken", True)
        assert other.state == "free"
        assert nowhere.state.startswith("cannot be bound")
        (ours,) = gather_network.ports(wanted[:1], os.getppid())
        assert ours.state == "ours"
        assert (port, "127") not in gather_network.foreign(port, port, os.getppid())
        assert [one for one, _ in gather_network.foreign(port, port, None)] == [port]
    assert gather_network.ports(wanted[:1], None)[0].state == "free"


def test_a_listening_tcp_port_has_an_owner():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        (facts,) = gather_network.ports([("a", "tcp", "127.0.0.1", server.getsockname()[1])], None)
    assert (facts.state, str(os.getpid()) in facts.who) == ("taken", True)


def test_the_loopback_is_among_our_addresses_and_names_become_addresses():
    assert "127.0.0.1" in gather_network.local_addresses()
    assert gather_network.resolve("localhost") == "127.0.0.1"
    assert gather_network.resolve("10.1.2.3") == "10.1.2.3"
