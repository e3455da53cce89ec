"""What is asked of the gate, who asks and who decides: plain values, no behaviour.

A ToolRequest is one function call of a model on one phone call, with arguments that fit the tool's schema. A Ruling is
what the policy said of it. Times are unix seconds, because they outlive the process. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Risk = Literal["read", "write", "money", "irreversible"]
Effect = Literal["allow", "deny", "ask", "confirm"]
OnHangup = Literal["cancel", "keep"]
Verdict = Literal["approve", "deny"]
ROLES = ("viewer", "operator", "approver", "admin")
ActorKind = Literal["user", "token", "caller", "system"]


@dataclass(frozen=True, slots=True)
class CallerFacts:
    """Who calls, and what proves it. A number proves nothing; `verified` is what a tool or a trusted trunk proved."""

    number: str = ""
    verified: bool = False
    verified_by: str = ""
    verstat: str = ""


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """One function call. `binding` is what an approval of it is bound to (canonical.py)."""

    request_id: str
    call_id: str
    function_call_id: str
    tool: str
    definition_hash: str
    arguments: Mapping[str, Any]
    risk: Risk
    idempotent: bool
    binding: str
    policy_version: str
    requested_at: float
    agent: str = ""
    caller: CallerFacts = field(default_factory=CallerFacts)
    called: str = ""

    def with_arguments(self, arguments: Mapping[str, Any]) -> "ToolRequest":
        """The same request with other arguments, for asking the policy; its binding is not theirs."""
        return replace(self, arguments=arguments, binding="")


@dataclass(frozen=True, slots=True)
class Ask:
    """Who has to approve, how many, by when, and how long an approval may wait for its execution. Seconds."""

    group: str
    approvers: int = 1
    decide_s: float = 120.0
    execute_s: float = 60.0
    escalate_to: str = ""
    escalate_s: float | None = None
    on_hangup: OnHangup = "cancel"


@dataclass(frozen=True, slots=True)
class Confirm:
    """What the caller is asked before anything happens, and how they may answer."""

    question: str
    by: tuple[str, ...] = ("key", "voice")
    key: str = "1"
    answer_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the policy says. `confirm` comes before `ask` when both are there; `words` are for the model."""

    effect: Effect
    rule: str
    why: str
    words: str = ""
    ask: Ask | None = None
    confirm: Confirm | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who decides. `name` is the sign-in name; `numbers` are the telephone numbers known to be theirs."""

    name: str
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    kind: ActorKind = "user"
    numbers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict on what was shown: `binding` names it. `arguments`: approved in this form instead.

    `via`: how it came, such as cli or console.
    """

    request_id: str
    binding: str
    by: Actor
    verdict: Verdict
    reason: str = ""
    arguments: Mapping[str, Any] | None = None
    arguments_binding: str = ""
    via: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A decision or a claim that is not taken, and why. It changes nothing."""

    code: str
    message: str


MAY: Mapping[str, frozenset[str]] = {
    "look": frozenset(ROLES),
    "decide": frozenset({"approver"}),
    "reconcile": frozenset({"approver", "admin"}),
    "accept_tools": frozenset({"admin"}),
    "administer": frozenset({"admin"}),
    "audit": frozenset({"admin", "operator"}),
    "dialplan": frozenset({"admin", "operator"}),
    "dial": frozenset({"admin", "operator"}),
    "calls": frozenset({"admin", "operator"}),
    "personal": frozenset({"admin", "operator", "approver"}),
}
"""What each role may do, in the command line, the API and the console. The gate asks for the group as well.

`calls`: act on live calls. `personal`: see who called and what was said; who may only look sees the rest.
"""
