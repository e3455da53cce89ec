"""Scenarios of the local engine: a YAML file that says what is understood and what is answered.

    intents and phrases ──► grammar for the recogniser (`jsgf`)
                     └──► regular expressions (`match`): words ──► intent and slot values

The schema is strict; every mistake names file, line and key. Not worker-safe (pydantic). It never recognises
or speaks; bridge/sim/agent.py decides with it what to say. Loaded once, at the start of `sipbridge sim`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bridge import yamlfile
from bridge.errors import Problem, ScenarioError
from bridge.sim import phrase, slots

DEFAULT = Path(__file__).parent / "scenarios" / "front_desk.yaml"

_VARIABLE = re.compile(r"\{([a-z_]+)\}")

Line = Annotated[str, Field(min_length=1, max_length=4000)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,39}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DigitRun(_Strict):
    """How many digits a `digits` slot takes."""

    at_least: Annotated[int, Field(ge=1, le=12)] = 1
    at_most: Annotated[int, Field(ge=1, le=12)] = 12


class SlotFile(_Strict):
    """One slot: exactly one of `words`, `digits`, `number`."""

    words: dict[str, Any] | list[str] | None = None
    digits: DigitRun | None = None
    number: Literal[True] | None = None


class Result(_Strict):
    """What to say when a function's output fits `when` (every key equal); the first that fits is said."""

    when: dict[str, Any] = {}
    say: Line


class Call(_Strict):
    """A function call: its name, arguments (`{slot}` stands for a slot's value) and the answers to its result."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    arguments: dict[str, Any] = {}
    results: Annotated[list[Result], Field(min_length=1)]
    unavailable: Line = "I am sorry, I cannot do that on this line."


class Intent(_Strict):
    """Something a caller may want.

    `say`: phrases that start it; `answers`: phrases that also go on with it; `written`: phrases understood in text
    only; `needs`: the question for each slot that must be known; then `call`, or `reply`.
    """

    say: list[str] = []
    answers: list[str] = []
    written: list[str] = []
    needs: dict[str, Line] = {}
    reply: Line | None = None
    call: Call | None = None


class ScenarioFile(_Strict):
    """The file as written."""

    version: Literal[1]
    name: Line
    voice: str = "en-us"
    greeting: Line
    fallback: Annotated[list[Line], Field(min_length=1)]
    silence: Line
    slots: dict[Name, SlotFile] = {}
    intents: Annotated[dict[Name, Intent], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class SlotValue:
    """A slot as it was `said` and the `value` it stands for."""

    said: str
    value: Any


@dataclass(frozen=True, slots=True)
class Match:
    """Words understood: the intent and its slots."""

    intent: str
    slots: Mapping[str, SlotValue]


@dataclass(frozen=True, slots=True)
class _Pattern:
    intent: str
    kind: str
    phrase: phrase.Sequence
    expression: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A checked scenario, ready for use."""

    file: ScenarioFile
    slots: Mapping[str, slots.Slot]
    patterns: tuple[_Pattern, ...] = field(repr=False)

    def match(self, text: str, pending: str | None = None) -> Match | None:
        """The intent whose phrase `text` is, whole; phrases of the `pending` intent win; None when nothing fits."""
        words = phrase.normalise(text) + " "
        for pattern in sorted(self.patterns, key=lambda pattern: pattern.intent != pending):
            found = pattern.expression.fullmatch(words)
            if found:
                said = {name: text.strip() for name, text in found.groupdict().items() if text}
                values = {
                    name: SlotValue(words, self.slots[name].value(words)) for name, words in said.items()
                }
                return Match(pattern.intent, values)
        return None

    def jsgf(self, pending: str | None = None) -> str:
        """Grammar of what may be spoken: every `say`, and the `answers` of the pending intent. For pocketsphinx."""
        phrases = [
            pattern.phrase
            for pattern in self.patterns
            if pattern.kind == "say" or (pattern.kind == "answers" and pattern.intent == pending)
        ]
        used = {slot for one in phrases for slot in phrase.slots_of(one)}
        rules = [f"<slot_{name}> = {slot.grammar()};" for name, slot in self.slots.items() if name in used]
        spoken = " | ".join(one.grammar() for one in phrases)
        return "\n".join(["#JSGF V1.0;", "grammar scenario;", *rules, f"public <spoken> = {spoken};", ""])

    def questions(self) -> list[str]:
        """Intents that may be pending: those with answers of their own."""
        return [name for name, intent in self.file.intents.items() if intent.answers]

    def words(self) -> set[str]:
        """Every word the recogniser has to know."""
        grammars = [self.jsgf(), *map(self.jsgf, self.questions())]
        rules = " ".join(grammar.split("grammar scenario;")[1] for grammar in grammars)
        return set(re.sub(r"public|<[a-z_]+>|[\[\]()|=;]", " ", rules).split())


