"""A kernel timer that a loop or a thread can wait for (timerfd_create(2)); the standard library has it from 3.13 on.

On CLOCK_MONOTONIC, without the millisecond that `call_later` is rounded to. A shell: it owns a file descriptor. `arm`
and `disarm` on any thread, `read` and `close` by whom it rings for.
"""

import ctypes
import os

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_libc = ctypes.CDLL(None, use_errno=True)
_settime = ctypes.PyDLL(None).timerfd_settime  # never waits: not worth giving the interpreter away


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class TimerFd:
    """`fd` is readable when time has come; `blocking`: `read` waits for that. Raises OSError: the kernel gives none."""

    def __init__(self, *, blocking: bool = False) -> None:
        self.fd = _libc.timerfd_create(_CLOCK_MONOTONIC, os.O_CLOEXEC if blocking else _NONBLOCK_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._once = _Itimerspec()
        self._once_ref = ctypes.byref(self._once)

    def arm(self, first_s: float, interval_s: float = 0.0) -> None:
        """Ring at monotonic `first_s` (at once, when that is past) and every `interval_s` from there; 0: once."""
        self._set(_Itimerspec(_timespec(interval_s), _timespec(max(first_s, 1e-9))))

    def put_off(self, until_s: float) -> None:
        """Ring once, at monotonic `until_s` and not before. Cheaper than `arm`; on one thread at a time."""
        value, whole = self._once.value, int(until_s)
        value.seconds, value.nanoseconds = whole, int((until_s - whole) * 1e9)
        _settime(self.fd, _ABSOLUTE, self._once_ref, None)

    def disarm(self) -> None:
        """Ring no more."""
        self._set(_Itimerspec())

    def read(self) -> int:
        """How often it rang since the last look; 0: not at all."""
        try:
            return int.from_bytes(os.read(self.fd, 8), "little")
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _set(self, spec: _Itimerspec) -> None:
        if _libc.timerfd_settime(self.fd, _ABSOLUTE, ctypes.byref(spec), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")


def _timespec(seconds: float) -> _Timespec:
    whole = int(seconds)
    return _Timespec(whole, int((seconds - whole) * 1e9))
