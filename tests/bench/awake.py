"""Cores that never halt, for a second look at CPU.

In a virtual machine a core that goes to sleep costs the next thread that wakes on it 30 to 90 µs, charged to that
thread: most of what a bridge with little to do seems to need. A loop at SCHED_IDLE priority on every core keeps them
awake and yields to everything else at once, as the idle loop of real hardware does within a few µs.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

_LOOP = "import os\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """No core halts while this lasts."""
    loops = [subprocess.Popen([sys.executable, "-S", "-c", _LOOP]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
