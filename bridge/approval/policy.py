"""The policy: which function calls may run by themselves, which never, and who has to be asked about the rest.

    policy.yaml ──load──► Policy ──rule(facts)──► Ruling

First match wins. A condition is CEL over the facts; one that fails, or is not a plain true or false, makes the whole
ruling *ask*: nothing is ever allowed by mistake. What no rule fits is asked about too. Loading reads a file and raises
PolicyError with every mistake; judging is pure. Not worker-safe (pydantic, cel); used by control and the CLI.
"""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import cel
from pydantic import BaseModel, ConfigDict, Field

from bridge import yamlfile
from bridge.approval.canonical import digest
from bridge.approval.request import Actor, Ask, Confirm, Ruling
from bridge.errors import PolicyError, Problem


class Part(BaseModel):
    """Strict: an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Text = Annotated[str, Field(min_length=1, max_length=500)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class AskSpec(Part):
    """Who decides."""

    group: Annotated[str, Field(min_length=1, max_length=64)] = Field(description="Approvers of this group.")
    approvers: int = Field(default=1, ge=1, le=5, description="How many of them.")
    decide_s: Seconds = Field(default=120, description="Time to decide; then it is not done.")
    execute_s: Seconds = Field(default=60, description="How long an approval may wait for its execution.")
    escalate_to: str = Field(default="", max_length=64, description="A group that is asked as well, later.")
    escalate_s: Seconds | None = Field(default=None, description="When it is asked as well.")
    on_hangup: Literal["cancel", "keep"] = Field(default="cancel", description="When the caller hangs up.")


class ConfirmSpec(Part):
    """What the caller is asked first. `{name}` stands for an argument."""

    question: Text = Field(description="Ends by saying how to answer.")
    by: list[Literal["key", "voice"]] = Field(default=["key", "voice"], min_length=1)
    key: Annotated[str, Field(pattern=r"^[0-9*#]$")] = "1"
    answer_s: Seconds = 60


class RuleSpec(Part):
    """One rule. Exactly one of allow, deny, ask; confirm may stand alone or before ask."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    tools: list[Text] = Field(default=["*"], min_length=1, description="Names, or patterns like crm.*")
    risk: list[Literal["read", "write", "money", "irreversible"]] = Field(default_factory=list)
    when: Annotated[str, Field(min_length=1, max_length=2000)] | None = Field(
        default=None, description="CEL."
    )
    allow: Literal[True] | None = None
    deny: Text | None = Field(default=None, description="The words for the model.")
    ask: AskSpec | None = None
    confirm: ConfirmSpec | None = None


class PersonSpec(Part):
    """Someone who may decide. The name is their account on this machine."""

    groups: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(min_length=1)
    numbers: list[str] = Field(
        default_factory=list, description="Their telephones: nobody approves their own call."
    )


