"""Which tool calls a response left open, so that the conversation goes on once, when all of them are answered.

A machine. Nothing continues by itself after a tool: with parallel calls all outputs are sent first, then one
`response.create`, and not before `response.done` (OpenAI Realtime, function calling and MCP). Groups are by response,
so a slow call of an older response does not hold back a newer one.
"""

from dataclasses import dataclass, field

MAX_OPEN = 256
MAX_SEEN = 1024


@dataclass(slots=True)
class _Group:
    ended: bool
    open: set[str] = field(default_factory=set)
    respond: bool = False


class CallBook:
    """Open function calls (by call id), approvals and hosted MCP calls (by item id) of each response."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._response: dict[str, str] = {}
        self._seen: dict[str, None] = {}

    def first_sight(self, key: str) -> bool:
        """Whether this call or request is new; servers name the same one in up to four events."""
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > MAX_SEEN:
            del self._seen[next(iter(self._seen))]
        return True

    def opened(self, response_id: str, key: str, *, ended: bool) -> None:
        """A call waits for its answer (256 at most). `ended`: its response is over, or it has none."""
        if key not in self._response and len(self._response) < MAX_OPEN:
            self._response[key] = response_id
            self._groups.setdefault(response_id, _Group(ended)).open.add(key)

    def is_open(self, key: str) -> bool:
        """Whether this call waits for its answer."""
        return key in self._response

    def answered(self, key: str, *, respond: bool) -> bool:
        """The call has its answer. True: a reply of the agent is due now."""
        response_id = self._response.pop(key, None)
        if response_id is None:
            return False
        group = self._groups[response_id]
        group.open.discard(key)
        group.respond = group.respond or respond
        return self._settle(response_id)

    def response_ended(self, response_id: str) -> bool:
        """`response.done`. True: a reply of the agent is due now."""
        group = self._groups.get(response_id)
        if group is None:
            return False
        group.ended = True
        return self._settle(response_id)

    def _settle(self, response_id: str) -> bool:
        group = self._groups[response_id]
        if group.open or not group.ended:
            return False
        del self._groups[response_id]
        return group.respond
