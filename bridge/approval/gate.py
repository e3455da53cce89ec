"""The gate: what may happen to one function call, and what never can.

    requested ─► confirming ─► pending ─► approved ─► executing ─► succeeded | failed | unknown
         └──────────┴────────────┴────────► denied | expired | cancelled

Rules that hold for any order of events: it executes at most once (again only when the tool is idempotent and the
process died in between), only after the policy's `allow` or enough approvals of exactly these arguments; one deny wins;
what is late, double, forged or one's own request is refused with a reason and changes nothing; silence is never
consent: every wait has a clock that ends in *not executed*.

Sans-IO. `now` is unix seconds: clocks outlive processes. Every answer begins with Store when anything changed: what is
not stored has not happened. Used by control's tool desk, on its loop.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from bridge.approval import questions
from bridge.approval.actions import (
    FINAL,
    WAITING,
    Action,
    Audit,
    Execute,
    Inquire,
    Notify,
    State,
    Store,
    Tell,
)
from bridge.approval.request import Actor, Ask, CallerFacts, Confirm, Decision, Refused, Ruling, ToolRequest

ALLOW_EXECUTE_S = 60.0  # an allowed call that was not started by then is not wanted any more


class Gate:
    """The machine of one request. Made by `open` or `from_json`."""

    def __init__(self, request: ToolRequest, ruling: Ruling) -> None:
        self.request = request
        self.ruling = ruling
        self.state = State.REQUESTED
        self.reason = ""
        self.outcome: Mapping[str, Any] = {}
        self.arguments: Mapping[str, Any] = request.arguments
        self.binding = request.binding
        self.edited_by = ""
        self.approved_by: tuple[str, ...] = ()
        self.questions: tuple[Mapping[str, Any], ...] = ()
        self.attempts = 0
        self.ran_on = ""
        self.escalated = False
        self.reminded_group = ruling.ask.group if ruling.ask else ""
        self._due_at: float | None = None
        self._escalate_at: float | None = None

    @classmethod
    def open(cls, request: ToolRequest, ruling: Ruling, now: float) -> tuple["Gate", list[Action]]:
        """The policy has spoken: store the request, then take the first step."""
        gate = cls(request, ruling)
        asked = gate._asked()
        if ruling.effect == "deny":
            return gate, [*gate._move(State.DENIED, ruling.why), asked]
        if ruling.effect == "confirm" and ruling.confirm is not None:
            gate._due_at = now + ruling.confirm.answer_s
            return gate, [*gate._move(State.CONFIRMING, ruling.rule), asked]
        if ruling.effect == "allow":
            gate._due_at = now + ALLOW_EXECUTE_S
            return gate, [*gate._move(State.APPROVED, ruling.rule, tell=False), asked]
        return gate, [*gate._ask(now), asked]

    def _asked(self) -> Audit:
        asked, ruling = self.request, self.ruling
        facts = {
            "tool": asked.tool,
            "definition": asked.definition_hash,
            "risk": asked.risk,
            "agent": asked.agent,
            "binding": asked.binding,
            "policy": asked.policy_version,
            "rule": ruling.rule,
            "effect": ruling.effect,
            "approvers": ruling.ask.approvers if ruling.ask else int(ruling.effect == "ask"),
        }
        personal = {"arguments": dict(asked.arguments), "caller": asdict(asked.caller), "why": ruling.why}
        return Audit("requested", "model", facts, personal)

    @property
    def due_at(self) -> float | None:
        """When `tick` has something to do."""
        dues = [due for due in (self._due_at, self._escalate_at) if due is not None]
        return min(dues, default=None)

    # ---- the caller ------------------------------------------------------------------------------------------

    def confirmed(self, now: float, how: str) -> list[Action] | Refused:
        """The caller said yes to the question that was played to them."""
        if self.state is not State.CONFIRMING:
            return Refused("not_confirming", f"the request is {self.state}")
        said = Audit("confirmed", "caller", {}, {"how": how})
        if self.ruling.ask is not None:
            return [*self._ask(now), said]
        self._due_at = now + ALLOW_EXECUTE_S
        return [*self._move(State.APPROVED, "confirmed by the caller", tell=False), said]

    def refused_by_caller(self, why: str) -> list[Action] | Refused:
        """The caller said no, or did not say yes."""
        if self.state is not State.CONFIRMING:
            return Refused("not_confirming", f"the request is {self.state}")
        return [*self._move(State.CANCELLED, why), Audit("not_confirmed", "caller", {}, {"why": why})]

    def withdraw(self, why: str) -> list[Action]:
        """What waits is not to be run after all: what was approved is not what would be run, or nobody knows of it."""
        if self.state not in WAITING | {State.APPROVED}:
            return []
        return self._stopped(State.CANCELLED, why, Audit("withdrawn", "system", {"why": why}))

    def distrusted(self, why: str) -> list[Action]:
        """What the store gave back is not what was stored: it is not run. What may have been run is unknown."""
        if self.state in FINAL:
            return []
        tried = self.attempts or self.state in {State.EXECUTING, State.UNKNOWN}
        state = State.UNKNOWN if tried else State.CANCELLED
        return [*self._move(state, why), Audit("distrusted", "system", {})]

    def hung_up(self) -> list[Action]:
        """The call is over. What waits is cancelled, unless the rule keeps it; what runs is not stopped."""
        ask = self.ruling.ask
        kept = (
            self.state in {State.PENDING, State.APPROVED}
            and ask is not None
            and ask.on_hangup == "keep"
            and self.ruling.effect != "allow"
        )
        if kept or self.state not in WAITING | {State.APPROVED}:
            return []
        return self._stopped(State.CANCELLED, "the caller hung up", Audit("cancelled", "system", {}))

    # ---- people ----------------------------------------------------------------------------------------------

    def decide(self, decision: Decision, now: float) -> list[Action] | Refused:
        """A person's verdict."""
        refused = self._unfit(decision, now)
        if refused is not None:
            return refused
        by = decision.by.name
        facts: dict[str, Any] = {"binding": decision.binding, "via": decision.via}
        said: dict[str, Any] = {"reason": decision.reason} if decision.reason else {}
        if decision.verdict == "deny":
            return [*self._move(State.DENIED, decision.reason or "denied"), Audit("denied", by, facts, said)]
        if decision.arguments is not None and decision.arguments_binding != self.binding:
            # Who approved the old form did not approve this one.
            self.arguments, self.binding = dict(decision.arguments), decision.arguments_binding
            self.edited_by, self.approved_by = by, ()
            facts |= {"edited": True, "new_binding": self.binding}
            said["arguments"] = dict(decision.arguments)
        self.approved_by = (*self.approved_by, by)
        approved = Audit("approved", by, facts, said)
        wanted = self.ruling.ask.approvers if self.ruling.ask else 1
        if len(self.approved_by) < wanted:
            return [Store(self.state), approved]
        self._escalate_at = None
        self._due_at = now + (self.ruling.ask.execute_s if self.ruling.ask else ALLOW_EXECUTE_S)
        return [*self._move(State.APPROVED, f"approved by {', '.join(self.approved_by)}"), approved]

    def inquire(self, decision: Decision, now: float) -> list[Action] | Refused:
        """Who may decide has the caller asked `decision.reason` first. It decides nothing, and no clock stops."""
        text = questions.clean(decision.reason)
        refused = self._unfit(decision, now) or questions.unfit(self.questions, text, now)
        if refused is not None:
            return refused
        by, number = decision.by.name, len(self.questions) + 1
        self.questions = (*self.questions, questions.asking(number, text, by, now))
        facts = {"number": number, "via": decision.via}
        return [Store(self.state), Audit("question", by, facts, {"text": text}), Inquire(number)]

    def inquired(self, number: int, state: str, why: str) -> list[Action]:
        """What came of a question (questions.ASKED, …)."""
        self.questions = questions.put(self.questions, number, state, why)
        facts = {"number": number, "outcome": state}
        return [Store(self.state), Audit("question_put", "system", facts, {"why": why} if why else {})]

    def _unfit(self, decision: Decision, now: float) -> Refused | None:
        """Why this decision does not count, from the most telling reason down."""
        by, groups = decision.by, self._groups()
        over = "late" if self.state is State.EXPIRED else "already_decided"
        rules = (
            (
                decision.request_id != self.request.request_id,
                "wrong_request",
                "this is about another request",
            ),
            (self.state is not State.PENDING, over, f"the request is {self.state}: {self.reason}"),
            (self._due_at is not None and now >= self._due_at, "late", "the time to decide is over"),
            (decision.binding != self.binding, "wrong_binding", "the request has changed since it was shown"),
            ("approver" not in by.roles, "not_an_approver", f"{by.name} is no approver"),
            (not groups & by.groups, "wrong_group", f"{by.name} is not in {' or '.join(sorted(groups))}"),
            (self._their_own(by), "own_request", "nobody approves their own request"),
            (by.name in self.approved_by, "duplicate_approver", f"{by.name} has approved already"),
            (
                decision.arguments is not None and not decision.arguments_binding,
                "wrong_binding",
                "edited arguments need their own binding",
            ),
        )
        return next((Refused(code, words) for unfit, code, words in rules if unfit), None)

    def _groups(self) -> set[str]:
        """Who is asked now; nobody in particular for what was allowed."""
        ask = self.ruling.ask or Ask("")
        return {ask.group, ask.escalate_to if self.escalated else ask.group} - {""}

    def _their_own(self, by: Actor) -> bool:
        return by.kind in {"caller", "system"} or self.request.caller.number in by.numbers - {""}

    # ---- execution -------------------------------------------------------------------------------------------

    def claim(self, now: float, node: str = "") -> list[Action] | Refused:
        """Start the execution, on this node. Once: the second claim is refused."""
        if self.state is not State.APPROVED:
            return Refused("not_approved", f"the request is {self.state}")
        if self._due_at is not None and now >= self._due_at:
            return Refused("late", "the time to execute is over")
        self.attempts += 1
        self.ran_on = node
        self._due_at = None
        key = f"{self.request.request_id}:{self.binding[:16]}"
        started = Audit("executing", "system", {"key": key, "attempt": self.attempts})
        return [*self._move(State.EXECUTING, "", tell=False), started, Execute(key, self.arguments)]

    def finished(self, outcome: Mapping[str, Any], *, ok: bool) -> list[Action] | Refused:
        """The tool returned."""
        if self.state is not State.EXECUTING:
            return Refused("not_executing", f"the request is {self.state}")
        if not ok and self.attempts > 1 and self.request.risk != "read":
            return self._unknown("the second try failed; what came of the first one, nobody knows")
        self.outcome = dict(outcome)
        state = State.SUCCEEDED if ok else State.FAILED
        return [*self._move(state, ""), Audit(state.value, "system", {}, {"outcome": self.outcome})]

    def crashed(self, now: float, why: str, *, again: bool = True) -> list[Action] | Refused:
        """Nobody knows whether the tool did it. Only an idempotent one is tried again, once, if `again`."""
        if self.state is not State.EXECUTING:
            return Refused("not_executing", f"the request is {self.state}")
        if again and self.request.idempotent and self.attempts == 1:
            self._due_at = now + ALLOW_EXECUTE_S
            return [*self._move(State.APPROVED, why, tell=False), Audit("retried", "system", {"why": why})]
        return self._unknown(why)

    def reconciled(self, by: Actor, note: str, *, ok: bool) -> list[Action] | Refused:
        """A person found out what really happened."""
        if self.state is not State.UNKNOWN:
            return Refused("not_unknown", f"the request is {self.state}")
        if "approver" not in by.roles and "admin" not in by.roles:
            return Refused("not_an_approver", f"{by.name} is no approver")
        asked = self._groups()
        if asked and "admin" not in by.roles and not asked & by.groups:
            return Refused("wrong_group", f"{by.name} is not in {' or '.join(sorted(asked))}")
        state = State.SUCCEEDED if ok else State.FAILED
        return [*self._move(state, note), Audit("reconciled", by.name, {"ok": ok}, {"note": note})]

    # ---- time ------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Action]:
        """What falls due at `now`."""
        if self._due_at is not None and now >= self._due_at:
            if self.state is State.CONFIRMING:
                return [
                    *self._move(State.CANCELLED, "the caller did not answer"),
                    Audit("expired", "system", {}),
                ]
            return self._stopped(State.EXPIRED, _TOO_LATE[self.state], Audit("expired", "system", {}))
        if self._escalate_at is not None and now >= self._escalate_at and self.ruling.ask is not None:
            self._escalate_at, self.escalated = None, True
            group = self.ruling.ask.escalate_to
            return [
                Store(self.state),
                Audit("escalated", "system", {"to": group}),
                Notify("escalated", group),
            ]
        return []

    # ---- inside ----------------------------------------------------------------------------------------------

    def _ask(self, now: float) -> list[Action]:
        ask = self.ruling.ask or Ask("")
        self._due_at = now + ask.decide_s
        if ask.escalate_s is not None and ask.escalate_to:
            self._escalate_at = now + ask.escalate_s
        return [*self._move(State.PENDING, self.ruling.why), Notify("asked", ask.group)]

    def _stopped(self, state: State, why: str, audit: Audit) -> list[Action]:
        """It is not run; but whether an earlier try did it, nobody may know."""
        if self.attempts and self.request.risk != "read":
            return self._unknown(why)
        return [*self._move(state, why), audit]

    def _unknown(self, why: str) -> list[Action]:
        return [
            *self._move(State.UNKNOWN, why),
            Audit("unknown", "system", {"why": why}),
            Notify("reconcile", self.reminded_group),
        ]

    def _move(self, state: State, reason: str, *, tell: bool = True) -> list[Action]:
        self.state, self.reason = state, reason
        if state in FINAL or state is State.UNKNOWN:
            self._due_at = self._escalate_at = None
        return [Store(state), Tell(state, reason)] if tell else [Store(state)]

    # ---- on disk ---------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {
            "request": asdict(self.request),
            "ruling": asdict(self.ruling),
            **{name: getattr(self, name) for name in _KEPT},
            "ran_on": self.ran_on,
            "questions": [dict(one) for one in self.questions],
            "due_at": self._due_at,
            "escalate_at": self._escalate_at,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Gate":
        """The inverse of `to_json`."""
        asked = dict(data["request"])
        request = ToolRequest(**{**asked, "caller": CallerFacts(**asked["caller"])})
        gate = cls(request, _ruling(data["ruling"]))
        for name in _KEPT:
            setattr(gate, name, data[name])
        gate.ran_on = str(data.get("ran_on", ""))  # a node of an older version does not keep these two
        gate.questions = tuple(data.get("questions", ()))
        gate.state = State(data["state"])
        gate.approved_by = tuple(data["approved_by"])
        gate._due_at, gate._escalate_at = data["due_at"], data["escalate_at"]
        return gate


_KEPT = (
    "state",
    "reason",
    "outcome",
    "arguments",
    "binding",
    "edited_by",
    "approved_by",
    "attempts",
    "escalated",
    "reminded_group",
)
_TOO_LATE = {
    State.PENDING: "nobody decided in time",
    State.APPROVED: "approved, but not executed in time",
}


def _ruling(data: Mapping[str, Any]) -> Ruling:
    ruling = Ruling(data["effect"], data["rule"], data["why"], data["words"])
    ask = Ask(**data["ask"]) if data["ask"] else None
    confirm = Confirm(**{**data["confirm"], "by": tuple(data["confirm"]["by"])}) if data["confirm"] else None
    return replace(ruling, ask=ask, confirm=confirm)
