"""What the loop wants done on the pj thread: a queue of functions, and the way back of what they give or raise.

pjsua2's own errors and every traceback stay on the pj thread: a traceback's frames hold pj objects, and one that the
loop's thread lets go of crashes the process.
"""

import asyncio
import concurrent.futures
import contextlib
import queue
from collections.abc import Callable
from typing import TypeVar

import pjsua2 as pj

from bridge.errors import SipError
from bridge.sip.headers import clean

T = TypeVar("T")


class Errands:
    """`wake` makes the pj thread come round; `deadline_s`: a pj thread that has not answered by then is stuck."""

    def __init__(self, wake: Callable[[], None], deadline_s: float) -> None:
        self._wake = wake
        self._deadline_s = deadline_s
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    async def submit(self, function: Callable[[], T]) -> T:
        """Run `function` on the pj thread and wait for what it gives. Raises what it raised, or TimeoutError."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            # A command whose caller was cancelled is carried out all the same: the dialog counts it as done.
            wanted = future.set_running_or_notify_cancel()
            try:
                result = function()
            except Exception as error:  # noqa: BLE001  # whatever it is belongs to the caller, not to this thread
                if wanted:
                    future.set_exception(_as_sip_error(error))
            else:
                if wanted:
                    future.set_result(result)

        self.post(run)
        async with asyncio.timeout(self._deadline_s):
            return await asyncio.wrap_future(future)

    def post(self, function: Callable[[], None]) -> None:
        """Run `function` on the pj thread, soon. Any thread."""
        self._queue.put(function)
        self._wake()

    def work_off(self) -> None:
        """Run everything that waits. Pj thread."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()()


def _as_sip_error(error: Exception) -> Exception:
    """What pjsua2 throws must not leave the pj thread, nor must a traceback, whose frames hold calls."""
    return SipError(500, clean(error.reason)) if isinstance(error, pj.Error) else error.with_traceback(None)
