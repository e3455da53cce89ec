"""The words of a conversation, on their way to the record, the history and the tool desk. On the worker's loop."""

from bridge.call.history import History
from bridge.call.journal import Journal
from bridge.call.tooldesk import ToolDesk
from bridge.realtime import events as rt

MAX_HEARING = 8
"""Turns of the caller whose words are on their way."""


class Transcript:
    """The transcripts of one model session, both sides."""

    def __init__(self, journal: Journal, history: History, tools: ToolDesk) -> None:
        self._journal = journal
        self._history = history
        self._tools = tools
        self._unfinished: dict[str, str] = {}
        self._hearing: dict[str, str] = {}

    def caller(self, event: rt.UserTranscript) -> None:
        """What the caller said."""
        if not event.final:
            self._hearing[event.item_id] = self._hearing.get(event.item_id, "") + event.text
            self._journal.partial("caller", event.item_id, self._hearing[event.item_id])
            while len(self._hearing) > MAX_HEARING:
                del self._hearing[next(iter(self._hearing))]
        else:
            self._hearing.pop(event.item_id, None)
            self._history.add("caller", event.text)
            self._journal.note("transcript", who="caller", item_id=event.item_id, text=event.text)
            self._tools.heard(event.item_id, event.text)

    def agent(self, event: rt.AgentTranscript) -> None:
        """What the agent says, piece by piece and at last whole."""
        if not event.final:
            self._unfinished[event.item_id] = self._unfinished.get(event.item_id, "") + event.text
            self._journal.partial("agent", event.item_id, self._unfinished[event.item_id])
            return
        self._unfinished.pop(event.item_id, None)
        if event.muted:
            self._history.muted(event.item_id)
        self._history.add("agent", event.text, event.item_id)
        facts = {"interrupted": True} if event.muted else {}
        self._journal.note("transcript", who="agent", item_id=event.item_id, text=event.text, **facts)
        if not event.muted:
            self._tools.agent_said(event.item_id, event.text)

    def keep_unfinished(self) -> None:
        """A response that was cut short may never send its whole transcript; what came of it counts."""
        for item_id, words in self._unfinished.items():
            self._history.add("agent", words, item_id)
            self._journal.note("transcript", who="agent", item_id=item_id, text=words)
        self._unfinished.clear()
