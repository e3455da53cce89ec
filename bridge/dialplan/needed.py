"""Texts without which a regular expression cannot match: `/(sales|orders) desk$/` needs " desk".

Looking for a text costs a fortieth of trying an expression, so RouteIndex tries only those whose text is there. Letter
case is ignored as `re.IGNORECASE` does, in values that are in lower case already.

Worker-safe: standard library only. Pure. It uses `re._parser`, as regex.py does, and for the same versions of Python.
"""

import re._constants as ops  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from functools import lru_cache
from typing import Any

MAX_TEXTS = 16
"""Of one expression; more alternatives are not worth looking for."""
_REPEATS = frozenset({ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT})
_TWINS = str.maketrans(
    {"\u0131": "i", "\u017f": "s"}
)  # what IGNORECASE takes for i and s, and lower() leaves alone

Texts = frozenset[str]
"""One of them must be in the value; none: nothing is known."""


@lru_cache(maxsize=65536)
def needed_texts(regex: str) -> Texts:
    """In the form of `folded`. The expression must compile."""
    return _of_sequence(parser.parse(regex))


def folded(value: str) -> str:
    """A value in lower case, as the texts are looked for in it."""
    return value if value.isascii() else value.translate(_TWINS)


def _of_sequence(items: Any) -> Texts:
    """Every part of a sequence is needed, so the one that says most."""
    found: list[Texts] = []
    run = ""
    for code, argument in items:
        if code is ops.LITERAL and argument < 128:  # the twins of other letters are too many
            run += chr(argument).lower()
            continue
        found += [frozenset({run})] if run else []
        run = ""
        found.append(_of_item(code, argument))
    found += [frozenset({run})] if run else []
    return max(found, key=_worth, default=frozenset())


def _of_item(code: Any, argument: Any) -> Texts:
    if code in _REPEATS and argument[0] > 0:
        return _of_sequence(argument[2])
    if code is ops.SUBPATTERN:
        return _of_sequence(argument[3])
    if code is ops.ATOMIC_GROUP:
        return _of_sequence(argument)
    if code is ops.BRANCH:
        parts = [_of_sequence(part) for part in argument[1]]
        together = frozenset().union(*parts)
        return together if all(parts) and len(together) <= MAX_TEXTS else frozenset()
    return frozenset()


def _worth(texts: Texts) -> tuple[int, int]:
    return min(map(len, texts), default=0), -len(texts)
