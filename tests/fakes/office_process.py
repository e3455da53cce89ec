"""A tool desk in a process of its own that dies by SIGKILL: `python -m tests.fakes.office_process FOLDER [MOMENT]`.

It takes one request all the way: called, confirmed, approved, run. MOMENT is `before:STATE` or `after:STATE`: it is
killed right before or after that state is stored; `in:tool` kills it in the tool, before the work, `late:tool` after.
FOLDER/done.txt has a line for every time the work was done. Started again without MOMENT it goes on; prints the state.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from bridge.toolbox.spec import ToolContext, spec_of, tool
from tests.fakes import office as fakes


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Dying:
    """The gate's store, which does not outlive a moment."""

    def __init__(self, gates, moment):
        self._gates, self._moment = gates, moment

    def __getattr__(self, name):
        return getattr(self._gates, name)

    async def save(self, gate, version, audit, at, seen=None):
        if self._moment == f"before:{gate['state']}":
            die()
        saved = await self._gates.save(gate, version, audit, at, seen)
        if self._moment == f"after:{gate['state']}":
            die()
        return saved


async def main(folder, moment):
    async with fakes.running(folder) as office:
        office.office._gates._store = Dying(office.gates, moment)

        @tool("x", risk="money")
        def both(amount: int, context: ToolContext) -> dict:
            """Does the work."""
            if moment == "in:tool":
                die()
            with Path(folder, "done.txt").open("a") as file:
                file.write(f"{amount} {context.idempotency_key}\n")
            if moment == "late:tool":
                die()
            return {"status": "paid"}

        office.tools["both"] = spec_of(both)
        rows = await office.gates.requests()
        if not rows:
            await office.call("both")
            rows = await office.gates.requests()
        request_id = rows[0].request_id
        if await office.state(request_id) == "confirming":
            await office.confirm(request_id)
        if await office.state(request_id) == "pending":
            await office.decide(request_id)
        sys.stdout.write(await office.settled(request_id) + "\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""))
