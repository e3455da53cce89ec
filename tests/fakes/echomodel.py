"""A speech model for failure tests: says back what it hears, and calls the function that its instructions name.

    python -m tests.fakes.echomodel ADDRESS PORT      prints `listening` and serves until it is ended

Instructions that contain `[call NAME {json}]` make it call that function once, when the session has begun. It keeps
nothing, so that it may run for hours.
"""

import asyncio
import contextlib
import itertools
import json
import re
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from bridge.sim.echo import Echo

CALL = re.compile(r"\[call (\w+) (\{.*?\})\]")
_numbers = itertools.count(1)


class Session:
    """One connection."""

    def __init__(self, connection):
        self._connection = connection
        self._name = f"s{next(_numbers)}"
        self._echo = Echo(self._name, appends=5)  # as a model does: some audio at a time
        self._called = False

    async def run(self):
        await self._send("session.created", session={"id": self._name, "type": "realtime", "model": "echo"})
        with contextlib.suppress(ConnectionClosed):
            async for message in self._connection:
                said = self._echo.hear(message.encode() if isinstance(message, str) else message)
                if said is None:
                    await self._hear(json.loads(message))
                for text in said or ():
                    await self._connection.send(text, text=True)

    async def _hear(self, event):
        if event["type"] == "session.update":
            await self._send("session.updated", session={"id": self._name, **event["session"]})
            named = CALL.search(event["session"].get("instructions") or "")
            if named and not self._called:
                self._called = True
                await self._call(named[1], named[2])
        elif event["type"] == "conversation.item.create":
            item = {"id": f"item_{next(_numbers)}", **event["item"]}
            await self._send("conversation.item.added", item=item, previous_item_id=None)
        elif event["type"] == "response.create":
            wish = (event.get("response") or {}).get("metadata")
            await self._respond([], **({"metadata": wish} if wish else {}))

    async def _call(self, name, arguments):
        number = next(_numbers)
        item = {
            "type": "function_call",
            "id": f"item_{number}",
            "call_id": f"{self._name}-{number}",
            "name": name,
        }
        await self._respond([item | {"arguments": arguments, "status": "completed"}])

    async def _respond(self, items, **more):
        response = {"id": f"resp_{next(_numbers)}", **more}
        await self._send("response.created", response={**response, "status": "in_progress"})
        for item in items:
            await self._send(
                "response.output_item.done", response_id=response["id"], output_index=0, item=item
            )
        done = {**response, "status": "completed", "output": items, "usage": {"total_tokens": 10}}
        await self._send("response.done", response=done)

    async def _send(self, event_type, **fields):
        text = json.dumps({"type": event_type, "event_id": f"ev_{next(_numbers)}", **fields})
        await self._connection.send(text)


async def main(address, port):
    async with serve(lambda connection: Session(connection).run(), address, port, compression=None):
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1], int(sys.argv[2])))
