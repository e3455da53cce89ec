"""Why a call ended as it did: one cause out of a closed list, a sentence, and where to look next.

    cause(course) ─► Cause: the first row of _RULES that fits the course of the call (bridge/records/course.py)
    explain(course) ─► the facts of one log line (`call.failed`), and of `sipbridge calls why`

The words of a `call.ended` are the bridge's own only where `by` says so: a peer may put any text into its Reason
header (RFC 3326), so rows that look for a word of ours look at `by` first. Pure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.records.course import Course

CLASSES = (
    "success", "caller", "callee", "refused", "limit", "overload", "client_error", "network", "provider_error",
    "server_error",
)  # fmt: skip
"""success: both sides could talk, and it ended in order. caller: gave up before the answer. callee: who was called did
not want, or could not. refused: by the dialplan. limit: of the settings or the agent. overload: no room. client_error:
the peer asked for what cannot be. network: silence, or no answer to SIP. provider_error: the model was lost.
server_error: a fault of the bridge."""
FAULTS = frozenset({"overload", "network", "provider_error", "server_error", "client_error"})
"""Classes that somebody should look into."""

BUSY = frozenset({486, 600})
NO_ANSWER = frozenset({408, 480})
DECLINED = frozenset({603, 607, 608})
AUTH = frozenset({401, 402, 403, 407})
NUMBER = frozenset({404, 410, 414, 416, 420, 484, 485, 604})
NO_MEDIA = frozenset({415, 488, 606})


@dataclass(frozen=True, slots=True)
class Cause:
    """`name` and `kind` (of CLASSES) are from closed lists. `words`: one sentence. `hint`: what to look at next."""

    name: str
    kind: str
    words: str
    hint: str


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    kind: str
    when: Callable[[Course], bool]
    words: str
    hint: str = ""


def _ours(*reasons: str) -> Callable[[Course], bool]:
    return lambda call: call.by == "bridge" and call.reason in reasons


def _outbound(statuses: frozenset[int] | range) -> Callable[[Course], bool]:
    """The other side of a call that we placed said so."""
    return lambda call: (
        call.direction == "outbound"
        and not call.answered
        and call.by in {"caller", "network"}
        and call.status in statuses
    )


_RULES = (
    _Rule(
        "worker_died", "server_error", _ours("worker_died"),
        "the worker process died in the call: {detail}",
        "the log around that time (worker.adopted, supervisor), sipbridge doctor; other calls of {worker} ended too",
    ),
    _Rule(
        "node_lost", "server_error", _ours("node_lost"),
        "the node that carried the call was lost: {detail}",
        "is the node up and does it reach the store? its own log; ops/nodes.md",
    ),
    _Rule(
        "shutdown", "server_error", _ours("shutdown"),
        "the bridge was stopped while the call ran: {detail}",
        "deadlines.drain_s is how long calls may go on at a stop; drain first, then stop",
    ),
    _Rule(
        "no_plan", "server_error", _ours("no dialplan yet"),
        "the worker had no dialplan yet",
        "is control up (sipbridge doctor), and is the dialplan right: sipbridge dialplan check",
    ),
    _Rule(
        "draining", "overload", _ours("Not Accepting Calls", "Shutting Down"),
        "{worker} was draining and took no new calls",
        "a restart is under way; with the edge the call would have gone to another worker",
    ),
    _Rule(
        "bridge_full", "overload", _ours("All Lines Busy", "Too Many Calls At Once"),
        "no line was free: {reason}",
        "more workers (setting workers), or fewer calls at once; metrics sipbridge_calls_active, sipbridge_call_lines",
    ),
    _Rule(
        "no_route", "refused", lambda c: c.by == "bridge" and c.status == 404 and not c.route,
        "no route of the dialplan fits the call: {detail}",
        "sipbridge dialplan explain NUMBER --trunk TRUNK",
    ),
    _Rule(
        "no_common_media", "client_error",
        lambda c: c.by == "bridge" and c.reason in {"no_common_media", "no media"},
        "the two sides have no audio in common: {detail}",
        "codecs in the INVITE's SDP against sip.codecs and the trunk's codecs",
    ),
    _Rule(
        "rtp_timeout", "network", _ours("rtp_timeout"),
        "{detail}",
        "NAT, firewall or a wrong address in the SDP: compare remote_rtp with where packets come from",
    ),
    _Rule(
        "hold_timeout", "limit", _ours("hold_timeout"), "{detail}", "limits.hold_max_s",
    ),
    _Rule(
        "max_duration", "limit", _ours("max_duration"), "{detail}", "limits.max_call_s, or max_call_s of the agent",
    ),
    _Rule(
        "caller_silent", "limit", _ours("caller_silent"), "{detail}", "idle_s of the agent",
    ),
    _Rule(
        "budget", "limit", _ours("max_cost", "max_tokens"), "{detail}", "max_cost_usd and max_tokens of the agent",
    ),
    _Rule(
        "ring_timeout", "limit", _ours("ring_timeout"),
        "the call rang and was never answered: {detail}",
        "limits.ring_max_s; steps before the answer (ring, queue, dial) take longer than that",
    ),
    _Rule(
        "no_consent", "refused", _ours("no_consent"), "{detail}", "the route's recording rule asks for consent",
    ),
    _Rule(
        "not_placed", "server_error",
        lambda c: c.by == "bridge" and (bool(c.not_placed) or c.reason in {"cannot dial", "unsure"}),
        "the call could not be placed: {why}",
        "is the trunk registered and reachable: /healthz, metrics sipbridge_trunk_registered, _reachable; free lines",
    ),
    _Rule(
        "internal_error", "server_error", lambda c: c.by == "bridge" and c.status == 500,
        "a fault of the bridge: {reason} {detail}",
        "the traceback in the log of {worker} under this call_id; please report it",
    ),
    _Rule(
        "model_lost", "provider_error", lambda c: bool(c.session_error) and not c.connected,
        "the speech model of provider {provider} was lost: {session_error}",
        "key, quota and address of providers.{provider}; its status page; an or_else in the route takes such calls",
    ),
    _Rule(
        "target_unreachable", "callee",
        lambda c: c.by == "bridge" and c.reason == "the target cannot be reached",
        "the transfer's target could not be reached: {why}",
        "the target in transfers, its trunk; an or_else at the step takes such calls",
    ),
    _Rule(
        "dialplan_loop", "server_error", _ours("the dialplan goes round in circles"),
        "the dialplan goes round in circles: {detail}", "flows that go to one another; sipbridge dialplan graph",
    ),
    _Rule(
        "peer_silent", "network",
        lambda c: c.by == "network" and (c.answered or c.direction == "inbound"),
        "the other side does not answer our SIP messages any more ({status} {reason})",
        "no ACK to our 200, or no answer to BYE or re-INVITE: NAT, the address in Contact, the trunk's state",
    ),
    _Rule("busy", "callee", _outbound(BUSY), "who was called is busy ({status} {reason})"),
    _Rule("no_answer", "callee", _ours("no_answer"), "nobody answered: {detail}", "ring_s of the outbound rules"),
    _Rule("no_answer", "callee", _outbound(NO_ANSWER), "nobody answered ({status} {reason})"),
    _Rule("declined", "callee", _outbound(DECLINED), "who was called declined ({status} {reason})"),
    _Rule(
        "trunk_refused", "client_error", _outbound(AUTH),
        "the trunk does not let us call ({status} {reason})",
        "user, password and caller_id of trunk {trunk}; its contract",
    ),
    _Rule(
        "number_unknown", "client_error", _outbound(NUMBER),
        "the trunk does not know the number ({status} {reason})", "the number's form; target of the outbound rules",
    ),
    _Rule(
        "no_common_media", "client_error", _outbound(NO_MEDIA),
        "the trunk does not take our audio ({status} {reason})", "sip.codecs and the codecs of trunk {trunk}",
    ),
    _Rule(
        "trunk_failed", "network", _outbound(range(500, 600)),
        "the trunk failed ({status} {reason})", "the trunk's state: metric sipbridge_trunk_reachable; its operator",
    ),
    _Rule(
        "call_refused", "callee", _outbound(range(300, 700)), "the call was refused ({status} {reason})",
    ),
    _Rule(
        "caller_gave_up", "caller", lambda c: c.by == "caller" and not c.answered,
        "the caller gave up after {rang} s, before the answer",
        "metric sipbridge_setup_seconds: do calls ring for too long?",
    ),
    _Rule(
        "dialplan_refused", "refused",
        lambda c: c.by == "bridge" and c.status >= 400,
        "the dialplan refused the call ({status} {reason}): {why}", "route {route}; a step failed before: {step}",
    ),
    _Rule("operator", "success", lambda c: c.by == "operator", "an operator ended the call: {reason}"),
    _Rule("agent", "success", lambda c: c.by == "agent", "the agent ended the call: {reason}"),
    _Rule("caller", "success", lambda c: c.by == "caller" and c.answered, "the other side hung up"),
    _Rule("dialplan", "success", lambda c: c.by == "bridge" and 200 <= c.status < 300, "{reason}"),
)  # fmt: skip
_UNKNOWN = _Rule(
    "unknown", "server_error", lambda _: True,
    "it ended by {by} with {status} {reason}, and nothing says why", "sipbridge calls show, the log of {worker}",
)  # fmt: skip
CAUSES = tuple(sorted({rule.name for rule in (*_RULES, _UNKNOWN)}))
KINDS: Mapping[str, str] = {rule.name: rule.kind for rule in (*_RULES, _UNKNOWN)}


def cause(call: Course) -> Cause:
    """Why this call, which has ended, ended."""
    rule = next((rule for rule in _RULES if rule.when(call)), _UNKNOWN)
    facts = _Words(
        by=call.by,
        status=call.status or "no status",
        reason=call.reason,
        detail=call.detail or call.reason,
        worker=call.worker or "the worker",
        provider=call.provider or "?",
        session_error=call.session_error,
        trunk=call.trunk or "?",
        route=call.route or "?",
        step=call.step or "none",
        why=call.not_placed or call.step_error or call.leg_error or call.detail or call.reason,
        rang=f"{call.rang_s or 0:.1f}",
    )
    return Cause(rule.name, rule.kind, _filled(rule.words, facts), _filled(rule.hint, facts))


def explain(call: Course) -> dict[str, Any]:
    """The facts of the one line that explains the end of a call, without what is personal; empty ones left out."""
    found = cause(call)
    facts = {
        "cause": found.name,
        "kind": found.kind,
        "why": found.words,
        "ended_by": call.by,
        "status": call.status,
        "reason": call.reason,
        "detail": call.detail if call.detail != call.reason else "",
        "direction": call.direction,
        "route": call.route,
        "trunk": call.trunk,
        "worker": call.worker,
        "provider": call.provider,
        "session_error": call.session_error,
        "step": _pair(call.step, call.step_error),
        "leg": _pair(call.leg, call.leg_error),
        "error": call.error,
        "rang_s": _seconds(call.rang_s),
        "talked_s": _seconds(call.talked_s),
        "hint": found.hint,
    }
    return {name: value for name, value in facts.items() if value not in ("", 0, None)}


class _Words(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "-"


def _filled(template: str, facts: _Words) -> str:
    return template.format_map(facts).strip().removesuffix(":").strip()


def _pair(name: str, words: str) -> str:
    return f"{name}: {words}" if name and words else name


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
