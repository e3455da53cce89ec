"""The pj thread's alarm clock."""

import socket

from bridge.sip.waker import KEEP_ALIVE, Waker


def test_a_wake_is_the_keep_alive_pjsip_drops():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(5)
        waker = Waker(*listener.getsockname())
        waker.wake()
        assert listener.recv(100) == KEEP_ALIVE
        waker.close()


def test_waking_a_socket_that_is_not_there_is_no_fault():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    waker = Waker(*address)
    waker.wake()
    waker.wake()
    waker.close()
    waker.wake()
