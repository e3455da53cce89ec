"""Control's end of the process that recognises a menu's phrases (bridge/sim/choice.py).

Started when it is first needed (half a second), kept, ended at a deadline and started anew. One utterance at a time; a
few may wait. Its environment holds no secrets: what it hears comes from strangers, and its library is C. Runs on
control's loop.
"""

import asyncio
import base64
import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

import bridge
from bridge.errors import LinkError

log = structlog.get_logger(__name__)

COMMAND = (sys.executable, "-m", "bridge.sim.choice")
MAX_WAITING = 16
MAX_LINE_BYTES = 1024 * 1024
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


class Hearing:
    """Asks the process. Async context manager: the process ends with it."""

    def __init__(self, deadline_s: float, command: Sequence[str] = COMMAND) -> None:
        self._deadline_s = deadline_s
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def hear(self, audio: bytes, options: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """{"option", "heard"} of µ-law at 8 kHz. Raises LinkError: too busy, too slow, or it died."""
        if self._waiting >= MAX_WAITING:
            raise LinkError("too many callers are listened to at once")
        self._waiting += 1
        begun = time.monotonic()
        try:
            async with asyncio.timeout(self._deadline_s), self._turn:
                return await self._ask(audio, options)
        except TimeoutError as error:
            raise LinkError("listening took too long") from error
        finally:
            self._waiting -= 1
            log.debug("speech.heard", audio_s=len(audio) / 8000, took_s=round(time.monotonic() - begun, 3))

    async def _ask(self, audio: bytes, options: Mapping[str, Sequence[str]]) -> dict[str, str]:
        question = {"audio": base64.b64encode(audio).decode(), "options": options}
        answered = False
        try:
            process = await self._started()
            assert process.stdin is not None  # both are pipes
            assert process.stdout is not None
            process.stdin.write(json.dumps(question).encode() + b"\n")
            await process.stdin.drain()
            line = await process.stdout.readline()
            answer = json.loads(line) if line.endswith(b"\n") else None
            answered = isinstance(answer, dict)
        except (OSError, ValueError) as error:
            raise LinkError(f"nothing can be understood: {error}") from error
        finally:
            if not answered:  # cancelled or dead: what it would say next belongs to nobody
                await asyncio.shield(self._end())
        if not isinstance(answer, dict):
            raise LinkError("nothing can be understood: the recogniser died")
        if "error" in answer:
            raise LinkError(str(answer["error"]), fatal=True)
        return {"option": str(answer.get("option", "")), "heard": str(answer.get("heard", ""))}

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            root = str(Path(bridge.__file__).parents[1])
            environ = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
            environ |= {"PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1"}
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environ,
                limit=MAX_LINE_BYTES,
            )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
