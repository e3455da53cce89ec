"""Where a node is reached by others than the edge: its console by people, its HTTP by other controls, workers by seats.

    settings ─told─► nodes.facts, sealed with the nodes' common key ─read─► Roads

Whoever can only write the database could else send people, what controls ask each other, or what an operator says on
a call, to an address of their own.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from bridge.approval.signing import seal, sealed

NAME = "roads"


@dataclass(frozen=True, slots=True)
class Roads:
    """`console`: console.url; `control`: node.url. "" where nobody said so.

    `media`: IP address at which seats reach the workers; `machine`: with a loopback address, who has the same one.
    """

    console: str = ""
    control: str = ""
    media: str = ""
    machine: str = ""

    def deaf(self, machine: str) -> bool:
        """Whether no seat on that machine can reach the workers."""
        return bool(self.media) and ip_address(self.media).is_loopback and self.machine != (machine or None)


def told(key: bytes, node: str, roads: Roads) -> dict[str, Any]:
    """For what a node says of itself; empty when there is nothing to say."""
    words = {name: value for name, value in asdict(roads).items() if value}
    return {NAME: {**words, "seal": seal(key, _about(node), words)}} if words else {}


def read(key: bytes, node: str, facts: Mapping[str, Any]) -> Roads:
    """What the node called `node` said; nothing when no node did."""
    words = facts.get(NAME)
    if not isinstance(words, dict) or not sealed(key, _about(node), words):
        return Roads()
    return Roads(**{one.name: str(words.get(one.name, "")) for one in fields(Roads)})


def machine() -> str:
    """The same for processes that share a loopback device, and for no others; "" where nobody can tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        return sha256(f"{boot}{Path('/proc/self/ns/net').readlink()}".encode()).hexdigest()[:16]
    except OSError:
        return ""


def _about(node: str) -> str:
    return f"roads {node}"
