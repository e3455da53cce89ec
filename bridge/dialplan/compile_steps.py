"""Steps as a person writes them, into the steps of a plan. They were checked before.

Reads the files that `play` names. Not worker-safe. Called by bridge/dialplan/load.py.
"""

import hashlib

from bridge.dialplan import schema_steps as schema
from bridge.dialplan import steps as plan
from bridge.dialplan.source import Source, play_path

_STATUS_WORDS = {
    403: "Forbidden",
    404: "Not Found",
    480: "Temporarily Unavailable",
    486: "Busy Here",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    503: "Service Unavailable",
    600: "Busy Everywhere",
    603: "Decline",
    607: "Unwanted",
    608: "Rejected",
}
"""Reason phrases of the statuses people use (RFC 3261 section 21, RFC 8197, RFC 8688)."""


def compile_step(source: Source, step: schema.Step) -> plan.Step:  # noqa: PLR0911  # a case an action
    """The compiled step; the checks made sure that exactly one action is set."""
    match step:
        case schema.Step(ring=schema.Ring() as ring):
            return plan.RingStep(ring.ms)
        case schema.Step(say=schema.Say() as say):
            language = say.language or source.spec.language
            return plan.SayStep(say.text, language, prompt_id(say.text, language))
        case schema.Step(play=str() as file):
            path = play_path(source, file)
            return plan.PlayStep(str(path), hashlib.sha256(path.read_bytes()).hexdigest()[:16])
        case schema.Step(hang_up=schema.HangUp() as end):
            return plan.HangUpStep(end.status, end.reason or _STATUS_WORDS.get(end.status or 0, ""))
        case schema.Step(reject=schema.Reject() as end):
            return plan.RejectStep(end.status, end.reason or _STATUS_WORDS.get(end.status, "Refused"))
        case _:
            or_else = tuple(compile_step(source, one) for one in step.or_else or ())
            if step.transfer is not None:
                return plan.TransferStep(step.transfer, or_else)
            return plan.AgentStep(str(step.agent), or_else)


def prompt_id(text: str, language: str) -> str:
    """16 hex digits that name a spoken text: the same text in the same language is spoken once."""
    return hashlib.sha256(f"{language}\n{text}".encode()).hexdigest()[:16]
