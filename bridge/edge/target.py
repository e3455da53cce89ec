"""A worker as the edge sees it: an address calls can be sent to, and whether they may be.

Pure, standard library only.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from bridge.errors import LinkError

SETS = {"narrow": 1, "wide": 2}
"""Numbers of Kamailio's dispatcher sets."""
_URI = re.compile(r"sip:(?:[0-9.]{7,15}|\[[0-9a-fA-F:.]{2,45}\]):[0-9]{1,5}")
"""What goes into Kamailio's list comes from other nodes' rows: an address and a port, nothing else."""


@dataclass(frozen=True, slots=True)
class Target:
    """`boot`: the name of this life of the worker; a new one begins without calls. `node`: whose worker it is."""

    uri: str
    pool: Literal["narrow", "wide"] = "narrow"
    state: Literal["active", "draining"] = "active"
    max_calls: int = 4
    node: str = ""
    slot: int = 0
    boot: str = ""


def read(told: Mapping[str, Any]) -> Target | None:
    """What another node tells of a worker; None when this version cannot make a target of it."""
    known = {field.name: told[field.name] for field in fields(Target) if field.name in told}
    texts = all(isinstance(known.get(name, ""), str) for name in ("uri", "node", "boot"))
    numbers = all(type(known.get(name, 0)) is int for name in ("max_calls", "slot"))
    fits = known.get("pool", "narrow") in SETS and known.get("state", "active") in {"active", "draining"}
    right = texts and numbers and fits and _URI.fullmatch(known.get("uri", "")) is not None
    return Target(**known) if right else None


def to_json(targets: Iterable[Target]) -> str:
    """For the row of a node in the store."""
    return json.dumps([asdict(target) for target in targets])


def from_json(text: str) -> tuple[Target, ...]:
    """The other way round. Raises LinkError when it is not that."""
    try:
        return tuple(Target(**one) for one in json.loads(text))
    except (ValueError, TypeError) as error:
        raise LinkError(f"not a list of targets: {error}") from error
