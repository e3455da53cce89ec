"""Who has to wait before the next try to sign in, after wrong passwords.

    wrong for one name       after 5: 30 s, then twice as long for each more, 15 minutes at most
    wrong from one address   after 20: the same; an IPv6 address counts by its network of 64 bits

Every try counts as a failure when it begins, so that tries at the same moment are not all the fifth. A right password
takes back its own, and forgets the name's; not the address's others: whoever guesses may have an account of their own.
What is 30 minutes old is forgotten; there are at most MAX_KEPT of each kind, and the oldest go first, so a flood of
made-up names costs no memory (its address has long been locked by then). Sans-IO: `now` is monotonic seconds.
"""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

NAME_TRIES, ADDRESS_TRIES = 5, 20
FIRST_S, MOST_S = 30.0, 900.0
FORGET_S = 1800.0
MAX_KEPT = 10_000


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last_at: float = 0.0

    def waits_until(self, tries: int) -> float:
        """When the next try is looked at."""
        over = self.count - tries
        return self.last_at + min(FIRST_S * 2 ** min(over, 16), MOST_S) if over >= 0 else 0.0


class Lockout:
    """Counts failures by name and by address."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, _Failures] = OrderedDict()
        self._addresses: OrderedDict[str, _Failures] = OrderedDict()

    def wait_s(self, name: str, address: str, now: float) -> float:
        """How long this try has to wait; 0: look at its password."""
        until = max(
            _recent(self._names, name, now).waits_until(NAME_TRIES),
            _recent(self._addresses, _network(address), now).waits_until(ADDRESS_TRIES),
        )
        return max(until - now, 0.0)

    def failed(self, name: str, address: str, now: float) -> None:
        """The password was wrong, or there is nobody of this name."""
        for kept, key in ((self._names, name), (self._addresses, _network(address))):
            failures = _recent(kept, key, now)
            failures.count, failures.last_at = failures.count + 1, now
            kept[key] = failures
            kept.move_to_end(key)
            while len(kept) > MAX_KEPT:
                kept.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """The password of the try that was counted last was right."""
        self._names.pop(name, None)
        if found := self._addresses.get(_network(address)):
            found.count -= 1


def _recent(kept: OrderedDict[str, _Failures], key: str, now: float) -> _Failures:
    found = kept.get(key)
    return _Failures() if found is None or now - found.last_at > FORGET_S else found


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))
