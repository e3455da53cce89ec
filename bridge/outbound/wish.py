"""What somebody asks for, as a Wish: from a request's JSON, a command's words or a line of a campaign.

Everything in it is data from outside: names are checked, values cleaned and cut, the number is only carried along (it
is read and judged by control). Pure. Not worker-safe.
"""

import re
from collections.abc import Mapping
from typing import Any

from bridge.dialplan.variables import clean
from bridge.errors import BridgeError
from bridge.outbound.job import Wish

MAX_VARIABLES = 50
MAX_NUMBER_CHARS = 100
MAX_GIVEN_CHARS = 500
KEYS = ("number", "agent", "route", "variables")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")


class WishError(BridgeError):
    """What was asked for cannot be understood; says why. HTTP 400."""


def wish_of(body: Mapping[str, Any], asked_by: str, via: str, now: float) -> Wish:
    """The wish in {"number", "agent" or "route", "variables"}. Raises WishError."""
    unknown = sorted(str(key)[:40] for key in body if key not in KEYS)
    if unknown:
        raise WishError(f"unknown key {unknown[0]}: there are {', '.join(KEYS)}")
    number, agent, route = (body.get(key) or "" for key in KEYS[:3])
    if not isinstance(number, str) or not number or len(number) > MAX_NUMBER_CHARS:
        raise WishError("number must be a text such as +493012345678")
    if not isinstance(agent, str) or not isinstance(route, str) or (agent and route):
        raise WishError("agent or route: one name, or neither")
    run = f"agent:{agent}" if agent else f"route:{route}" if route else ""
    return Wish(number, run[:200], variables_of(body.get("variables") or {}), "", asked_by[:64], via, now)


def variables_of(given: Any) -> dict[str, str]:
    """Variables for the agent (`vars.NAME`), cleaned. Raises WishError: not a mapping, a bad name, too many."""
    if not isinstance(given, Mapping) or len(given) > MAX_VARIABLES:
        raise WishError(f"variables must be at most {MAX_VARIABLES} names with texts")
    found = {}
    for name, value in given.items():
        if not isinstance(name, str) or not _NAME.match(name):
            raise WishError(
                f"{str(name)[:40]!r} is no name for a variable: a-z, digits and _, a letter first"
            )
        if not isinstance(value, str | int | float):
            raise WishError(f"the variable {name} must be a text or a number")
        found[name] = clean(str(value), MAX_GIVEN_CHARS)
    return found
