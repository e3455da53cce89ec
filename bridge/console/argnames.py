"""What an argument is about, by its name: an amount, a target, or neither. Pure."""

import re
from typing import Literal

Kind = Literal["amount", "target", ""]
_AMOUNT = re.compile(
    r"(amount|price|sum|total|cost|fee|value|quantity|count|limit|balance|credit)s?", re.IGNORECASE
)
_TARGET = re.compile(
    r"(to|target|recipient|number|phone|e?mail|address|account|iban|payee|customer|order|user|name|code|url|id)s?",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def named(name: str) -> Kind:
    """What a number under this name is. An amount wins: `amount_to_pay`."""
    if _has(_AMOUNT, name):
        return "amount"
    return "target" if is_target(name) else ""


def is_target(name: str) -> bool:
    """Whether something under this name says whom or what it is about."""
    return _has(_TARGET, name)


def _has(words: re.Pattern[str], name: str) -> bool:
    return any(words.fullmatch(word) for word in _WORD.findall(name.replace("_", " ")))
