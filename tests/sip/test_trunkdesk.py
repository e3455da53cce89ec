"""The desk does what is due, and one trunk's trouble is not another's."""

import asyncio
import time
from contextlib import asynccontextmanager

from bridge.errors import LinkError, SipError
from bridge.sip.trunkdesk import TrunkDesk
from bridge.sip.upkeep import RETRY_S, Do
from bridge.trunk import Credential, Digest, Registration, Trunk
from tests.fakes.line import settle
from tests.fakes.link import until

PBX = Trunk("pbx", host="h", register=Registration("r", "u"), digest=Digest("u", "", "X"))
OTHER = Trunk("other", host="h", options_every_s=30)


class Yard:
    """Accounts in memory."""

    def __init__(self):
        self.done = []
        self.broken = set()

    def know(self, trunks):
        self.done.append(("know", [trunk.name for trunk in trunks]))

    def open(self, trunk, credential, *, registers):
        if trunk.name in self.broken:
            raise SipError(503, "no account")
        self.done.append(("open", trunk.name, credential and credential.value, registers))

    def close(self, name):
        self.done.append(("close", name))

    def register(self, name):
        self.done.append(("register", name))

    def ask(self, name):
        self.done.append(("ask", name))


async def submit(action):
    await asyncio.sleep(0)
    action()


async def secret(trunk):
    return Credential("u", "", f"of {trunk.name}")


@asynccontextmanager
async def desk(*trunks, ask=secret, yard=None):
    yard = yard or Yard()
    one = TrunkDesk(yard, submit)
    await one.use(trunks, ask, register=True)
    task = asyncio.create_task(one.run())
    await settle(20)
    try:
        yield one, yard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_calls_are_known_before_accounts_are_opened_with_their_passwords():
    async with desk(PBX, OTHER) as (_, yard):
        assert yard.done[0] == ("know", ["pbx", "other"])
        assert ("open", "pbx", "of pbx", True) in yard.done
        assert ("open", "other", None, False) in yard.done


async def test_without_a_password_nothing_is_opened_and_the_reason_is_told():
    async def away(_trunk):
        raise LinkError("control is away")

    async with desk(PBX, OTHER, ask=away) as (one, yard):
        assert [word for word in yard.done if word[0] == "open"] == [("open", "other", None, False)]
        assert "control is away" in one.facts["pbx"]["problem"]
        assert one.facts["other"]["problem"] == ""


async def test_an_account_that_is_not_to_be_had_is_told():
    yard = Yard()
    yard.broken = {"pbx"}
    async with desk(PBX, yard=yard) as (one, _):
        assert "no account" in one.facts["pbx"]["problem"]


async def test_a_bug_in_one_trunk_leaves_the_desk_alive():
    async def broken(_trunk):
        raise ZeroDivisionError

    async with desk(PBX, ask=broken) as (one, yard):
        assert one.facts["pbx"]["problem"] == "internal error"
        assert one._lines["pbx"].due(time.monotonic() + RETRY_S[0]) is Do.OPEN
        await one.use((OTHER,), secret, register=True)
        await until(lambda: ("open", "other", None, False) in yard.done)


async def test_a_trunk_that_went_is_closed_and_answers_for_it_are_nothing():
    async with desk(PBX) as (one, yard):
        await one.use((), secret, register=True)
        await settle()
        assert yard.done[-1] == ("close", "pbx")
        one.registration("pbx", 200, "OK")
        one.answered("pbx", 200)
        assert one.facts == {}


async def test_registration_and_answers_are_facts():
    async with desk(PBX, OTHER) as (one, _):
        one.registration("pbx", 403, "Forbidden")
        one.answered("other", 408)
        assert one.facts["pbx"] == {"registered": False, "reachable": None, "problem": "403 Forbidden"}
        assert one.facts["other"] == {"registered": None, "reachable": False, "problem": ""}
