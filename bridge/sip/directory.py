"""Which trunk a request comes from. Pure.

By the address it comes from (the smallest network wins), or by the contact it is sent to: a registered account's
Contact carries a random `line` parameter that only its registrar was told. Registrars that drop the parameter are known
by the address that answered the REGISTER together with the registered user.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from bridge.sip.events import Invite
from bridge.sip.sdp import offers
from bridge.trunk import Trunk

_LINE = re.compile(r";line=([0-9a-f]{16,64})(?:[;?>]|$)", re.IGNORECASE)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Line:
    """A registered account: its Contact's `line`, its user, and the address that answered ("" before that)."""

    trunk: str
    token: str
    user: str
    address: str = ""


class Directory:
    """The trunks of a plan by network."""

    def __init__(self, trunks: Iterable[Trunk]) -> None:
        trunks = tuple(trunks)
        self._names = frozenset(trunk.name for trunk in trunks)
        found = [(ipaddress.ip_network(one), trunk.name) for trunk in trunks for one in trunk.addresses]
        self._networks: list[tuple[Network, str]] = sorted(found, key=lambda pair: -pair[0].prefixlen)

    def find(self, invite: Invite, lines: Iterable[Line] = ()) -> str:
        """The trunk's name; "" when the request comes from nobody known."""
        address = source_address(invite.source)
        if address is None:
            return ""
        by_address = next((name for network, name in self._networks if address in network), "")
        return by_address or self._by_line(invite, str(address), lines)

    def named(self, invite: Invite, lines: Iterable[Line] = ()) -> str:
        """Behind the edge: the trunk it names if there is one; without a word of it, only a `line` proves anything.

        Registrars that drop the parameter are the edge's to know, by their addresses.
        """
        if invite.edge_word.trunk:
            return invite.edge_word.trunk if invite.edge_word.trunk in self._names else ""
        return self._by_line(invite, "", lines)

    def _by_line(self, invite: Invite, address: str, lines: Iterable[Line]) -> str:
        found = _LINE.search(invite.request_uri)
        token = found[1].lower() if found else ""
        user = invite.request_party.user if invite.request_party else ""
        for line in lines:
            by_address = bool(address) and line.address == address and line.user == user
            if token == line.token or (not token and by_address):
                return line.trunk
        return ""


def unusable(invite: Invite, trunk: Trunk | None) -> tuple[int, str] | None:
    """Why an INVITE that pjsip let in is refused all the same: status and phrase; None when it is not."""
    if "Replaces" in invite.headers:  # pjsip took it for a new call: it cannot be read
        return 400, "Bad Replaces"
    if trunk is not None and not offers(invite.sdp, trunk.codecs):
        return 488, "No Codec Of The Trunk"
    return None


def may_replace(replaced: Invite, invite: Invite) -> bool:
    """Whether an INVITE may take over a call (RFC 3891 section 3): it comes from where that call came from, or went to.

    The same trunk; for a call of no trunk the same address. The dialog's identifiers alone prove nothing: they travel
    in clear.
    """
    if replaced.trunk or invite.trunk:
        return replaced.trunk == invite.trunk
    address = source_address(replaced.source)
    return address is not None and address == source_address(invite.source)


def source_address(source: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address in `ip:port`, as `Invite.source` has it; None when there is none."""
    try:
        return ipaddress.ip_address(source.rpartition(":")[0].strip("[]"))
    except ValueError:
        return None
