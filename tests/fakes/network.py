"""A network of its own for every process that runs tests beside others. Linux, root; elsewhere they share loopback.

Tests find a free port, close it and hand its number to a program that opens it a moment later. Beside other tests
on the same loopback somebody else takes it now and then; in a network namespace of its own nobody is there to do so,
and nothing that a test sends can leave the machine.
"""

import ctypes
import os
import subprocess
import sys

CLONE_NEWNET = 0x40000000


def own_network() -> bool:
    """Move this thread, and all it starts from now on, into a new network namespace with only loopback.

    False where that is not allowed: nothing changed. To be called before other threads open sockets.
    """
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        return False
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
    return True
