"""Who has to wait before the next try to sign in, or to prove a second factor, after wrong ones.

    wrong passwords for one name       after 5: 30 s, then twice as long for each more, 15 minutes at most
    wrong passwords from one address   after 20: the same; an IPv6 address counts by its network of 64 bits
    wrong codes of one user            after 5: the same

Every try counts as wrong when it begins, so that tries at the same moment are not all the fifth. A right one takes back
its own, and forgets the name's; not the address's others: whoever guesses may have an account of their own.
What is 30 minutes old is forgotten. The counting is done in the store, for all nodes (trystore.py). `Lockout` counts in
memory, for what is looked at often and cannot be guessed anyway. Sans-IO: `now` in seconds, of one clock.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Mapping

NAME_TRIES, ADDRESS_TRIES, FACTOR_TRIES = 5, 20, 5
FIRST_S, MOST_S = 30.0, 900.0
FORGET_S = 1800.0
MAX_KEPT = 10_000
_TRIES = {"name": NAME_TRIES, "address": ADDRESS_TRIES, "factor": FACTOR_TRIES}


def of_name(name: str) -> str:
    """What the tries for a name are counted under."""
    return f"name {name}"


def of_address(address: str) -> str:
    """What the tries from an address are counted under."""
    return f"address {_network(address)}"


def of_factor(user: str) -> str:
    """What the codes of a user are counted under."""
    return f"factor {user}"


def wait_s(failures: Mapping[str, tuple[int, float]], now: float) -> float:
    """How long a try has to wait, by (wrong ones, when last) of all that it is counted under; 0: look at it."""
    until = max((_until(kept, *found) for kept, found in failures.items()), default=0.0)
    return max(until - now, 0.0)


class Lockout:
    """Wrong tries by address, in memory; at most MAX_KEPT, and the oldest go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, address: str, now: float) -> float:
        """How long a try from there has to wait; 0: look at it."""
        key = of_address(address)
        return wait_s({key: self._recent(key, now)}, now)

    def failed(self, address: str, now: float) -> None:
        """It was wrong."""
        key = of_address(address)
        self._kept[key] = self._recent(key, now)[0] + 1, now
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    def _recent(self, key: str, now: float) -> tuple[int, float]:
        count, last_at = self._kept.get(key, (0, 0.0))
        return (count, last_at) if now - last_at <= FORGET_S else (0, 0.0)


def _until(kept: str, count: int, last_at: float) -> float:
    over = count - _TRIES[kept.partition(" ")[0]]
    return last_at + min(FIRST_S * 2 ** min(over, 16), MOST_S) if over >= 0 else 0.0


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))
