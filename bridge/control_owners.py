"""Which worker process carries which call: a worker asks for its own calls only.

    events, the store at start ──learn──► Owners ◄──check── every request that names a call

A call that nobody has told of yet belongs to the first who names it: requests overtake events, and ids cannot be
guessed. Nothing is stored; what was open when control was started is in the store. Control's loop.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from sys import intern
from typing import Any

from bridge.errors import LinkError
from bridge.link.messages import Hello

MAX_CALLS = 50_000
"""Remembered, ended ones too: somebody may still ask what became of their tools."""


class Owners:
    """`host`: the SIP address of every worker, as they write it (call/parking.py)."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._host = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104  # compared, not bound
        self._boots: OrderedDict[str, str] = OrderedDict()

    def learn(self, boot: str, call_ids: Iterable[str]) -> None:
        """A worker process has told of these calls. The first word counts."""
        for call_id in call_ids:
            self._owner(call_id, boot)

    def check(self, kind: str, data: Mapping[str, Any], hello: Hello) -> None:
        """Raises LinkError: the request is about what is another worker's."""
        call_id = data.get("call_id")
        if isinstance(call_id, str) and self._owner(call_id, hello.boot) != hello.boot:
            raise LinkError(f"{kind[:40]}: the call is another worker's", fatal=True)
        address = f"{self._host}:{hello.sip_port}"
        if kind == "park.wait" and data.get("address") != address:
            raise LinkError(f"park.wait: worker {hello.worker} is reached at {address}", fatal=True)

    def _owner(self, call_id: str, boot: str) -> str:
        owner = self._boots.setdefault(call_id, intern(boot))  # every event brings a copy of its own
        self._boots.move_to_end(call_id)
        if len(self._boots) > MAX_CALLS:
            self._boots.popitem(last=False)
        return owner
