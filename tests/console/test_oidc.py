"""What a provider says, read with a clock of our own; signing in as a whole: test_oidcpages.py."""

import time

import httpx
import pytest

from bridge.console.oidc import AGAIN_S, KEEP_S, Flow, OidcError, Provider, told
from bridge.settings_console import Oidc
from bridge.store.userstore import User
from tests.fakes import oidc

ROLES = {"staff": ["approver"], "boss": ["admin", "approver"]}
FLOW = Flow("state", "nonce", "v" * 64, "http://127.0.0.1/console/oidc/callback")


class Clock:
    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


async def code(provider):
    async with httpx.AsyncClient() as client:
        back = (await client.get(await provider.way(FLOW))).headers["location"]
    return back.partition("code=")[2].partition("&")[0]


async def test_a_new_key_is_asked_for_but_once_a_minute_at_most():
    clock = Clock(time.time())
    async with oidc.running() as there:
        chosen = Oidc(issuer=there.issuer, client_id=oidc.CLIENT, client_secret_env="X", roles=ROLES)
        provider = Provider(chosen, lambda: oidc.SECRET, clock)
        assert (await provider.claims(await code(provider), FLOW))["sub"] == "17"
        there.rsa()
        with pytest.raises(OidcError, match="signature"):
            await provider.claims(await code(provider), FLOW)
        assert there.keys_asked == 1
        clock.now += AGAIN_S + 1  # the token is valid for a minute, and clocks may differ by one
        assert (await provider.claims(await code(provider), FLOW))["sub"] == "17"
        assert (there.keys_asked, there.discovered) == (2, 1)
        clock.now += KEEP_S
        await provider.way(FLOW)
        assert there.discovered == 2


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({"realm_access": {"roles": ["boss", 7]}}, {"admin", "approver"}),
        ({"realm_access.roles": ["staff"]}, {"approver"}),
        ({"realm_access": "boss"}, set()),
        ({}, set()),
    ],
)
def test_roles_are_found_inside_claims(claims, roles):
    chosen = Oidc(issuer="https://id.example", client_id="x", roles_claim="realm_access.roles", roles=ROLES)
    found = told(chosen, {"sub": "1", "preferred_username": "carl", **claims})
    assert isinstance(found, User)
    assert (found.roles, found.subject) == (roles, "https://id.example 1")


def test_a_name_is_one_that_users_may_have():
    chosen = Oidc(issuer="https://id.example", client_id="x", roles=ROLES)
    with pytest.raises(OidcError, match="no sign-in name"):
        told(chosen, {"sub": "1", "preferred_username": "<b>"})
