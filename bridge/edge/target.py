"""A worker as the edge sees it: an address calls can be sent to, and whether they may be.

Pure, standard library only.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from bridge.errors import LinkError

SETS = {"narrow": 1, "wide": 2}
"""Numbers of Kamailio's dispatcher sets."""


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


def to_json(targets: Iterable[Target]) -> str:
    """For the row of a node in the store."""
    return json.dumps([asdict(target) for target in targets])


def from_json(text: str) -> tuple[Target, ...]:
    """The other way round. Raises LinkError when it is not that."""
    try:
        return tuple(Target(**one) for one in json.loads(text))
    except (ValueError, TypeError) as error:
        raise LinkError(f"not a list of targets: {error}") from error
