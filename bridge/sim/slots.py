"""Slots of a scenario: what may stand in a phrase's `<name>`, and what value the spoken words mean.

Three kinds: a list of phrases with values, a run of spoken digits, a spoken number up to 999. Each gives a
JSGF rule for the recogniser, a regular expression over recognised words and the way back from words to a value.
Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DIGITS: Mapping[str, str] = {
    "zero": "0",
    "oh": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
}
_UNITS = {word: int(digit) for word, digit in DIGITS.items() if digit != "0"}
_TEENS = {
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "thirteen": 13,
    "fourteen": 14,
    "fifteen": 15,
    "sixteen": 16,
    "seventeen": 17,
    "eighteen": 18,
    "nineteen": 19,
}
_TENS = {
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
    "ninety": 90,
}


@dataclass(frozen=True, slots=True)
class Words:
    """One of some phrases; each stands for a value (often itself)."""

    values: Mapping[str, Any]

    def grammar(self) -> str:
        """The words as alternatives of a JSGF rule."""
        return " | ".join(self.values)

    def pattern(self) -> str:
        """A regular expression for one of the words."""
        longest_first = sorted(self.values, key=len, reverse=True)
        return "(?:" + "|".join(f"{phrase} " for phrase in longest_first) + ")"

    def value(self, said: str) -> Any:
        return self.values[said]


@dataclass(frozen=True, slots=True)
class Digits:
    """`at_least` to `at_most` digits said one by one; the value is a string of digits."""

    at_least: int
    at_most: int

    def grammar(self) -> str:
        """A run of digit words as a JSGF rule."""
        one = "( " + " | ".join(DIGITS) + " )"
        optional = ""
        for _ in range(self.at_most - self.at_least):
            optional = f"[ {one} {optional} ]"
        return " ".join([one] * self.at_least) + f" {optional}".rstrip()

    def pattern(self) -> str:
        """A regular expression for a run of digit words or digits."""
        one = "(?:" + "|".join(DIGITS) + r"|\d) "
        return rf"(?:(?:{one}){{{self.at_least},{self.at_most}}}|\d{{{self.at_least},{self.at_most}}} )"

    def value(self, said: str) -> str:
        return "".join(DIGITS.get(word, word) for word in said.split())


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number from 1 to 999, said as people say it (`one hundred and twenty five`), or written."""

    def grammar(self) -> str:
        """A number below a thousand, in words, as a JSGF rule."""
        units, teens, tens = " | ".join(_UNITS), " | ".join(_TEENS), " | ".join(_TENS)
        below_100 = f"( {units} | {teens} | ( {tens} ) [ {units} ] )"
        return f"{below_100} | ( a | {units} ) hundred [ [ and ] {below_100} ]"

    def pattern(self) -> str:
        """A regular expression for number words or digits."""
        word = "|".join([*_UNITS, *_TEENS, *_TENS, "hundred", "and", "a"])
        return rf"(?:(?:(?:{word}) )+|\d{{1,3}} )"

    def value(self, said: str) -> int:
        """The number the words say."""
        if said.isdigit():
            return int(said)
        total = 0
        for word in said.split():
            total = max(total, 1) * 100 if word == "hundred" else total + _small(word)
        return total


Slot = Words | Digits | Number


def _small(word: str) -> int:
    return _UNITS.get(word) or _TEENS.get(word) or _TENS.get(word) or 0
