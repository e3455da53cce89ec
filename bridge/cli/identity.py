"""Who runs a command, and what they may do: the same users and roles as in the console.

SIPBRIDGE_TOKEN (an API token) wins; else the account of this machine is looked up as a user. Root and the account that
owns the state folder can always administer (they could write the database anyway), but decide only as users with that
role.
"""

import asyncio
import os
import pwd
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

from bridge.approval.request import MAY
from bridge.approval.signing import AUDIT_KEY, Signer
from bridge.errors import StoreError
from bridge.keys import keys_folder
from bridge.secretsource import Secrets
from bridge.settings import Settings, load
from bridge.store.gatestore import GateStore
from bridge.store.nodestore import NodeStore
from bridge.store.store import Store
from bridge.store.userstore import User, UserStore

TOKEN = "SIPBRIDGE_TOKEN"  # noqa: S105  # the variable's name
FIRST_STEPS = {"administer", "accept_tools"}  # may be done before the bridge has ever run
T = TypeVar("T")


def with_store(
    config: Path | None, may: str, work: Callable[[Store, Settings, User], Awaitable[T]], *, name: str = ""
) -> T:
    """Run `work` as somebody who may do it. `name`: decide as another user (root only). Raises StoreError."""
    settings = load(config, os.environ)

    first = may in FIRST_STEPS
    if first:
        settings.state_dir.mkdir(parents=True, exist_ok=True)

    async def run() -> T:
        async with Store(str(settings.store), migrate=first) as store:
            user = await whoever(UserStore(store), settings, Secrets(os.environ), name)
            if not MAY[may] & user.roles:
                roles = ", ".join(sorted(user.roles)) or "no role"
                wanted = " or ".join(sorted(MAY[may]))
                raise StoreError(f"{user.name} ({roles}) may not: this takes {wanted} (sipbridge users)")
            return await work(store, settings, user)

    return asyncio.run(run())


async def whoever(users: UserStore, settings: Settings, environ: Mapping[str, str], name: str = "") -> User:
    """The user. Raises StoreError: a token that is none, or another's name."""
    token = environ.get(TOKEN)
    if token:
        user = await users.by_token(token, time.time())
        if user is None or (name and name != user.name):
            raise StoreError(
                f"{TOKEN} is not valid, or has expired" if user is None else f"the token is {user.name}'s"
            )
        return user
    account, root = pwd.getpwuid(os.geteuid()).pw_name, os.geteuid() == 0
    if name and name != account and not root:
        raise StoreError("only root may decide in another's name")
    wanted = name or account
    user = await users.user(wanted)
    if user is None and name and name != account:
        raise StoreError(f"there is no user {name}")
    if root or _owner(settings.state_dir) == os.geteuid():
        known = user or User(wanted, frozenset(), frozenset())
        if not name or name == account:
            return User(known.name, known.roles | {"admin"}, known.groups, known.numbers)
        return known
    if user is None:
        raise StoreError(
            f"{account} is no user of the bridge: an admin adds one by sipbridge users add {account}"
        )
    return user


async def gates_of(store: Store, settings: Settings) -> GateStore:
    """The audit, to which a command adds what it did. StoreError: nobody could verify what this machine signs.

    One entry by a key that no `audit.pub` and no node names, and `audit verify` says for ever that the chain is broken.
    """
    path = keys_folder(settings) / AUDIT_KEY
    begun = (await GateStore(store).head())[0] > 0
    if begun and not path.exists():
        raise StoreError(
            f"there is no key {path}, and the audit of this store is signed by another: run it on a machine of the "
            "bridge, with its settings (state_dir), as its account"
        )
    signer = Signer(keys_folder(settings))
    if (
        begun
        and store.shared
        and signer.key_id not in {row["key_id"] for row in await NodeStore(store).keys()}
    ):
        raise StoreError(
            f"no node of this store has the key {path}: run it on one of its nodes, with that node's settings"
        )
    return GateStore(store, signer)


def _owner(folder: Path) -> int:
    try:
        return folder.stat().st_uid
    except OSError:
        return os.geteuid()  # nothing is there yet: whoever makes it owns it
