"""Phrases of a scenario: one small syntax, two uses.

    [i would like to] (book | make) an appointment [on <day>] [at <time>]

Words stand for themselves, `[…]` may be missing, `(a | b)` is a choice, `<name>` is a slot. A phrase becomes a
grammar rule for the recogniser (JSGF, https://www.w3.org/TR/jsgf/) and a regular expression which finds the
intent and its slots again in the recognised words or in typed text. Pure; no I/O, no recogniser here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(r"\s*(<[a-z_]+>|[a-z][a-z'.-]*|[\[\]()|])")
_NOT_A_WORD = re.compile(r"[^a-z0-9' ]+")


class PhraseError(ValueError):
    """A phrase does not follow the syntax; the text says where."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word, lower case."""

    text: str

    def grammar(self) -> str:
        return self.text

    def pattern(self) -> str:
        return re.escape(self.text) + " "


@dataclass(frozen=True, slots=True)
class SlotRef:
    """`<name>`: anything the slot of that name accepts."""

    name: str

    def grammar(self) -> str:
        return f"<slot_{self.name}>"

    def pattern(self) -> str:
        return f"(?P<{self.name}>\0{self.name}\0)"


@dataclass(frozen=True, slots=True)
class Sequence:
    """Parts one after the other."""

    parts: "tuple[Part, ...]"

    def grammar(self) -> str:
        return " ".join(part.grammar() for part in self.parts)

    def pattern(self) -> str:
        return "".join(part.pattern() for part in self.parts)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several sequences, or none of them when `optional`."""

    options: tuple[Sequence, ...]
    optional: bool

    def grammar(self) -> str:
        """The alternatives as JSGF."""
        inner = " | ".join(option.grammar() for option in self.options)
        return f"[ {inner} ]" if self.optional else f"( {inner} )"

    def pattern(self) -> str:
        """The alternatives as a regular expression."""
        inner = "|".join(option.pattern() for option in self.options)
        return f"(?:{inner})" + ("?" if self.optional else "")


Part = Word | SlotRef | Sequence | Choice


def parse(text: str) -> Sequence:
    """Read one phrase.

    Raises:
        PhraseError: an unbalanced bracket, an empty group, a character outside the syntax.

    """
    tokens = _tokens(text)
    sequence, rest = _sequence(tokens, 0)
    if rest < len(tokens):
        raise PhraseError(f"{tokens[rest]!r} has no opening partner in {text!r}")
    return sequence


def slots_of(part: Part) -> Iterator[str]:
    """Every slot named in it, in order."""
    if isinstance(part, SlotRef):
        yield part.name
    elif isinstance(part, Sequence):
        for inner in part.parts:
            yield from slots_of(inner)
    elif isinstance(part, Choice):
        for option in part.options:
            yield from slots_of(option)


def normalise(text: str) -> str:
    """Lower case words with single spaces; punctuation becomes a space."""
    return " ".join(_NOT_A_WORD.sub(" ", text.lower()).split())


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    stripped = text.rstrip()
    while at < len(stripped):
        found = _TOKEN.match(stripped, at)
        if found is None:
            raise PhraseError(
                f"{stripped[at:].strip()[:12]!r} is not a lower-case word, <slot>, [ ] ( ) or |"
            )
        tokens.append(found.group(1))
        at = found.end()
    return tokens


def _sequence(tokens: list[str], at: int) -> tuple[Sequence, int]:
    parts: list[Part] = []
    while at < len(tokens) and tokens[at] not in ("]", ")", "|"):
        token = tokens[at]
        if token in ("[", "("):
            choice, at = _choice(tokens, at)
            parts.append(choice)
            continue
        parts.append(SlotRef(token[1:-1]) if token.startswith("<") else Word(token))
        at += 1
    if not parts:
        raise PhraseError("a phrase, group or alternative is empty")
    return Sequence(tuple(parts)), at


def _choice(tokens: list[str], at: int) -> tuple[Choice, int]:
    optional = tokens[at] == "["
    closing = "]" if optional else ")"
    options: list[Sequence] = []
    while True:
        option, at = _sequence(tokens, at + 1)
        options.append(option)
        if at == len(tokens) or tokens[at] not in ("|", closing):
            raise PhraseError(f"{closing!r} is missing")
        if tokens[at] == closing:
            return Choice(tuple(options), optional), at + 1
