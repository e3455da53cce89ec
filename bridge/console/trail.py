"""One entry of the audit, about a request or a call, in words. Pure.

Names of who decided are for everybody who may look; what was said and changed is for who may see it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bridge.console.texts import TEXTS, text

KINDS: Mapping[str, tuple[str, ...]] = {
    "requests": (
        "requested", "confirmed", "not_confirmed", "approved", "denied", "escalated", "question", "question_put",
        "executing", "retried", "succeeded", "failed", "unknown", "reconciled", "expired", "cancelled", "withdrawn",
        "distrusted", "unreadable", "told_late", "run_by_hand", "ran_by_hand",
    ),
    "calls": (
        "recording_played", "recording_downloaded", "call_shared", "call_unshared", "call_exported", "calls_exported",
        "held", "released", "call_erased", "erased",
    ),
    "people": (
        "user_added", "user_changed", "user_removed", "link_given", "password_changed", "factor_added",
        "factor_removed", "factors_reset", "recovery_codes", "sessions_ended", "token_given", "token_revoked",
        "tokens_revoked",
    ),
    "audit": ("audit_exported", "restored"),
}  # fmt: skip
"""Every type of entry there is, by what it is about. Each has words (trail.TYPE)."""
_OURS = ("model", "caller", "system")
_PARTS = ("whose", "via", "to", "kind", "hours", "shared_by", "share_id")
"""Facts that are told as they are, each in its words (trail.NAME)."""
_WORDS = ("reason", "text", "note", "why", "how")


class Trace(Protocol):
    """What the store has of an entry. `personal`: None once erased, and where there was nothing."""

    @property
    def at(self) -> float:
        """Unix seconds."""

    @property
    def type(self) -> str:
        """What was done."""

    @property
    def actor(self) -> str:
        """Who did it."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """Nobody's number or words."""

    @property
    def personal(self) -> Mapping[str, Any] | None:
        """What may be forgotten."""


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
    actor = _actor(trace.actor)
    parts = _parts(trace.type, trace.facts)
    kept: Mapping[str, Any] = trace.personal if personal and trace.personal is not None else {}
    if isinstance(changed := kept.get("arguments"), dict) and trace.facts.get("edited"):
        parts += (json.dumps(changed, ensure_ascii=False),)
    words = next((str(kept[key]) for key in _WORDS if kept.get(key)), "")
    return Told(trace.at, actor, kind_words(trace.type), parts, words)


def kind_words(kind: str) -> str:
    """What an entry of this type says was done."""
    name = f"trail.{kind}"
    return text(name) if name in TEXTS else text("trail.other", type=kind)


def _actor(actor: str) -> str:
    kind, _, share_id = actor.partition(" ")  # no user's name has a space
    return text(f"trail.{kind}", id=share_id) if kind in _OURS or (kind == "link" and share_id) else actor


def _parts(kind: str, facts: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    if kind == "requested":
        found.append(text("trail.rule", rule=facts.get("rule") or text("card.no_rule")))
    found += [text(f"trail.{name}", **{name: facts[name]}) for name in _PARTS if facts.get(name)]
    if facts.get("edited"):
        found.append(text("trail.edited"))
    if kind == "question_put":
        outcome = f"asked.{facts.get('outcome')}"
        found.append(text(outcome) if outcome in TEXTS else str(facts.get("outcome")))
    return tuple(found)
