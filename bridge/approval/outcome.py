"""What the model is told about a function call: JSON text, in words that leave no room for a false claim.

Whatever did not succeed says so, and says that the caller must not hear otherwise. Pure.
"""

import json
from collections.abc import Mapping
from typing import Any

from bridge.approval.actions import State
from bridge.approval.gate import Gate

_NOT_DONE = "It was NOT done. Tell the caller so; do not say or suggest that it was."
_WORDS = {
    State.DENIED: ("denied", "The action was not approved. " + _NOT_DONE),
    State.EXPIRED: ("expired", "The action was not approved in time. " + _NOT_DONE),
    State.CANCELLED: ("cancelled", "The action was called off. " + _NOT_DONE),
    State.FAILED: ("failed", "The action failed. " + _NOT_DONE),
    State.UNKNOWN: (
        "unknown",
        "Nobody knows whether the action was done. Say neither that it was nor that it was not: a person will look.",
    ),
}
MAX_REASON_CHARS = 300
BAD_ARGUMENTS = (
    "The arguments do not fit: {problem}. Nothing was done. Correct them and call the function again."
)
GIVE_UP = "The arguments still do not fit. Nothing was done. Tell the caller that it is not possible now."
CALL_OVER = "The call is over. Nothing was done."
OTHER_CALL = "Another function call had this id. Nothing was done."
NO_FUNCTION = "There is no such function. Nothing was done."
NOT_PINNED = "The definition of this function was not accepted. Nothing was done."


def function_output(gate: Gate) -> str:
    """The function's output for the model; "" while the request has none yet."""
    if gate.state is State.SUCCEEDED:
        return _text({"status": "done", **gate.outcome} | _edited(gate))
    words = _WORDS.get(gate.state)
    if words is None:
        return ""
    status, message = words
    told: dict[str, Any] = {"status": status, "message": message}
    reason = gate.ruling.words if gate.ruling.effect == "deny" else gate.reason
    if reason:
        told["reason"] = reason[:MAX_REASON_CHARS]
    if gate.state is State.FAILED and gate.outcome:
        told["error"] = str(gate.outcome.get("error", ""))[:MAX_REASON_CHARS]
    return _text(told)


def refusal(words: str) -> dict[str, str]:
    """What a call gets that never became a request."""
    return {"state": "denied", "output": _text({"status": "refused", "message": words})}


def _edited(gate: Gate) -> dict[str, Any]:
    """An approver who changed the arguments changed what was done: the caller has to hear the new form."""
    return {"approved_with_changes": dict(gate.arguments)} if gate.edited_by else {}


def _text(told: Mapping[str, Any]) -> str:
    return json.dumps(told, separators=(",", ":"), default=str)
