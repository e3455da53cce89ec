"""Which decisions need a second factor that was proved just now: the one rule, for whoever takes decisions. Pure.

    approve, the function's risk is one of `risks`                     wanted, whatever it is about
    approve, the amounts together are `amount` or more                 wanted, whatever the risk
    approve, it moves money and no amount is found in its arguments    wanted: what is not understood is not small
    deny                                                               never

An amount is a number under a name that argnames.py knows as one, at any depth. Of a function that moves money every
number counts that does not stand under the name of a target (an order, an account, a telephone), also when it is
written as text: `{"quantity": 1, "refund_usd": "5000"}` is no small thing. The sizes are added up, so the sum is never
below the largest. Whole numbers of another unit (cents) only make it larger. The currency is not looked at.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bridge.console.argnames import named

MONEY = "money"
MAX_DEPTH = 20
_NUMBER = re.compile(r"\s*[^\w\s.,+-]?\s*[+-]?\d[\d., ']*\s*([A-Za-z]{3}|[^\w\s.,+-])?\s*")


class Rules(Protocol):
    """As settings_console.StepUp has them. `amount` None: no amount needs it by itself."""

    @property
    def risks(self) -> Iterable[str]:
        """These always."""

    @property
    def amount(self) -> float | None:
        """From here on."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the numbers of some arguments come to. `known`: whether there is an amount among them."""

    total: float = 0.0
    known: bool = False


def wanted(
    rules: Rules, risk: str, verdict: str, shown: Mapping[str, Any], changed: Mapping[str, Any] | None = None
) -> bool:
    """Whether a verdict on a request needs a second factor. `changed`: approved in this form instead of `shown`."""
    if verdict != "approve":
        return False
    if risk in rules.risks:
        return True
    if rules.amount is None:
        return False
    forms = [shown] if changed is None else [shown, changed]
    return any(_large(amounts(form, risk), risk, rules.amount) for form in forms)


def amounts(arguments: Mapping[str, Any], risk: str) -> Found:
    """The amounts of these arguments together."""
    total, known = 0.0, False
    for name, value in _leaves(arguments):
        kind = named(name)
        counts = kind == "amount" or (risk == MONEY and kind != "target")
        size = _size(value, text=risk == MONEY) if counts else None
        if size is not None:
            total, known = total + size, known or kind == "amount"
    return Found(total, known)


def _large(found: Found, risk: str, least: float) -> bool:
    return not found.total < least or (risk == MONEY and not found.known)


def _leaves(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every value that is none of others, under the nearest name above it; too deep is a number beyond all bounds."""
    if depth > MAX_DEPTH:
        yield "amount", float("inf")
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _leaves(one, str(key), depth + 1)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _leaves(one, name, depth + 1)
    else:
        yield name, value


def _size(value: Any, *, text: bool) -> float | None:
    """How large a number is, without its sign; None: it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return abs(float(value))
        except OverflowError:
            return float("inf")
    if not (text and isinstance(value, str) and len(value) <= 40 and _NUMBER.fullmatch(value)):
        return None
    return max((float(digits) for digits in _readings(value)), default=None)


def _readings(words: str) -> Iterator[str]:
    """1.000,50 and 1,000.50: whichever is larger counts, as nobody says which sign is which."""
    digits = re.sub(r"[^\d.,]", "", words)
    for point, group in ((".", ","), (",", ".")):
        reading = digits.replace(group, "").replace(point, ".")
        if re.fullmatch(r"\d+(\.\d*)?|\.\d+", reading):
            yield reading
    if not any(sign in digits for sign in ".,") or digits.count(".") > 1 or digits.count(",") > 1:
        yield re.sub(r"\D", "", digits)