def load(path: Path = DEFAULT) -> Scenario:
    """Read and check a scenario file.

    Raises:
        ScenarioError: with every mistake found, each with file, line and key.

    """
    document = yamlfile.read(path, ScenarioError)
    file = yamlfile.validate(document, ScenarioFile, ScenarioError)
    problems: list[Problem] = []
    known = dict(_slots(file, document, problems))
    patterns = tuple(_patterns(file, known, document, problems))
    for name, intent in file.intents.items():
        problems += _check_intent(name, intent, [p for p in patterns if p.intent == name], document)
    if problems:
        raise ScenarioError(sorted(problems, key=lambda problem: problem.line))
    return Scenario(file, known, patterns)


def _slots(
    file: ScenarioFile, document: yamlfile.YamlFile, problems: list[Problem]
) -> Iterator[tuple[str, slots.Slot]]:
    for name, slot in file.slots.items():
        kinds = [kind for kind in (slot.words, slot.digits, slot.number) if kind]
        if len(kinds) != 1:
            problems.append(document.problem(("slots", name), "needs exactly one of words, digits, number"))
        elif slot.digits and slot.digits.at_least > slot.digits.at_most:
            problems.append(document.problem(("slots", name, "digits"), "at_least is more than at_most"))
        elif slot.words:
            values = slot.words if isinstance(slot.words, dict) else {word: word for word in slot.words}
            yield name, slots.Words({phrase.normalise(word): value for word, value in values.items()})
        else:
            yield (
                name,
                slots.Digits(slot.digits.at_least, slot.digits.at_most) if slot.digits else slots.Number(),
            )


def _patterns(
    file: ScenarioFile,
    known: Mapping[str, slots.Slot],
    document: yamlfile.YamlFile,
    problems: list[Problem],
) -> Iterator[_Pattern]:
    for name, intent in file.intents.items():
        for kind in ("say", "answers", "written"):
            for index, text in enumerate(getattr(intent, kind)):
                try:
                    yield _compile(name, kind, text, known)
                except phrase.PhraseError as bad:
                    problems.append(document.problem(("intents", name, kind, index), str(bad)))


def _compile(intent: str, kind: str, text: str, known: Mapping[str, slots.Slot]) -> _Pattern:
    parsed = phrase.parse(text)
    used = list(phrase.slots_of(parsed))
    for slot in used:
        if slot not in known:
            raise phrase.PhraseError(f"<{slot}> is not in slots ({', '.join(known) or 'there are none'})")
    if len(set(used)) < len(used):
        raise phrase.PhraseError("the same slot stands in it twice; write two phrases")
    expression = parsed.pattern()
    for slot in used:
        expression = expression.replace(f"\0{slot}\0", known[slot].pattern())
    return _Pattern(intent, kind, parsed, re.compile(expression))


def _check_intent(
    name: str, intent: Intent, patterns: list[_Pattern], document: yamlfile.YamlFile
) -> Iterator[Problem]:
    at = ("intents", name)
    if not intent.say and not intent.written:
        yield document.problem(at, "has no phrase in say or written: it can never start")
    if (intent.reply is None) == (intent.call is None):
        yield document.problem(at, "needs exactly one of reply and call")
    usable = {slot for pattern in patterns for slot in phrase.slots_of(pattern.phrase)}
    for slot in intent.needs:
        if slot not in usable:
            yield document.problem((*at, "needs", slot), f"no phrase of {name} holds <{slot}>")
    for variable in _VARIABLE.findall(intent.reply or ""):
        if variable not in usable:
            yield document.problem((*at, "reply"), f"{{{variable}}} is not a slot of {name}", _one_of(usable))


def _one_of(names: set[str]) -> str:
    return f"one of {', '.join(sorted(names))}" if names else "it has none"


def fill(template: str, values: Mapping[str, Any]) -> str:
    """`template` with `{name}` replaced; a name without a value becomes nothing."""
    return _VARIABLE.sub(lambda found: str(values.get(found.group(1), "")), template)
