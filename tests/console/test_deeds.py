"""What people do is in the audit with who, when and by what; words apart, so that they can be forgotten."""

import pytest

from bridge.approval.signing import Signer
from bridge.console.deeds import EVERY_S, MAX_KEPT, Deeds, Listening
from bridge.errors import StoreError
from bridge.store.gatestore import GateStore
from bridge.store.store import Store
from tests.fakes import databases


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
async def gates(tmp_path):
    async with Store(databases.migrated(f"{tmp_path}/s.db")) as store:
        yield GateStore(store, Signer(tmp_path / "keys"))


async def entries(gates):
    return [(one["type"], one["actor"], one["call_id"], one["facts"]) for one in await gates.audit()]


async def test_a_deed_about_a_call_is_found_with_it_and_its_words_are_forgotten_with_it(gates):
    deeds = Deeds(gates)
    await deeds.note("held", "anna", call_id="c1", words={"reason": "Mr. Smith's case"}, via="cli", why=None)
    assert [one["type"] for one in await gates.audit("c1")] == ["held"]
    assert await entries(gates) == [("held", "anna", "c1", {"via": "cli"})]
    ((_, payload),) = (await gates.payloads()).values()
    assert payload == {"reason": "Mr. Smith's case"}
    await gates.erase("c1", "root", 5.0)
    ((_, payload),) = (await gates.payloads()).values()
    assert payload is None


async def test_who_plays_a_recording_is_noted_once_an_hour_however_often_a_player_asks(gates):
    clock = Clock()
    listening = Listening(Deeds(gates), clock)
    for _ in range(5):
        await listening.note("c1", "anna", "console", download=False)
    await listening.note("c1", "anna", "console", download=True)
    await listening.note("c1", "bert", "console", download=False)
    await listening.note("c2", "anna", "console", download=False)
    wanted = [
        ("recording_played", "anna", "c1", {"via": "console"}),
        ("recording_downloaded", "anna", "c1", {"via": "console"}),
        ("recording_played", "bert", "c1", {"via": "console"}),
        ("recording_played", "anna", "c2", {"via": "console"}),
    ]
    assert await entries(gates) == wanted
    clock.now += EVERY_S
    await listening.note("c1", "anna", "console", download=False)
    assert len(await entries(gates)) == len(wanted) + 1


async def test_what_could_not_be_audited_is_not_taken_for_noted():
    class Broken:
        count = 0

        async def note(self, *_args):
            self.count += 1
            raise StoreError("no room")

    broken = Broken()
    listening = Listening(Deeds(broken))
    for _ in range(2):
        with pytest.raises(StoreError):
            await listening.note("c1", "anna", "api", download=True)
    assert broken.count == 2


async def test_what_is_remembered_of_who_heard_what_is_bounded():
    listening = Listening(Deeds(None))
    for number in range(MAX_KEPT + 5):
        await listening.note(f"c{number}", "anna", "api", download=True)
    assert len(listening._noted) == MAX_KEPT
