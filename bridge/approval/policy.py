"""The policy: which function calls may run by themselves, which never, and who is asked about the rest.

    policy.yaml ──load──► Policy ──rule(facts)──► Ruling

The first rule that fits decides. Nothing is allowed by mistake: a condition that cannot tell (conditions.py), facts
that have no exact JSON form, a question that cannot be read back, and what no rule fits are all *ask*, and the ruling
says why. Loading reads a file and raises PolicyError with every mistake and its line; judging is pure and takes
microseconds. Not worker-safe (pydantic, cel). Called by control and the CLI.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from bridge import yamlfile
from bridge.approval import conditions, policy_schema, readback
from bridge.approval.canonical import canonical
from bridge.approval.request import Ask, CallerFacts, Confirm, Risk, Ruling
from bridge.errors import PolicyError, Problem, ToolArgumentsError
from bridge.yamlfile import YamlFile

_NOBODY = asdict(CallerFacts())
_RISKS = get_args(Risk)
_RISKY = frozenset({"money", "irreversible"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What a condition may look at. `hour` 0 to 23 and `weekday` 1 (Monday) to 7 are local.

    `call`: facts of the phone call. `counts`: of the same tool, by `call`, `caller` and `day`: each {"requests": n,
    "approved": n, "sums": {argument: total}}. A scope that is not there cannot be judged, so a rule that reads it asks.
    """

    tool: str
    arguments: Mapping[str, Any]
    risk: str
    caller: Mapping[str, Any] = field(default_factory=dict)
    agent: str = ""
    hour: int = 0
    weekday: int = 1
    call: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, Any] = field(default_factory=dict)

    def context(self) -> dict[str, Any]:
        """The names in CEL. A caller of whom nothing is known is nobody, and not verified."""
        return {
            "tool": self.tool,
            "args": dict(self.arguments),
            "risk": self.risk,
            "caller": {**_NOBODY, **self.caller},
            "agent": self.agent,
            "hour": self.hour,
            "weekday": self.weekday,
            "call": dict(self.call),
            "counts": {scope: _counted(counts, self.arguments) for scope, counts in self.counts.items()},
        }


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """What one rule says. `fits`: it decides; with `error` because it cannot tell, and then a person is asked."""

    rule: str
    fits: bool
    why: str
    error: bool = False
    line: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule."""

    spec: policy_schema.RuleSpec
    condition: conditions.Condition | None
    tools: re.Pattern[str]
    line: int
    column: int

    def judge(self, facts: Facts, context: Any) -> RuleVerdict:
        """Whether it decides about these facts."""
        spec = self.spec
        if not self.tools.fullmatch(facts.tool):
            return self._says(f"tool {facts.tool} is not {' or '.join(spec.tools)}", fits=False)
        if spec.risk and facts.risk not in spec.risk:
            return self._says(f"risk {facts.risk} is not {' or '.join(spec.risk)}", fits=False)
        if self.condition is None:
            return self._says("it has no condition", fits=True)
        held = self.condition.holds(context)
        return self._says(held.why, fits=held.value is not False, error=held.value is None)

    def _says(self, why: str, *, fits: bool, error: bool = False) -> RuleVerdict:
        return RuleVerdict(self.spec.name, fits, why, error, self.line)


class Policy:
    """A loaded policy. `version` changes with its content; `warnings`: what is odd about it."""

    def __init__(
        self,
        file: str,
        spec: policy_schema.PolicyFile,
        rules: Sequence[Rule],
        warnings: Sequence[Problem],
    ) -> None:
        self.file = file
        self.version = hashlib.sha256(spec.model_dump_json().encode()).hexdigest()[:16]
        self.rules = tuple(rules)
        self.warnings = tuple(warnings)
        self.default_ask = spec.default_ask
        self._default = _ask(spec.default_ask)

    def explain(self, facts: Facts) -> tuple[RuleVerdict, ...]:
        """What each rule says, up to the one that decides. None is tried when the facts cannot be judged."""
        context, _ = _context(facts)
        verdicts: list[RuleVerdict] = []
        for rule in self.rules if context is not None else ():
            verdicts.append(rule.judge(facts, context))
            if verdicts[-1].fits:
                break
        return tuple(verdicts)

    def rule(self, facts: Facts) -> Ruling:
        """The first rule that fits, or to ask. Never raises."""
        context, wrong = _context(facts)
        if context is None:
            return Ruling("ask", "", wrong, ask=self._default)
        for rule in self.rules:
            verdict = rule.judge(facts, context)
            if verdict.error:
                return self._cannot(rule.spec, verdict.why)
            if verdict.fits:
                return self._ruling(rule.spec, facts, verdict.why)
        return Ruling("ask", "", "no rule fits", ask=self._default)

    def _ruling(self, spec: policy_schema.RuleSpec, facts: Facts, why: str) -> Ruling:
        why = f"rule {spec.name}: {why}"
        ask = _ask(spec.ask) if spec.ask else None
        if spec.deny is not None:
            return Ruling("deny", spec.name, why, words=spec.deny)
        if spec.confirm is not None:
            try:
                question = readback.fill(spec.confirm.question, facts.arguments)
            except ValueError as error:
                return self._cannot(spec, str(error))
            said = spec.confirm
            confirm = Confirm(question, tuple(said.by), said.key, said.answer_s)
            return Ruling("confirm", spec.name, why, ask=ask, confirm=confirm)
        if ask is not None:
            return Ruling("ask", spec.name, why, ask=ask)
        return Ruling("allow", spec.name, why)

    def _cannot(self, spec: policy_schema.RuleSpec, why: str) -> Ruling:
        """A rule that cannot tell: a person is asked, by the stricter of the rule's own `ask` and the default."""
        asks = [self._default, *([_ask(spec.ask)] if spec.ask else [])]
        ask = max(asks, key=lambda one: one.approvers)
        return Ruling("ask", spec.name, f"rule {spec.name} cannot tell: {why}", ask=ask)


