"""Asks who is signed in to prove it again, in place, and goes on with what they wanted once they have.

    POST something ─► proved lately? ─► done
                          └─► 409 and a form: the same fields and a code ─► POST the same again ─► done

What was posted comes back as hidden fields of a form to the same address, so that nothing is kept between the two.
A proof counts for the session it was given in, for `fresh_s`.
"""

import time
from dataclasses import dataclass

import structlog
from starlette.responses import Response

from bridge.console import passkey
from bridge.console.factors import Factors, Has, WaitError
from bridge.console.lockout import of_name, wait_s
from bridge.console.texts import text
from bridge.console.web import CSRF, Visit, Web
from bridge.settings_console import StepUp
from bridge.store.trystore import TryStore
from bridge.store.userstore import UserStore

log = structlog.get_logger(__name__)

CODE, ASSERTION, PASSWORD = "code", "assertion", "proof_password"
_OWN = {CSRF, CODE, ASSERTION, PASSWORD}
RECENT_S = 600.0
"""Who has neither password nor factor here has signed in so lately, to be taken for who they are."""
EARLIER = "earlier"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form asks for, and where it goes. `by`: factor, password, sign_in, or nothing that there is."""

    by: str
    action: str
    fields: tuple[tuple[str, str], ...]
    problem: str = ""
    totp: bool = False
    passkey: bool = False


@dataclass(frozen=True, slots=True)
class Proof:
    """`by`: totp, passkey, recovery, or earlier in this session; "": none, then `asked` says what for."""

    by: str = ""
    asked: Asked | None = None


class Again:
    """`url`: console.url."""

    def __init__(
        self, web: Web, factors: Factors, people: tuple[UserStore, TryStore], rules: StepUp, url: str
    ) -> None:
        self._web = web
        self._factors = factors
        self._users, self._tries = people
        self.rules = rules
        self._url = url

    def party(self, visit: Visit) -> passkey.Party | None:
        """The relying party of this visit; None: passkeys cannot be used where it came in."""
        return passkey.party(self._url, visit.request.headers.get("host", ""))

    async def factor(self, visit: Visit) -> Proof:
        """A second factor, proved now or lately in this session."""
        session = await self._web.sessions.session(visit.secret, time.time())
        if session and session.factor_at and time.time() - session.factor_at < self.rules.fresh_s:
            return Proof(EARLIER)
        has, problem = await self._factors.has(visit.who.name), ""
        try:
            by = await self._look(visit, has)
        except WaitError as error:
            by, problem = "", text("sign_in.locked", seconds=int(error.seconds) + 1)
        if by:
            await self._web.sessions.proved(visit.secret, time.time())
            log.info("console.factor_proved", by=visit.who.name, factor=by, address=visit.address)
            return Proof(by)
        if not problem and (visit.form.get(CODE) or visit.form.get(ASSERTION)):
            log.warning("console.factor_wrong", by=visit.who.name, address=visit.address)
            problem = text("again.wrong")
        here = has.passkey and self.party(visit) is not None
        return Proof("", self._ask(visit, "factor" if has else "none", problem, Has(has.totp, here)))

    async def administer(self, visit: Visit) -> Asked | None:
        """For what makes users: a second factor where decisions need one, or where this user has one."""
        if not self.rules.on and not await self._factors.has(visit.who.name):
            return None
        return (await self.factor(visit)).asked

    async def presence(self, visit: Visit) -> Asked | None:
        """For what is one's own: a factor; without one the password; without that a sign-in of a moment ago."""
        if await self._factors.has(visit.who.name):
            return (await self.factor(visit)).asked
        if visit.who.has_password and not visit.who.subject:
            return await self.password(visit)
        session = await self._web.sessions.session(visit.secret, time.time())
        recent = session is not None and time.time() - session.began_at < RECENT_S
        return None if recent else self._ask(visit, "sign_in", "", Has())

    async def password(self, visit: Visit) -> Asked | None:
        """The password, with this form."""
        given, name = visit.form.get(PASSWORD, ""), visit.who.name
        if not given:
            return self._ask(visit, "password", "", Has())
        if waits := await self._tries.begin([of_name(name)], wait_s, time.time()):
            return self._ask(visit, "password", text("sign_in.locked", seconds=int(waits) + 1), Has())
        if await self._users.by_password(name, given) is None:
            log.warning("console.password_wrong", by=name, address=visit.address)
            return self._ask(visit, "password", text("again.wrong_password"), Has())
        await self._tries.right([of_name(name)], [])
        return None

    def page(self, visit: Visit, asked: Asked) -> Response:
        """The form as a page of its own."""
        return self._web.page("again.html", visit, {"ask": asked}, 409)

    async def _look(self, visit: Visit, has: Has) -> str:
        name = visit.who.name
        if has and (code := visit.form.get(CODE, "").strip()):
            return await self._factors.by_code(name, code)
        answer, party = visit.form.get(ASSERTION, ""), self.party(visit)
        if has.passkey and answer and party:
            return await self._factors.by_passkey(name, visit.secret, party, answer)
        return ""

    def _ask(self, visit: Visit, by: str, problem: str, has: Has) -> Asked:
        fields = tuple((name, value) for name, value in visit.form.items() if name not in _OWN)
        return Asked(by, visit.request.url.path, fields, problem, has.totp, has.passkey)
