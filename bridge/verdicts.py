"""How a person's decision gets to the gate: the way of the command line and of the console, and there is no other.

    Verdict ─► sealed row in the store ─► control (control_decisions.py) judges who, whether, and what ─► answer

Whoever calls this has made sure who decides; control looks the role and the group up once more. The seal keeps whoever
can merely write the database from deciding.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bridge.approval.signing import seal
from bridge.errors import StoreError
from bridge.store.gatestore import GateStore

ANSWER_S = 5.0
LOOK_S = 0.05
TAKEN = "taken"
"""How an answer begins when the decision counts; else it is `refused: CODE: sentence`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`verdict`: approve, deny, ask (the caller: `reason`), or succeeded and failed for an unknown one.

    `binding`: of the form that was seen.

    `arguments`: approved in this form instead. `via`: cli, console, api. `factor`: the second one that was just proved.
    `roles`: those of who decides that count, where a token has not all of them.
    """

    verdict: str
    by: str
    via: str
    binding: str
    reason: str = ""
    arguments: Mapping[str, Any] | None = None
    factor: str = ""
    roles: Sequence[str] | None = None


async def leave(gates: GateStore, key: bytes, request_id: str, verdict: Verdict, within_s: float) -> str:
    """What became of it, in control's words. Raises StoreError: nobody has looked at it; it may still count."""
    words = {name: value for name, value in asdict(verdict).items() if value is not None}
    words["seal"] = seal(key, request_id, words)
    number = await gates.decide(request_id, words)
    until = time.monotonic() + within_s
    while (answer := await gates.answered(number)) is None:
        if time.monotonic() > until:
            raise StoreError(
                "the bridge has not taken it up (it does not run, or its store is busy); it may still count"
            )
        await asyncio.sleep(LOOK_S)
    return answer
