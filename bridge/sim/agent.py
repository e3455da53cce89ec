"""Who speaks in the local engine: what a scenario answers to what it was told, one object a conversation.

It keeps the intent that is still missing a slot, and which function call belongs to which intent. Sans-IO:
words, texts and function outputs in, lines to say or calls to make out. It knows no protocol and no audio.
"""

import json
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from bridge.sim.scenario import Call, Intent, Scenario, SlotValue, fill

_QUOTED = re.compile(r'\bsay exactly\b[^"“«]*["“«](.+)["”»]', re.DOTALL | re.IGNORECASE)
_WHOLE = re.compile(r"\{([a-z_]+)\}\Z")
MAX_OPEN_CALLS = 64
"""Calls whose result is awaited; the oldest is forgotten, its result is then answered in general words."""


@dataclass(frozen=True, slots=True)
class Say:
    """A line to speak or write."""

    text: str


@dataclass(frozen=True, slots=True)
class Invoke:
    """A function to call; `arguments` is JSON text."""

    name: str
    arguments: str


Reply = Say | Invoke


@dataclass(slots=True)
class Agent:
    """The scenario in one conversation."""

    scenario: Scenario
    _pending: str | None = None
    _slots: dict[str, SlotValue] = field(default_factory=dict)
    _calls: dict[str, tuple[Call, dict[str, SlotValue]]] = field(default_factory=dict)
    _last: tuple[Call, dict[str, SlotValue]] | None = None
    _misses: int = 0

    @property
    def pending(self) -> str | None:
        """The intent that waits for an answer of the caller."""
        return self._pending

    def greet(self) -> Say:
        """The first words of a conversation."""
        return Say(self.scenario.file.greeting)

    def nudge(self) -> Say:
        """Words for a caller who says nothing."""
        return Say(self.scenario.file.silence)

    def hear(self, text: str, tools: AbstractSet[str]) -> Reply:
        """Answer what the caller said; `tools` names the functions that may be called."""
        match = self.scenario.match(text, self._pending) if text else None
        if match is None:
            line = self.scenario.file.fallback[self._misses % len(self.scenario.file.fallback)]
            self._misses += 1
            return Say(line)
        self._misses = 0
        if match.intent != self._pending:
            self._pending, self._slots = match.intent, {}
        self._slots.update(match.slots)
        intent = self.scenario.file.intents[match.intent]
        for slot, question in intent.needs.items():
            if slot not in self._slots:
                return Say(fill(question, self._spoken()))
        return self._conclude(intent, tools)

    def understands(self, text: str) -> bool:
        """Whether a text means something in this scenario."""
        return self.scenario.match(text, self._pending) is not None

    def called(self, call_id: str) -> None:
        """The Invoke just returned was sent under `call_id`."""
        if self._last is None:
            return
        if len(self._calls) >= MAX_OPEN_CALLS:
            del self._calls[next(iter(self._calls))]
        self._calls[call_id], self._last = self._last, None

    def result(self, call_id: str, output: str) -> Say:
        """Say what came of a call; `output` is the text of the function_call_output item."""
        fields = _fields(output)
        known = self._calls.pop(call_id, None)
        if known is None:
            return Say(f"The result is {fields.get('result', output)}.")
        call, said = known
        values = {name: slot.said for name, slot in said.items()} | fields
        for result in call.results:
            if all(fields.get(key) == wanted for key, wanted in result.when.items()):
                return Say(fill(result.say, values))
        return Say(self.scenario.file.fallback[0])

    def _conclude(self, intent: Intent, tools: AbstractSet[str]) -> Reply:
        said, spoken = dict(self._slots), self._spoken()
        self._pending, self._slots = None, {}
        if intent.call is None:
            return Say(fill(intent.reply or "", spoken))
        if intent.call.name not in tools:
            return Say(intent.call.unavailable)
        self._last = (intent.call, said)
        values = {name: slot.value for name, slot in said.items()}
        return Invoke(intent.call.name, json.dumps(_arguments(intent.call.arguments, values)))

    def _spoken(self) -> dict[str, str]:
        return {name: slot.said for name, slot in self._slots.items()}


def quoted(instructions: str) -> str | None:
    """The text in quotes after the words "say exactly", as in `Say exactly this: "Hello."`; None without."""
    found = _QUOTED.search(instructions)
    return found.group(1) if found else None


def _arguments(template: Any, values: Mapping[str, Any]) -> Any:
    """`"{slot}"` alone keeps the value's type; inside a longer text it becomes text; missing slots are null."""
    if isinstance(template, dict):
        return {key: _arguments(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [_arguments(value, values) for value in template]
    if not isinstance(template, str):
        return template
    whole = _WHOLE.match(template)
    return values.get(whole.group(1)) if whole else fill(template, values)


def _fields(output: str) -> dict[str, Any]:
    try:
        data = json.loads(output)
    except ValueError:
        return {"result": output}
    return data if isinstance(data, dict) else {"result": data}
