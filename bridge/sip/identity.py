"""What a call to a trunk says of its caller: From, P-Asserted-Identity, Privacy. Pure.

Sources: RFC 3261 section 20.20 (From), RFC 3325 (P-Asserted-Identity), RFC 3323 section 4 (anonymity).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.sip.events import Party
from bridge.sip.headers import parse_party
from bridge.trunk import Trunk

ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
OURS = frozenset({"from", "p-asserted-identity", "p-preferred-identity", "privacy", "remote-party-id"})
"""Headers that only the trunk's rules may set."""
_USER = re.compile(r"\+?[A-Za-z0-9*_.-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Identity:
    """`from_uri`: name-addr for From, "" for the account's own. `headers`: all that go along."""

    from_uri: str
    headers: Mapping[str, str]


def identity(trunk: Trunk | None, asked: str, headers: Mapping[str, str]) -> Identity:
    """By the trunk's caller-id rules. `asked`: the name-addr the call would like to show, "" for none.

    Without a trunk it is shown as asked. A number the rules do not allow is not shown, the trunk's own is. Headers that
    would get round them are dropped.
    """
    if trunk is None:
        return Identity(asked, headers)
    rules = trunk.caller_id
    wish = parse_party(asked) if asked else Party("", "")
    allowed = bool(_USER.match(wish.user)) and rules.allows(wish.user)
    number = wish.user if allowed else rules.number
    display = wish.display if allowed and wish.display else rules.display
    kept = {name: value for name, value in headers.items() if name.lower() not in OURS}
    uri = f"<sip:{number}@{rules.host}>" if number and rules.host else ""
    if uri and rules.asserted:
        kept["P-Asserted-Identity"] = uri
    if rules.anonymous or wish.user.lower() == "anonymous":
        return Identity(ANONYMOUS, {**kept, "Privacy": "id"})
    name = re.sub(r'["\\<>]', "", display)
    return Identity(f'"{name}" {uri}' if uri and name else uri, kept)
