"""Second factors over a real store: each code once, whoever tries; nothing in the database gives one away."""

import pyotp
import pytest
import sqlalchemy as sa

from bridge.console.factors import CODES, Factors, WaitError
from bridge.console.lockout import FACTOR_TRIES
from bridge.console.passkey import Party
from bridge.store.store import Store
from bridge.store.tables import console_factors, console_steps
from tests.fakes.codes import Codes

KEY = b"k" * 32
HERE = Party("localhost", "http://localhost:8080")


@pytest.fixture
async def store(tmp_path):
    async with Store(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


async def with_app(store, user="anna"):
    """The user's factors, and the app's codes: of this step and of the next."""
    factors = Factors(store, KEY)
    app = Codes((await factors.begin_totp(user, "phone")).secret)
    assert await factors.confirm_totp(user, app.next())
    return factors, app


async def test_an_app_counts_only_once_a_code_of_it_has_come(store):
    factors = Factors(store, KEY)
    setup = await factors.begin_totp("anna", "  phone ")
    assert not await factors.has("anna")
    code = pyotp.TOTP(setup.secret).now()
    assert not await factors.by_code("anna", code), "not set up yet"
    assert not await factors.confirm_totp("bert", code), "another's"
    assert await factors.confirm_totp("anna", f"{code[:3]} {code[3:]}")
    assert (await factors.has("anna")).totp
    assert [(one.kind, one.label) for one in await factors.of("anna")] == [("totp", "phone")]


async def test_a_code_is_taken_once(store):
    factors, app = await with_app(store)
    code = app.next()
    assert await factors.by_code("anna", code) == "totp"
    assert await factors.by_code("anna", code) == ""
    assert await Factors(store, KEY).by_code("anna", app.given[0]) == "", "nor an earlier one, later"


async def test_after_some_wrong_codes_even_the_right_one_has_to_wait(store):
    factors, app = await with_app(store)
    for _ in range(FACTOR_TRIES):
        assert await factors.by_code("anna", app.given[0]) == "", "it is spent"
    with pytest.raises(WaitError) as error:
        await Factors(store, KEY).by_code("anna", app.next())
    assert 0 < error.value.seconds <= 30
    with pytest.raises(WaitError):
        await factors.by_passkey("anna", "session", HERE, "{}")


async def test_recovery_codes_work_once_each_in_any_writing(store):
    factors, _ = await with_app(store)
    codes = await factors.new_codes("anna")
    assert len({*codes}) == CODES == await factors.codes_left("anna")
    assert await factors.by_code("anna", codes[0].lower().replace("-", " ")) == "recovery"
    assert await factors.by_code("anna", codes[0]) == ""
    assert await factors.by_code("bert", codes[1]) == ""
    assert await factors.codes_left("anna") == CODES - 1
    again = await factors.new_codes("anna")
    assert await factors.by_code("anna", codes[1]) == ""
    assert await factors.by_code("anna", again[1]) == "recovery"


async def test_the_database_gives_no_secret_and_no_code_away(store):
    factors = Factors(store, KEY)
    setup = await factors.begin_totp("anna", "phone")
    codes = await factors.new_codes("anna")
    rows = str(await store.transaction("read", lambda it: it.execute(sa.select(console_factors)).all()))
    assert not [
        one for one in (setup.secret, *codes, *(code.replace("-", "") for code in codes)) if one in rows
    ]


async def test_a_row_that_is_copied_to_another_user_opens_nothing(store):
    """Who can write the database, but has not the key."""
    factors, app = await with_app(store, "mallory")
    move = sa.update(console_factors).values(user="anna", counter=0)
    await store.transaction("forge", lambda it: it.execute(move))
    with pytest.raises(Exception, match="cannot be read with this decision key"):
        await factors.by_code("anna", app.next())


async def test_a_passkey_s_challenge_is_of_one_session_and_taken_once(store):
    factors = Factors(store, KEY)
    assert "challenge" in await factors.begin_passkey("anna", "session", HERE, "key")
    assert not await factors.add_passkey("anna", "another session", HERE, "{}")
    assert not await factors.add_passkey("anna", "session", HERE, "{}")
    left = await store.transaction("read", lambda it: it.execute(sa.select(console_steps)).all())
    assert left == [], "used up by the wrong answer"


@pytest.mark.parametrize("answer", ["", "{", "[]", '{"id": 7}', '{"id": "x", "response": {}}', "[" * 10_000])
async def test_what_is_no_answer_of_an_authenticator_proves_nothing(store, answer):
    factors = Factors(store, KEY)
    await factors.question("anna", "session", HERE)
    assert await factors.by_passkey("anna", "session", HERE, answer) == ""
    await factors.begin_passkey("anna", "session", HERE, "key")
    assert not await factors.add_passkey("anna", "session", HERE, answer)