def load(path: Path) -> Policy:
    """The policy of a file. Raises PolicyError with every mistake, each with its line."""
    document = yamlfile.read(path, PolicyError)
    spec = yamlfile.validate(document, policy_schema.PolicyFile, PolicyError)
    problems: list[Problem] = []
    rules = [_compile(document, number, rule, problems) for number, rule in enumerate(spec.rules)]
    names: dict[str, int] = {}
    for number, rule in enumerate(rules):
        if rule.spec.name in names:
            message = f"the name is taken by the rule in line {names[rule.spec.name]}"
            problems.append(document.problem(("rules", number, "name"), message, "give it another"))
        names.setdefault(rule.spec.name, rule.line)
    if problems:
        raise PolicyError(sorted(problems, key=lambda problem: (problem.line, problem.column)))
    return Policy(document.name, spec, rules, list(_warnings(document, rules)))


def _compile(document: YamlFile, number: int, spec: policy_schema.RuleSpec, problems: list[Problem]) -> Rule:
    condition = None
    if spec.when is not None:
        try:
            condition = conditions.compile_condition(spec.when)
        except ValueError as error:
            message, _, hint = str(error).partition(" | ")
            problems.append(document.problem(("rules", number, "when"), message, hint))
    place, _ = document.find(("rules", number))
    return Rule(spec, condition, _pattern(spec.tools), place.line, place.column)


def _pattern(tools: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(tool).replace(r"\*", ".*") for tool in tools))


def _warnings(document: YamlFile, rules: Sequence[Rule]) -> Iterator[Problem]:
    for number, rule in enumerate(rules):
        one = rule.spec
        if one.allow and one.when is None and (not one.risk or _RISKY & set(one.risk)):
            message = "it allows money and irreversible tools without asking anybody"
            yield document.problem(
                ("rules", number, "allow"), message, "name the risks it is for: risk: [read]"
            )
        for earlier in rules[:number]:
            if _hides(earlier, rule):
                message = (
                    f"it is never reached: rule {earlier.spec.name} (line {earlier.line}) takes all of it"
                )
                yield document.problem(("rules", number, "name"), message, "move it up")
                break


def _hides(earlier: Rule, rule: Rule) -> bool:
    """Whether everything `rule` is for is taken by `earlier`, as far as names and risks tell."""
    if earlier.condition is not None:
        return False
    tools = all(earlier.tools.fullmatch(tool) for tool in rule.spec.tools)
    risks = set(rule.spec.risk or _RISKS)
    return tools and (not earlier.spec.risk or risks <= set(earlier.spec.risk))


def _context(facts: Facts) -> tuple[Any, str]:
    """The facts for CEL; None, and why, when they are none that can be judged."""
    try:
        canonical(dict(facts.arguments))
        return conditions.context_of(facts.context()), ""
    except (ToolArgumentsError, ValueError, TypeError, OverflowError) as error:
        return None, f"the facts cannot be judged: {str(error)[:160]}"


def _counted(counts: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The counts with a sum for every numeric argument, of the argument's type: CEL adds no int to a double."""
    sums = dict(counts.get("sums", {}))
    for name, value in arguments.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            total = sums.get(name, 0)
            sums[name] = float(total) if isinstance(value, float) or total != int(total) else int(total)
    return {**counts, "sums": sums}


def _ask(spec: policy_schema.AskSpec) -> Ask:
    return Ask(**{**spec.model_dump(), "escalate_to": spec.escalate_to or ""})
