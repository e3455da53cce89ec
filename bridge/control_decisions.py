"""What people decided, made into the gate's words: who it was, whether it is really theirs, what they changed.

    tool_decisions row ─► seal right? ─► user? ─► second factor? ─► edited arguments fit schema and rule?
                      ─► Gate.decide / reconciled

A decision reaches control through the database; its seal (approval/signing.py) says that it came from a command or a
console that had checked who decides. The role and group are looked up here again, at the moment it counts.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from bridge.approval.actions import Action
from bridge.approval.canonical import binding
from bridge.approval.gate import Gate
from bridge.approval.policy_lint import too_few
from bridge.approval.request import Decision, Refused, Ruling
from bridge.approval.signing import sealed
from bridge.console import stepup
from bridge.control_facts import facts_of
from bridge.control_toolbox import ToolSource
from bridge.errors import StoreError, ToolArgumentsError
from bridge.store.gatestore import GateStore
from bridge.store.userstore import User, UserStore

log = structlog.get_logger(__name__)

MAX_WORDS = 300
RECONCILED = {"succeeded": True, "failed": False}
OF_THE_MACHINE = "cli"
"""Who decides by the command line can read the keys themselves: no factor would keep them from anything."""


class Decisions:
    """Judges decisions. `key` seals them."""

    def __init__(self, store: GateStore, users: UserStore, source: ToolSource, key: bytes) -> None:
        self._store = store
        self._users = users
        self._source = source
        self._key = key

    async def warn(self) -> None:
        """What the policy asks of people who are not there shows at the start, not at the first call."""
        if self._source.policy is None:
            return
        try:
            people = [user.actor() for user in await self._users.users() if not user.disabled]
        except StoreError as error:
            log.warning("tools.store", reason=str(error))
            return
        for problem in too_few(self._source.policy, people):
            log.warning("policy.odd", problem=str(problem))

    async def judge(
        self, gate: Gate | None, request_id: str, words: Mapping[str, Any], now: float
    ) -> list[Action] | Refused:
        """The gate's actions, or why the decision does not count. Raises StoreError: look at it again."""
        if not sealed(self._key, request_id, words):
            return Refused("forged", "the decision does not carry the bridge's seal")
        if gate is None:
            return Refused("already_decided", "the request is not open any more")
        user = await self._users.user(str(words.get("by")))
        if user is None:
            return Refused("unknown_user", f"there is no user {words.get('by')}: sipbridge users add")
        user = _as_far_as(user, words.get("roles"))
        verdict, reason = str(words.get("verdict")), _text(words.get("reason"))
        if verdict in RECONCILED:
            return gate.reconciled(user.actor(), reason, ok=RECONCILED[verdict])
        if verdict == "ask":
            return gate.inquire(_question(gate, user, words), now)
        decision = await self._decision(gate, user, words, now)
        return decision if isinstance(decision, Refused) else gate.decide(decision, now)

    def _needs_factor(self, gate: Gate, words: Mapping[str, Any], changed: Mapping[str, Any] | None) -> bool:
        """Whoever took the decision has looked already; this holds for whoever forgot to.

        `changed`: as it would be run, with what the function fills in by itself.
        """
        if words.get("factor") or words.get("via") == OF_THE_MACHINE:
            return False
        rules, risk = self._source.step_up, gate.request.risk
        return stepup.wanted(rules, risk, str(words["verdict"]), gate.arguments, changed)

    async def misfit(self, gate: Gate, now: float) -> str:
        """Why an approved request is not to be run after all; "" when it is. Raises StoreError: ask again."""
        request = gate.request
        spec, policy = self._source.tools.get(request.tool), self._source.policy
        if spec is None or policy is None or spec.definition_hash != request.definition_hash:
            return "the function has changed since"
        asked = (
            request.tool,
            request.definition_hash,
            gate.arguments,
            request.call_id,
            request.policy_version,
        )
        if binding(*asked) != gate.binding:
            return "the request has changed since"
        if policy.version != request.policy_version:
            ruling = policy.rule(await facts_of(self._store, request.with_arguments(gate.arguments), now))
            if _asks(ruling) != _asks(gate.ruling):
                return "the policy has changed since"
        return ""

    async def _decision(
        self, gate: Gate, user: User, words: Mapping[str, Any], now: float
    ) -> Decision | Refused:
        arguments: Mapping[str, Any] | None = None
        new_binding = ""
        if words.get("verdict") not in {"approve", "deny"}:
            return Refused("no_verdict", f"there is no verdict {str(words.get('verdict'))[:20]}")
        if words.get("arguments") is not None and words["verdict"] == "approve":
            fitted = await self._edited(gate, words["arguments"], now)
            if isinstance(fitted, Refused):
                return fitted
            arguments, new_binding = fitted
        if self._needs_factor(gate, words, arguments):
            return Refused("step_up", "it needs a second factor that was proved just now, in the console")
        return Decision(
            request_id=gate.request.request_id,
            binding=str(words.get("binding")),
            by=user.actor(),
            verdict="approve" if words["verdict"] == "approve" else "deny",
            reason=_text(words.get("reason")),
            arguments=arguments,
            arguments_binding=new_binding,
            via="+".join(_text(words[name]) for name in ("via", "factor") if words.get(name)),
        )

    async def _edited(self, gate: Gate, wanted: Any, now: float) -> tuple[Mapping[str, Any], str] | Refused:
        """Edited arguments must fit the schema, and fall under the same rule: an edit is no way round the policy."""
        request = gate.request
        spec, policy = self._source.tools.get(request.tool), self._source.policy
        if spec is None or policy is None:
            return Refused("no_such_tool", f"there is no function {request.tool} any more")
        if spec.origin == "provider":  # it runs the arguments it asked with, whatever we write down
            return Refused("not_editable", "the provider runs this one: approve it as it is, or deny it")
        try:
            fitted = spec.check(wanted if isinstance(wanted, Mapping) else {})
            made = binding(
                request.tool, request.definition_hash, fitted, request.call_id, request.policy_version
            )
        except ToolArgumentsError as error:
            return Refused("bad_arguments", str(error))
        ruling = policy.rule(await facts_of(self._store, request.with_arguments(fitted), now))
        if ruling.effect == "deny" or _asks(ruling) != _asks(gate.ruling):
            rule = ruling.rule or "the default"
            return Refused(
                "other_rule", f"with these arguments {rule} decides ({ruling.effect}): not by an edit"
            )
        return fitted, made


def _as_far_as(user: User, roles: Any) -> User:
    """The user with the roles that the decision came with: a token may have fewer than its user. None: all."""
    return user if roles is None else replace(user, roles=user.roles & {*roles})


def _asks(ruling: Ruling) -> tuple[object, ...]:
    """What a ruling asks for, whatever the arguments read back."""
    confirm = (ruling.confirm.by, ruling.confirm.key) if ruling.confirm else None
    return ruling.rule, ruling.effect, ruling.ask, confirm


def _question(gate: Gate, user: User, words: Mapping[str, Any]) -> Decision:
    """What somebody wants the caller asked; it is about no form of the request in particular."""
    text = str(words.get("reason") or "").encode("utf-8", "ignore").decode()
    via = _text(words.get("via"))
    return Decision(gate.request.request_id, gate.binding, user.actor(), "approve", text, via=via)


def _text(words: Any) -> str:
    """Text that can be stored: a command line may hold bytes that are none."""
    return str(words or "").encode("utf-8", "ignore").decode()[:MAX_WORDS]
