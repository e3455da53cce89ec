"""Second factors of people who are signed in: set up, proved, taken away. Codes and challenges count once.

    code (6 digits)  ─► TOTP: about now, after the last one that was taken
    code (else)      ─► recovery code: used up
    assertion        ─► passkey: our origin, the challenge of this session, a counter that grew

Wrong ones are counted for the user, whatever session they come from (lockout.py). What the store has of a secret opens
with the decision key only (approval/vault.py).
"""

import base64
import re
import secrets
import time
from dataclasses import dataclass

from bridge.approval.vault import Vault
from bridge.console import passkey, totp
from bridge.console.lockout import FORGET_S, of_factor, wait_s
from bridge.errors import StoreError
from bridge.store.factorstore import Factor, FactorStore, new_id
from bridge.store.stepstore import StepStore
from bridge.store.store import Store
from bridge.store.trystore import TryStore

CHALLENGE_S = 180.0
SETUP_S = 900.0
"""A secret that was shown and never proved is none after so long."""
CODES = 10
MAX_LABEL_CHARS = 60
_CODE = re.compile(r"[A-Z2-7]{16}")


class WaitError(Exception):
    """Too many wrong codes: try again in `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many wrong codes: {seconds:.0f} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Has:
    """What a user can prove themselves by."""

    totp: bool = False
    passkey: bool = False

    def __bool__(self) -> bool:
        return self.totp or self.passkey


@dataclass(frozen=True, slots=True)
class Setup:
    """A TOTP that is being set up: its id, and the secret for the app."""

    factor_id: str
    secret: str


class Factors:
    """`key`: the decision key. Every method raises StoreError when the database does not do it."""

    def __init__(self, store: Store, key: bytes) -> None:
        self._vault = Vault(key)
        self._factors = FactorStore(store)
        self._steps = StepStore(store)
        self._tries = TryStore(store, FORGET_S)

    async def of(self, user: str) -> list[Factor]:
        """Those that count."""
        return [one for one in await self._factors.of(user) if one.confirmed]

    async def has(self, user: str) -> Has:
        """What they can be asked for."""
        kinds = {one.kind for one in await self.of(user)}
        return Has("totp" in kinds, "passkey" in kinds)

    # ---- proving ---------------------------------------------------------------------------------------------------

    async def by_code(self, user: str, words: str) -> str:
        """Which it was when the code is right, totp or recovery; "": it is not. WaitError: it is not looked at."""
        code = re.sub(r"[\s-]", "", words).upper()
        await self._begin(user)
        kind = await (self._by_recovery(user, code) if _CODE.fullmatch(code) else self._by_totp(user, code))
        await self._end(user, right=bool(kind))
        return kind

    async def question(self, user: str, session: str, party: passkey.Party) -> str:
        """What the browser is asked for a passkey of this user, as JSON; its challenge is this session's, once."""
        options, challenge = passkey.request(party, [key for _, key in await self._keys(user)])
        await self._steps.keep(f"prove {session}", {"challenge": challenge}, time.time(), CHALLENGE_S)
        return options

    async def by_passkey(self, user: str, session: str, party: passkey.Party, answer: str) -> str:
        """As `by_code`, with what the browser answered to the question."""
        await self._begin(user)
        step = await self._steps.take(f"prove {session}", time.time())
        named = passkey.named_in(answer)
        found = next((one for one in await self._keys(user) if one[1].credential_id == named), None)
        right = False
        if step is not None and found is not None:
            factor, key = found
            counter = passkey.proved(party, answer, step["challenge"], key, factor.counter)
            right = counter is not None and await self._factors.used(factor, counter, time.time())
        await self._end(user, right=right)
        return "passkey" if right else ""

    async def _begin(self, user: str) -> None:
        if waits := await self._tries.begin([of_factor(user)], wait_s, time.time()):
            raise WaitError(waits)

    async def _end(self, user: str, *, right: bool) -> None:
        if right:
            await self._tries.right([of_factor(user)], [])

    async def _by_totp(self, user: str, code: str) -> str:
        now = time.time()
        for factor in await self.of(user):
            if factor.kind == "totp" and await self._takes(factor, code, now):
                return "totp"
        return ""

    async def _takes(self, factor: Factor, code: str, now: float) -> bool:
        secret = self._vault.opened(factor.sealed, _owner(factor)).decode()
        step = totp.step_of(secret, code, now, factor.counter)
        return step is not None and await self._factors.used(factor, step, now)

    async def _by_recovery(self, user: str, code: str) -> str:
        used = await self._factors.use_code(user, self._vault.digest(code, f"recovery {user}").hex())
        return "recovery" if used else ""

    async def _keys(self, user: str) -> list[tuple[Factor, passkey.Key]]:
        return [
            (one, passkey.Key.from_json(self._vault.opened(one.sealed, _owner(one))))
            for one in await self.of(user)
            if one.kind == "passkey"
        ]

    # ---- setting up ------------------------------------------------------------------------------------------------

    async def begin_totp(self, user: str, label: str) -> Setup:
        """A new secret. It counts for nothing before a code of it has come."""
        secret = totp.new_secret()
        await self._add(user, "totp", label, secret.encode(), confirmed=False)
        setup = await self.setup(user)
        if setup is None:
            raise StoreError("another secret was made at the same moment: begin again")
        return setup

    async def setup(self, user: str) -> Setup | None:
        """The TOTP that this user is setting up."""
        found = await self._unproved(user)
        return (
            Setup(found.factor_id, self._vault.opened(found.sealed, _owner(found)).decode())
            if found
            else None
        )

    async def confirm_totp(self, user: str, code: str) -> bool:
        """Whether a code of the new secret came: from then on it counts. WaitError: it is not looked at."""
        await self._begin(user)
        found = await self._unproved(user)
        right = found is not None and await self._takes(found, re.sub(r"[\s-]", "", code), time.time())
        await self._end(user, right=right)
        return right

    async def _unproved(self, user: str) -> Factor | None:
        young = time.time() - SETUP_S
        mine = await self._factors.of(user)
        return next((one for one in mine if not one.confirmed and one.created_at > young), None)

    async def begin_passkey(self, user: str, session: str, party: passkey.Party, label: str) -> str:
        """What the browser is asked to make, as JSON; the challenge is this session's, once."""
        known = [key for _, key in await self._keys(user)]
        options, challenge = passkey.creation(party, user, self._vault.digest(user, "passkey user"), known)
        data = {"challenge": challenge, "label": label[:MAX_LABEL_CHARS]}
        await self._steps.keep(f"make {session}", data, time.time(), CHALLENGE_S)
        return options

    async def add_passkey(self, user: str, session: str, party: passkey.Party, answer: str) -> bool:
        """Whether the browser's answer was right: then the passkey counts."""
        step = await self._steps.take(f"make {session}", time.time())
        made = passkey.created(party, answer, step["challenge"]) if step else None
        if step is None or made is None:
            return False
        key, counter = made
        await self._add(user, "passkey", step["label"], key.to_json(), confirmed=True, counter=counter)
        return True

    async def _add(
        self, user: str, kind: str, label: str, secret: bytes, *, confirmed: bool, counter: int = 0
    ) -> None:
        factor_id = new_id()
        sealed = self._vault.closed(secret, f"{user} {factor_id}")
        name = label.strip()[:MAX_LABEL_CHARS]
        new = Factor(factor_id, user, kind, name, sealed, confirmed, counter, time.time(), None)
        await self._factors.add(new)

    async def remove(self, user: str, factor_id: str) -> Factor | None:
        """Take one away; None: there is none."""
        return await self._factors.remove(user, factor_id)

    async def reset(self, user: str) -> int:
        """Take all away, with the recovery codes."""
        return await self._factors.reset(user)

    async def new_codes(self, user: str) -> list[str]:
        """Recovery codes, the only time they are seen; older ones are none any more."""
        codes = [base64.b32encode(secrets.token_bytes(10)).decode() for _ in range(CODES)]
        hashes = [self._vault.digest(code, f"recovery {user}").hex() for code in codes]
        await self._factors.put_codes(user, hashes, time.time())
        return [totp.grouped(code).replace(" ", "-") for code in codes]

    async def codes_left(self, user: str) -> int:
        """How many are not used up."""
        return await self._factors.codes_left(user)


def _owner(factor: Factor) -> str:
    return f"{factor.user} {factor.factor_id}"
