"""Whether a regular expression can be made slow by the text it is given.

Routes match values a caller chooses, on the worker's loop. Python's `re` backtracks, so `(a+)+$` takes
exponential time. This looks at the parsed expression, counts the ways a value of 256 characters (the cut of
bridge/dialplan/match.py) could be tried, and refuses what may take more than some milliseconds.

Pure: no I/O, any thread. Called by bridge/dialplan/schema.py. It uses `re._parser`, which nobody promises to
keep, but which is the same in Python 3.11 and 3.12, the versions we support.
"""

import re._constants as ops  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from typing import Any

from bridge.dialplan.match import MAX_VALUE_CHARS

MAX_WAYS = (MAX_VALUE_CHARS + 1) ** 2
"""Two open repeats in an anchored expression, or one in an expression that may begin anywhere."""

_REPEATS = frozenset({ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT})


class _Slow(Exception):  # noqa: N818  # control flow inside this module
    pass


def why_slow(regex: str) -> str:
    """What makes the expression dangerous; "" when nothing does. The expression must compile."""
    parsed = parser.parse(regex)
    anchored = len(parsed) > 0 and parsed[0] == (ops.AT, ops.AT_BEGINNING)
    try:
        ways = _ways(parsed, repeated=False) * (1 if anchored else MAX_VALUE_CHARS)
    except _Slow as slow:
        return str(slow)
    return "too many repeats (* + ? {}); begin it with ^ or use fewer" if ways > MAX_WAYS else ""


def _ways(items: Any, *, repeated: bool) -> int:
    """Upper bound of the ways to try the expression at one place of the text."""
    ways = 1
    for code, argument in items:
        if code in _REPEATS:
            least, most, body = argument
            span = min(most, MAX_VALUE_CHARS) - least + 1
            if repeated and span > 1:
                raise _Slow("a repeat within a repeat, such as (a+)+")
            ways *= max(span, 1) * _ways(body, repeated=repeated or most > 1)
        elif code is ops.BRANCH:
            if repeated:
                raise _Slow("alternatives within a repeat, such as (a|ab)+")
            ways *= sum(_ways(part, repeated=repeated) for part in argument[1])
        elif code in {ops.GROUPREF, ops.GROUPREF_EXISTS, ops.GROUPREF_IGNORE}:
            raise _Slow("a reference back to a group")
        else:
            body = _body(code, argument)
            ways *= _ways(body, repeated=repeated)
    return ways


def _body(code: Any, argument: Any) -> Any:
    """The expression inside a group or an assertion; () when there is none."""
    if code is ops.SUBPATTERN:
        return argument[3]
    if code in {ops.ASSERT, ops.ASSERT_NOT}:
        return argument[1]
    return argument if code is ops.ATOMIC_GROUP else ()
