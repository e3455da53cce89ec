"""Tells systemd how the service is (sd_notify(3)): ready, stopping, alive. Silent where nobody asked.

One datagram to $NOTIFY_SOCKET each. The variables are taken out of the environment, so that no child speaks for us.
Never raises: a service manager that does not listen is no reason to end calls. Standard library only; the supervisor's
one thread.
"""

import contextlib
import os
import socket
from collections.abc import MutableMapping


class Manager:
    """The service manager, if there is one. `now` is monotonic seconds."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self._address = environ.pop("NOTIFY_SOCKET", "")
        period_us, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        mine = pid in {"", str(os.getpid())}
        self._every_s = int(period_us) / 2e6 if period_us.isdigit() and mine and self._address else None
        self._due = float("-inf")

    def ready(self, status: str) -> None:
        """Everything works."""
        self._send(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={_line(status)}")

    def stopping(self) -> None:
        """Calls that go on may end; no new ones."""
        self._send("STOPPING=1\nSTATUS=draining")

    def status(self, text: str) -> None:
        """A line for `systemctl status`."""
        self._send(f"STATUS={_line(text)}")

    def next_due(self) -> float | None:
        """When `tick` has to be called at the latest; None: nobody waits for it."""
        return None if self._every_s is None else self._due

    def tick(self, now: float) -> None:
        """We are alive: twice in a watchdog's period."""
        if self._every_s is not None and now >= self._due:
            self._due = now + self._every_s
            self._send("WATCHDOG=1")

    def _send(self, words: str) -> None:
        if not self._address:
            return
        # A name in the abstract namespace begins with @, for the kernel with a NUL byte.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with (
            contextlib.suppress(OSError, ValueError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out,
        ):
            out.setblocking(False)
            out.sendto(words.encode(), address)


def _line(text: str) -> str:
    return text.replace("\n", " ")[:200]
