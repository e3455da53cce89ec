"""`sipbridge calls why`: what became of a call, in one sentence, and what to look at next.

The same words as the log line `call.failed` of control, made from the stored events. Reads the store directly, changes
nothing. Not worker-safe.
"""

import json
from typing import Any

from bridge.records.course import Course
from bridge.records.ending import explain
from bridge.records.moments import all_moments

NAMES = {
    "kind": "class",
    "ended_by": "ended by",
    "session_error": "session",
    "rang_s": "rang",
    "talked_s": "talked",
    "hint": "look at",
}
WORDS = {
    "greeting": "answer to greeting",
    "response": "last word to response",
    "barge_in": "barge-in to silence",
    "tool_wait": "tool wait",
    "transfer_start": "transfer start",
    "record_written": "record written",
}


def explanation(events: list[Any]) -> dict[str, Any]:
    """The facts; of a call that runs, that it does."""
    course = Course()
    for event in events:
        course.take(event)
    return explain(course) if course.by else {"cause": "running", "why": "the call is not over"}


def why_lines(call_id: str, facts: dict[str, Any], *, as_json: bool) -> list[str]:
    """As text: the sentence first."""
    if as_json:
        return [json.dumps({"call_id": call_id, **facts}, indent=2)]
    rows = [(NAMES.get(name, name), _shown(name, value)) for name, value in facts.items() if name != "why"]
    return [f"{call_id}: {facts['why']}", *(f"  {name:<10} {value}" for name, value in rows)]


def _shown(name: str, value: Any) -> str:
    return f"{value:.1f} s" if name.endswith("_s") else str(value)


def moment_lines(events: list[Any]) -> list[str]:
    """A line for each moment that the call had: how often, and the figures in milliseconds."""
    groups: dict[str, list[float]] = {}
    for moment in all_moments(events):
        name = WORDS[moment.name] + (f" ({moment.kind})" if moment.kind else "")
        groups.setdefault(name, []).append(moment.seconds * 1000)
    return [f"  {name:<28} {', '.join(f'{ms:.0f}' for ms in values)} ms" for name, values in groups.items()]
