"""The sockets of all RTP streams of a worker, read when somebody asks for it instead of by a thread of pjmedia's.

A thread that waits for packets is woken for each of them: 200 times a second at four calls, and waking costs more than
reading. The media clock comes by every few milliseconds anyway (mediaclock.py) and reads what has come by then, which
is as soon as it would look at it. So pjmedia gets a queue of its own (endpoint.py), this stops its thread, and polls.

CDLL, not PyDLL: the interpreter is free during a poll, because pjmedia may hold locks that another thread holds while
it waits for the interpreter. Where streams are not read directly (natives.py says why) nobody ticks, and `Pump` polls.
"""

import ctypes
import threading
from collections.abc import Callable
from pathlib import Path

_AT_A_TIME = 16  # PJ_IOQUEUE_MAX_EVENTS_IN_SINGLE_POLL as compiled
_ROUNDS = 8
PUMP_MS = 10


class _TimeVal(ctypes.Structure):
    """pj_time_val."""

    _fields_ = (("sec", ctypes.c_long), ("msec", ctypes.c_long))


class MediaQueue:
    """pjmedia's queue of RTP and RTCP sockets. Made after libInit, on a thread that pjlib knows.

    Raises OSError or AttributeError when the library does not have what is needed.
    """

    def __init__(self, extension: Path) -> None:
        library = ctypes.CDLL(str(extension))
        library.pjsua_get_pjmedia_endpt.restype = ctypes.c_void_p
        library.pjmedia_endpt_get_ioqueue.restype = ctypes.c_void_p
        library.pjmedia_endpt_get_ioqueue.argtypes = [ctypes.c_void_p]
        self._poll = library.pj_ioqueue_poll
        self._poll.argtypes = [ctypes.c_void_p, ctypes.POINTER(_TimeVal)]
        library.pjmedia_endpt_stop_threads.restype = ctypes.c_int
        library.pjmedia_endpt_stop_threads.argtypes = [ctypes.c_void_p]
        endpoint = library.pjsua_get_pjmedia_endpt()
        self._queue = library.pjmedia_endpt_get_ioqueue(endpoint)
        if not self._queue:
            raise OSError("pjmedia has no queue of its own")
        if library.pjmedia_endpt_stop_threads(endpoint):
            raise OSError("pjmedia does not stop its thread")
        self._at_once = _TimeVal(0, 0)
        self._at_once_ref = ctypes.byref(self._at_once)

    def read(self) -> None:
        """Take in every packet that has come: it is in its stream's jitter buffer when this returns."""
        for _ in range(_ROUNDS):
            if self._poll(self._queue, self._at_once_ref) < _AT_A_TIME:
                return

    def wait(self, ms: int) -> None:
        """Wait for packets, at most so long, and take them in."""
        self._poll(self._queue, ctypes.byref(_TimeVal(0, ms)))


class Pump:
    """A thread that polls all the time, for streams that pjmedia's own clock serves; none when it is not `needed`."""

    def __init__(
        self, queue: MediaQueue, register_thread: Callable[[str], None], *, needed: bool = True
    ) -> None:
        self._needed = needed
        self._queue = queue
        self._register_thread = register_thread
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="media", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        if self._needed:
            self._thread.start()

    def stop(self) -> None:
        """End it and wait for the end."""
        self._stopping = True
        if self._needed:
            self._thread.join(timeout=1)

    def _run(self) -> None:
        self._register_thread("media")
        while not self._stopping:
            self._queue.wait(PUMP_MS)
