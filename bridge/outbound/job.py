"""One call that was asked for, from the wish to its outcome. A machine of pure steps: a job and `now` in, a job out.

    asked ─► queued ─► dialling ─► ringing ─► answered ─► human | machine ─► done
       │       ▲  │       │           └──────────┴──────► busy · no_answer ──(tries left)──► queued
       ▼       └──┴───────┤ nobody placed it
    refused   cancelled   └─► failed · cancelled · unknown

`after` reads what the worker told of the call (bridge/call/journal.py's events), all of it each time, so that it does
not matter when and how often it is asked. A job is `unknown` when nobody can say whether the telephone rang: it is
never dialled again by itself, but facts that come later still settle it. Every change counts `version` up: the store
keeps it only if nobody else was faster. Not worker-safe.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.dialplan.outbound import Outbound

OPEN = ("dialling", "ringing", "answered", "human", "machine")
"""A line is in use, as far as anybody knows."""
FINAL = ("done", "busy", "no_answer", "failed", "refused", "cancelled", "unknown")
NOT_PLACED = "call.not_placed"
"""The event of a call whose INVITE was never sent. An event of its own: words of call.ended can be the peer's."""
EVENTS = ("call.started", NOT_PLACED, "call.ringing", "call.answered", "amd", "call.ended")
"""The events of a call that `after` reads."""
NOT_PLACED_S = 1.0
"""A worker that could not place a call (draining, no line) is not asked again sooner."""
NO_ANSWER = "no_answer"
"""The reason a worker gives when it stopped the ringing."""
_NOBODY_KNOWS = ("worker_died", "unsure")
"""Our reasons of an end that say nothing of whether the telephone rang."""
_BUSY = (486, 600)
_NO_ANSWER = (408, 480)
_VERDICTS = {"machine": "machine"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for; sealed, never changed. `number` as it was written. `run`: "", "agent:NAME" or "route:NAME".

    `via`: cli, api, console or campaign. `asked_at`: unix seconds; of a callback, when it is due first.
    """

    number: str
    run: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    campaign: str = ""
    asked_by: str = ""
    via: str = ""
    asked_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """A wish and how far it is. `number`: E.164 once it is read. Times are unix seconds.

    `call_id`, `boot`: the last try and the worker process that got it. `heard`: what answered (human, machine, …).
    `cancel`: somebody wants it to end.
    """

    job_id: str
    wish: Wish
    seal: str = ""
    number: str = ""
    state: str = "asked"
    version: int = 1
    attempts: int = 0
    due_at: float = 0.0
    call_id: str = ""
    boot: str = ""
    dialled_at: float = 0.0
    heard: str = ""
    reason: str = ""
    cancel: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """One event of the job's call."""

    type: str
    data: Mapping[str, Any]


def _to(job: Job, state: str, reason: str = "", **more: Any) -> Job:
    return replace(job, state=state, reason=reason[:300], version=job.version + 1, **more)


def accepted(job: Job, number: str, now: float) -> Job:
    """It may be called; not before it was wished for."""
    return _to(job, "queued", number=number, due_at=max(job.due_at, now))


def refused(job: Job, reason: str) -> Job:
    """It may not, and will not."""
    return _to(job, "refused", reason)


def waits(job: Job, reason: str, due_at: float) -> Job:
    """Not now."""
    return _to(job, "queued", reason, due_at=due_at)


def cancelled(job: Job) -> Job:
    """Somebody does not want it any more, and it is not being dialled."""
    return _to(job, "cancelled", "cancelled")


def dialled(job: Job, call_id: str, boot: str, now: float) -> Job:
    """It is about to be given to the worker process `boot`. Stored before the worker is told."""
    more: dict[str, Any] = {"call_id": call_id, "boot": boot, "dialled_at": now, "heard": ""}
    return _to(job, "dialling", attempts=job.attempts + 1, **more)


def not_placed(job: Job, reason: str, now: float) -> Job:
    """It surely was not dialled: the try does not count."""
    if job.cancel:
        return cancelled(job)
    more: dict[str, Any] = {"call_id": "", "boot": "", "attempts": job.attempts - 1}
    return _to(job, "queued", reason, due_at=now + NOT_PLACED_S, **more)


def lost(job: Job, reason: str) -> Job:
    """Nobody can say what became of it."""
    return _to(job, "unknown", reason)


def after(job: Job, facts: Iterable[Fact], rules: Outbound | None, now: float) -> Job:
    """The job after all that is known of its call; the same job when that is nothing new."""
    seen = {fact.type: fact.data for fact in facts}
    if NOT_PLACED in seen and not {"call.ringing", "call.answered"} & set(seen):
        return not_placed(job, str(seen[NOT_PLACED].get("reason", "")), now)
    heard = str(seen["amd"].get("verdict", "")) if "amd" in seen else job.heard
    if "call.ended" in seen:
        ended = _ended(replace(job, heard=heard), seen, rules, now)
        return job if job.state == ended.state == "unknown" else ended
    state = _progress(seen, heard)
    if not state or (state, heard) == (job.state, job.heard):
        return job
    return _to(job, state, heard=heard)


def _progress(seen: Mapping[str, Any], heard: str) -> str:
    if "amd" in seen:
        return _VERDICTS.get(heard, "human")
    if "call.answered" in seen:
        return "answered"
    if "call.ringing" in seen:
        return "ringing"
    return "dialling" if "call.started" in seen else ""


def _ended(job: Job, seen: Mapping[str, Mapping[str, Any]], rules: Outbound | None, now: float) -> Job:
    end = seen["call.ended"]
    words = " ".join(str(end[key]) for key in ("status", "reason", "detail") if end.get(key))
    answered = "call.answered" in seen
    if _our_word(end) in _NOBODY_KNOWS:
        return _to(job, "failed" if answered else "unknown", words)
    if answered:
        return _to(job, "done", words)
    outcome = _outcome(end)
    if job.cancel:
        return cancelled(job)
    again = rules.retry(outcome) if rules is not None and job.state != "unknown" else None
    if again is not None and job.attempts <= again.times:
        return _to(job, "queued", f"{outcome}, try {job.attempts}: {words}", due_at=now + again.after_s)
    return _to(job, outcome, words)


def _our_word(end: Mapping[str, Any]) -> str:
    """The reason, if it is the bridge's own: else the peer chose it, in a Reason header (RFC 3326)."""
    return str(end.get("reason", "")) if end.get("by") == "bridge" else ""


def _outcome(end: Mapping[str, Any]) -> str:
    status = end.get("status")
    if status in _BUSY:
        return "busy"
    if _our_word(end) == NO_ANSWER or (status in _NO_ANSWER and end.get("by") == "caller"):
        return "no_answer"
    return "failed"
