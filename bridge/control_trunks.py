"""Answers a worker's question for the password of a trunk. The password stays here whenever the realm is known.

MD5(user:realm:password) (RFC 2617 section 3.2.2.2) is all a worker needs to answer a challenge of that realm; without
a realm it needs the password itself. Nothing secret is logged or put into an error. Runs on control's loop.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from bridge.dialplan.plan import Plan
from bridge.errors import LinkError
from bridge.secretsource import Secrets


class TrunkSecrets:
    """`plan()` is the one in force; `environ` holds the passwords under the names the plan gives."""

    def __init__(self, plan: Callable[[], Plan | None], environ: Mapping[str, str]) -> None:
        self._plan = plan
        self._environ = environ

    async def answer(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """`{trunk}` → `{user, realm, value, ha1}`: the password, or with `ha1` its hash.

        Raises LinkError with a sentence for the operator; `fatal` when no retry can help.
        """
        name = str(data.get("trunk", ""))
        plan = self._plan()
        trunk = plan.trunk(name) if plan else None
        if trunk is None or trunk.digest is None:
            raise LinkError(f"no trunk with a password is called {name[:64]!r} in the plan in force")
        digest = trunk.digest
        password = self._environ.get(digest.password_env, "")
        if not password:
            why = Secrets(self._environ).why_missing(digest.password_env)
            raise LinkError(f"trunk {name}: {why}", fatal=True)
        known = {"user": digest.user, "realm": digest.realm}
        if not digest.realm:
            return {**known, "value": password, "ha1": False}
        text = f"{digest.user}:{digest.realm}:{password}"
        return {**known, "value": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), "ha1": True}
