"""One entry of the audit about a request, in words. Pure.

Names of who decided are for everybody who may look; what was said and changed is for who may see it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.console.texts import TEXTS, text
from bridge.store.paststore import Trace

_OURS = ("model", "caller", "system")
_WORDS = ("reason", "text", "note", "why", "how")


@dataclass(frozen=True, slots=True)
class Told:
    """Who did what when; `parts` are details, `words` what somebody said."""

    at: float
    actor: str
    what: str
    parts: tuple[str, ...]
    words: str


def told(trace: Trace, *, personal: bool) -> Told:
    """An entry as the page shows it."""
    name = f"trail.{trace.type}"
    what = text(name) if name in TEXTS else text("trail.other", type=trace.type)
    actor = text(f"trail.{trace.actor}") if trace.actor in _OURS else trace.actor
    parts = _parts(trace.type, trace.facts)
    kept: Mapping[str, Any] = trace.personal if personal and trace.personal is not None else {}
    if isinstance(changed := kept.get("arguments"), dict) and trace.facts.get("edited"):
        parts += (json.dumps(changed, ensure_ascii=False),)
    words = next((str(kept[key]) for key in _WORDS if kept.get(key)), "")
    return Told(trace.at, actor, what, parts, words)


def _parts(kind: str, facts: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    if kind == "requested":
        found.append(text("trail.rule", rule=facts.get("rule") or text("card.no_rule")))
    if facts.get("via"):
        found.append(text("trail.via", via=facts["via"]))
    if facts.get("edited"):
        found.append(text("trail.edited"))
    if kind == "escalated":
        found.append(text("trail.to", to=facts.get("to", "")))
    if kind == "question_put":
        outcome = f"asked.{facts.get('outcome')}"
        found.append(text(outcome) if outcome in TEXTS else str(facts.get("outcome")))
    return tuple(found)