class PolicyFile(Part):
    """The file."""

    version: Literal[1]
    people: dict[str, PersonSpec] = Field(default_factory=dict, description="Approvers by account name.")
    default_ask: AskSpec = Field(description="For what no rule fits, and for rules that fail.")
    rules: list[RuleSpec] = Field(default_factory=list, max_length=1000)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a condition may look at. `counts`: of the same tool, by `call`, `caller` and `day`."""

    tool: str
    arguments: Mapping[str, Any]
    risk: str
    caller: Mapping[str, Any]
    agent: str = ""
    hour: int = 0
    weekday: int = 0
    counts: Mapping[str, Any] | None = None

    def context(self) -> dict[str, Any]:
        """The names in CEL."""
        return {
            "tool": self.tool,
            "args": dict(self.arguments),
            "risk": self.risk,
            "caller": dict(self.caller),
            "agent": self.agent,
            "hour": self.hour,
            "weekday": self.weekday,
            "counts": dict(self.counts or {}),
        }


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """What one rule said, for `policy explain`: fits, and if not or not sure, why."""

    rule: str
    fits: bool
    why: str
    error: bool = False


@dataclass(frozen=True, slots=True)
class _Rule:
    spec: RuleSpec
    program: Any

    def judge(self, facts: Facts, context: Mapping[str, Any]) -> RuleVerdict:
        spec = self.spec
        if not any(fnmatch.fnmatchcase(facts.tool, pattern) for pattern in spec.tools):
            return RuleVerdict(
                spec.name, fits=False, why=f"tool {facts.tool} is not {' or '.join(spec.tools)}"
            )
        if spec.risk and facts.risk not in spec.risk:
            return RuleVerdict(
                spec.name, fits=False, why=f"risk {facts.risk} is not {' or '.join(spec.risk)}"
            )
        if self.program is None:
            return RuleVerdict(spec.name, fits=True, why=spec.name)
        try:
            value = self.program.execute(dict(context))
        except Exception as error:  # noqa: BLE001  # whatever goes wrong in a condition must end in asking a person
            return RuleVerdict(
                spec.name, fits=True, error=True, why=f"the condition failed: {str(error)[:120]}"
            )
        if value is True or value is False:
            return RuleVerdict(spec.name, fits=value, why=f"{spec.when} is {str(value).lower()}")
        return RuleVerdict(
            spec.name, fits=True, error=True, why=f"the condition gave {value!r}, not true or false"
        )


class Policy:
    """A loaded policy. `version` changes with its content."""

    def __init__(self, spec: PolicyFile, rules: tuple[_Rule, ...]) -> None:
        self.version = digest(spec.model_dump(mode="json"))[:12]
        self.people = {name: _actor(name, person) for name, person in spec.people.items()}
        self._default = _ask(spec.default_ask)
        self._rules = rules

    def explain(self, facts: Facts) -> tuple[RuleVerdict, ...]:
        """What each rule says, up to the one that decides."""
        verdicts = []
        context = facts.context()
        for rule in self._rules:
            verdicts.append(rule.judge(facts, context))
            if verdicts[-1].fits:
                break
        return tuple(verdicts)

    def rule(self, facts: Facts) -> Ruling:
        """The first rule that fits, or to ask."""
        context = facts.context()
        for rule in self._rules:
            verdict = rule.judge(facts, context)
            if verdict.error:
                return Ruling("ask", verdict.rule, f"rule {verdict.rule}: {verdict.why}", ask=self._default)
            if verdict.fits:
                return _ruling(rule.spec, facts)
        return Ruling("ask", "", "no rule fits", ask=self._default)


def load(path: Path) -> Policy:
    """The policy of a file. Raises PolicyError with every mistake, each with its line."""
    document = yamlfile.read(path, PolicyError)
    spec = yamlfile.validate(document, PolicyFile, PolicyError)
    problems: list[Problem] = []
    rules = []
    seen: set[str] = set()
    for number, rule in enumerate(spec.rules):
        for key, message, hint in _mistakes(rule, seen):
            problems.append(document.problem(("rules", number, *key), message, hint))
        seen.add(rule.name)
        program = None
        if rule.when is not None:
            try:
                program = cel.compile(rule.when)
            except ValueError as error:
                message = f"this is no CEL expression: {str(error)[:160]}"
                problems.append(
                    document.problem(("rules", number, "when"), message, "for example: args.amount <= 50")
                )
                continue
            strange = sorted(set(program.variables()) - set(Facts("", {}, "", {}).context()))
            if strange:
                known = ", ".join(Facts("", {}, "", {}).context())
                problems.append(
                    document.problem(
                        ("rules", number, "when"), f"unknown name {strange[0]}", f"known: {known}"
                    )
                )
        rules.append(_Rule(rule, program))
    if problems:
        raise PolicyError(problems)
    return Policy(spec, tuple(rules))


def _mistakes(rule: RuleSpec, seen: set[str]) -> list[tuple[tuple[str, ...], str, str]]:
    found: list[tuple[tuple[str, ...], str, str]] = []
    chosen = [name for name in ("allow", "deny", "ask") if getattr(rule, name) is not None]
    if len(chosen) > 1:
        found.append(((chosen[1],), f"{chosen[0]} and {chosen[1]} exclude each other", "keep one of them"))
    if not chosen and rule.confirm is None:
        found.append((("name",), "the rule says nothing", "one of allow, deny, ask, confirm"))
    if rule.confirm is not None and (rule.allow or rule.deny):
        found.append((("confirm",), "confirm stands alone or with ask", "drop allow and deny"))
    if rule.name in seen:
        found.append((("name",), f"there are two rules named {rule.name}", ""))
    return found


def _actor(name: str, person: PersonSpec) -> Actor:
    return Actor(
        name,
        roles=frozenset({"approver"}),
        groups=frozenset(person.groups),
        numbers=frozenset(person.numbers),
    )


def _ask(spec: AskSpec) -> Ask:
    return Ask(**spec.model_dump())


def _ruling(spec: RuleSpec, facts: Facts) -> Ruling:
    why = f"rule {spec.name}"
    ask = _ask(spec.ask) if spec.ask else None
    if spec.deny is not None:
        return Ruling("deny", spec.name, why, words=spec.deny)
    if spec.confirm is not None:
        question = spec.confirm.question
        for name, value in facts.arguments.items():
            question = question.replace(f"{{{name}}}", _spoken(value))
        confirm = Confirm(question, tuple(spec.confirm.by), spec.confirm.key, spec.confirm.answer_s)
        return Ruling("confirm", spec.name, why, ask=ask, confirm=confirm)
    if ask is not None:
        return Ruling("ask", spec.name, why, ask=ask)
    return Ruling("allow", spec.name, why)


def _spoken(value: Any) -> str:
    """An argument as the caller hears it: short, without anything that could change the question."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return "".join(letter for letter in text if letter.isalnum() or letter in " .,:+-@")[:80]
