"""Watches the dialplan's files, when the settings ask for it, and says when they have come to rest after a change.

A save is often several events (a new file, a rename, a touch), and several files are saved one after the other; so it
waits until nothing has happened for a moment. What changed is not looked at here: PlanDesk compares contents. Runs on
control's loop; the watching itself is a thread of watchfiles.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from watchfiles import awatch

log = structlog.get_logger(__name__)

REST_MS = 400
"""Nothing has happened for so long: whoever saves is done."""
MAX_WAIT_MS = 3000
LOOK_AGAIN_MS = 1000
RETRY_S = 5.0


async def watch(path: Path, changed: Callable[[], Awaitable[object]]) -> None:
    """Call `changed` after every change below `path` (a file: in its folder), until cancelled."""
    while True:
        whole = await asyncio.to_thread(path.is_dir)
        try:
            await changed()
            looked = False
            async for changes in awatch(
                path if whole else path.parent,
                debounce=MAX_WAIT_MS,
                step=REST_MS,
                recursive=whole,
                rust_timeout=LOOK_AGAIN_MS,
                yield_on_timeout=True,
            ):
                if changes or not looked:  # a change before the kernel watched was not seen
                    looked = True
                    await changed()
        except (OSError, RuntimeError) as error:  # the folder is not there, or the kernel watches no more
            log.warning("dialplan.not_watched", path=str(path), reason=str(error), retry_s=RETRY_S)
        await asyncio.sleep(RETRY_S)
