"""What a call does at this moment, from the newest of its events that tells. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

Doing = Callable[[Mapping[str, Any]], str]


def _is(word: str) -> Doing:
    return lambda _data: word


def _after_agent(data: Mapping[str, Any]) -> str:
    return "caller" if data.get("interrupted") is True else "listening"


def _after_tool(data: Mapping[str, Any]) -> str:
    return {"pending": "approval", "confirming": "confirming"}.get(str(data.get("state")), "tool")


TELLING: Mapping[str, Doing] = {
    "call.started": _is("ringing"),
    "call.ringing": _is("ringing"),
    "session.connecting": _is("connecting"),
    "call.answered": _is("listening"),
    "prompt": _is("announcement"),
    "agent.started": _is("agent"),
    "agent.finished": _after_agent,
    "speech.started": _is("caller"),
    "speech.stopped": _is("thinking"),
    "function_call": _is("tool"),
    "tool.state": _after_tool,
    "function_output": _is("thinking"),
    "session.failed": _is("lost"),
    "transfer.started": _is("transfer"),
    "leg.dialled": _is("transfer"),
    "leg.connected": _is("person"),
    "leg.ended": _is("listening"),
    "conference.started": _is("person"),
    "queue.position": _is("queue"),
    "queue.no_answer": _is("queue"),
    "queue.connected": _is("person"),
    "park.parked": _is("parked"),
    "park.picked_up": _is("person"),
    "supervisor.took_over": _is("taken_over"),
    "supervisor.gave_back": _is("listening"),
    "call.held": _is("held"),
    "call.resumed": _is("listening"),
    "menu": _is("keys"),
    "collect": _is("keys"),
    "call.closing": _is("ending"),
    "call.ended": _is("ended"),
}
"""By the type of event; words are those of texts `doing.…`."""


def doing(event_type: str, data: Mapping[str, Any] | None) -> str:
    """One of the words of TELLING; "": this event does not tell."""
    tells = TELLING.get(event_type)
    return tells(data or {}) if tells else ""
