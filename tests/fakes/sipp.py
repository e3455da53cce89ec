"""SIPp beside a test: a scenario of tests/system/sipp as caller or as callee, to its end."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

from tests.fakes.ports import free_block

SCENARIOS = Path(__file__).parents[1] / "system" / "sipp"
GUARD_S = 25.0


@asynccontextmanager
async def sipp(folder, name, *, port, to=0, calls=1, keys=None):
    """Running for as long as the block; at its end it must have done all of the scenario. `keys`: [name] in it."""
    errors = folder / f"{name}.errors"
    more = [word for key, value in (keys or {}).items() for word in ("-key", key, value)]
    arguments = [
        "sipp", *([f"127.0.0.1:{to}"] if to else []), "-sf", str(SCENARIOS / f"{name}.xml"), "-m", str(calls),
        "-i", "127.0.0.1", "-p", str(port), "-mp", str(free_block(4, step=4)), "-nostdin", *more,
        "-timeout", "20", "-timeout_error", "-recv_timeout", "15000", "-trace_err", "-error_file", str(errors),
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *arguments, cwd=folder, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    reading = asyncio.create_task(process.communicate())
    try:
        yield process
        async with asyncio.timeout(GUARD_S):
            output, _ = await asyncio.shield(reading)
        said = errors.read_text() if errors.exists() else ""
        assert process.returncode == 0, f"{said[-3000:]}\n{output.decode()[-2000:]}"
    finally:
        if process.returncode is None:
            process.kill()
        await reading
