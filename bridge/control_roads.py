"""Where a node is reached by others than the edge: its console by people, its HTTP by other controls.

    settings ─told─► nodes.facts, sealed with the nodes' common key ─read─► Roads

Whoever can only write the database could else send people, or what controls ask each other, to an address of their own.
Reads and makes values only.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bridge.approval.signing import seal, sealed

NAME = "roads"


@dataclass(frozen=True, slots=True)
class Roads:
    """`console`: console.url; `control`: node.url. "" where nobody said so."""

    console: str = ""
    control: str = ""


def told(key: bytes, node: str, roads: Roads) -> dict[str, Any]:
    """For what a node says of itself; empty when there is nothing to say."""
    words = {name: value for name, value in asdict(roads).items() if value}
    return {NAME: {**words, "seal": seal(key, _about(node), words)}} if words else {}


def read(key: bytes, node: str, facts: Mapping[str, Any]) -> Roads:
    """What the node called `node` said; nothing when no node did."""
    words = facts.get(NAME)
    if not isinstance(words, dict) or not sealed(key, _about(node), words):
        return Roads()
    return Roads(str(words.get("console", "")), str(words.get("control", "")))


def _about(node: str) -> str:
    return f"roads {node}"
