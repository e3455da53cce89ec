"""Everything about who somebody is, put together: sign-in here and elsewhere, own account, users, proofs."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog
from starlette.routing import BaseRoute

from bridge.console.account import Account, AccountDeps
from bridge.console.again import Again
from bridge.console.deeds import Deeds
from bridge.console.factors import Factors
from bridge.console.lockout import FORGET_S
from bridge.console.people import People, PeopleDeps
from bridge.console.roster import Roster
from bridge.console.signin import SignIn, SignInDeps
from bridge.console.web import Web
from bridge.errors import StoreError
from bridge.settings_console import Console as ConsoleSettings
from bridge.store.gatestore import GateStore
from bridge.store.peoplestore import PeopleStore
from bridge.store.sessionstore import FIRST, LinkStore, link_of
from bridge.store.stepstore import StepStore
from bridge.store.store import Store
from bridge.store.trystore import TryStore
from bridge.store.userstore import UserStore

log = structlog.get_logger(__name__)

LINK_S = 3600.0


@dataclass(frozen=True, slots=True)
class IdentityDeps:
    """`key`: the decision key; `gates`: signs the audit; None: deeds are only in the log. `environ`: secrets."""

    store: Store
    settings: ConsoleSettings
    key: bytes
    gates: GateStore | None = None
    environ: Mapping[str, str] = field(default_factory=dict)


class Identity:
    """`again`: asks for proofs, for whoever needs one."""

    def __init__(self, web: Web, deps: IdentityDeps) -> None:
        store, settings = deps.store, deps.settings
        self._web = web
        self._deps = deps
        self._users, self._links = UserStore(store), LinkStore(store)
        self._tries, self._factors = TryStore(store, FORGET_S), Factors(store, deps.key)
        people = self._users, self._tries
        self.again = Again(web, self._factors, people, settings.step_up, settings.url or "")

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        settings, deeds = self._deps.settings, Deeds(self._deps.gates)
        provider = settings.oidc.label if settings.oidc else ""
        door = SignInDeps(self._users, self._links, self._tries, provider, settings.local_sign_in)
        account = AccountDeps(self._users, self._factors, self.again, deeds)
        people = PeopleDeps(
            users=self._users,
            roster=Roster(self._users, PeopleStore(self._deps.store), deeds),
            links=self._links,
            factors=self._factors,
            again=self.again,
            deeds=deeds,
            url=settings.url or "",
            local=settings.local_sign_in,
        )
        return [
            *SignIn(self._web, door).routes(),
            *Account(self._web, account).routes(),
            *People(self._web, people).routes(),
            *self._elsewhere(),
        ]

    def _elsewhere(self) -> list[BaseRoute]:
        """Signing in by a provider; only who has one loads what that takes."""
        settings, store = self._deps.settings, self._deps.store
        if settings.oidc is None:
            return []
        from bridge.console.oidc import Provider  # noqa: PLC0415
        from bridge.console.oidcpages import OidcDeps, OidcPages  # noqa: PLC0415

        name = settings.oidc.client_secret_env or ""
        provider = Provider(settings.oidc, lambda: self._deps.environ.get(name, ""))
        people, url = PeopleStore(store), settings.url or ""
        deps = OidcDeps(provider, people, StepStore(store), url, settings.local_sign_in)
        return OidcPages(self._web, deps).routes()

    async def first_link(self, port: int) -> None:
        """While there is no user, the log has a link by which the first admin is made."""
        settings = self._deps.settings
        try:
            if not settings.local_sign_in or await self._users.users():
                return
            link = link_of(settings.base(port), await self._links.give(FIRST, time.time(), LINK_S))
        except StoreError as error:
            log.warning("console.no_first_link", reason=str(error))
            return
        log.warning("console.nobody_can_sign_in", first_admin=link, valid_min=int(LINK_S // 60))
