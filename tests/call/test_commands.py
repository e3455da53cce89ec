import asyncio
import contextlib
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from bridge.call import commands as module
from bridge.call.commands import CommandDesk
from bridge.call.journal import Journal
from bridge.call.party import Party
from bridge.sip.events import HangUpBy, TransferProgress
from tests.fakes.line import settle
from tests.fakes.link import until

GUARD_S = 20.0


@dataclass
class Word:
    kind: str
    data: dict = field(default_factory=dict)
    command_id: str = "1"


class Leg:
    """Remembers what was asked of it."""

    def __init__(self, transferable=True):
        self.audio = SimpleNamespace(silent=True)
        self.referred, self.ended, self.transferable = [], [], transferable

    async def transfer(self, target, headers):
        self.referred.append(target)
        return self.transferable

    async def hang_up(self, by, status, reason):
        self.ended.append((by, status, reason))
        return True


class Setting:
    """A desk with a leg and a control that remembers answers."""

    def __init__(self, leg):
        self.leg, self.answers, self.told = leg, [], asyncio.Event()
        self.notes = []
        journal = Journal("c1", lambda _call_id, event, data: self.notes.append((event, dict(data))))
        self.caller = Party(leg)
        self.caller_speaks = False
        self.desk = CommandDesk(
            self.caller, {"sales": "sip:1@pbx"}, journal, self.request, 1.0, lambda: self.caller_speaks
        )

    async def request(self, kind, data, deadline_s):
        assert kind == "tool.command_done"
        self.answers.append({key: data[key] for key in data if key not in {"call_id", "command_id"}})
        self.told.set()
        return {}

    async def answer(self):
        async with asyncio.timeout(GUARD_S):
            await self.told.wait()
        return self.answers[-1]


@contextlib.asynccontextmanager
async def running(leg=None):
    setting = Setting(leg or Leg())
    task = asyncio.create_task(setting.desk.run())
    try:
        yield setting
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_hang_up_waits_until_the_agent_has_finished():
    async with running() as setting:
        setting.leg.audio.silent = False
        setting.desk.take(Word("hang_up", {"reason": "done"}))
        await asyncio.sleep(0.1)
        assert setting.leg.ended == []
        setting.leg.audio.silent = True
        await until(lambda: setting.leg.ended)
        assert setting.leg.ended == [(HangUpBy.AGENT, 200, "done")]
        assert setting.answers == [{"ok": True}]


async def test_a_caller_who_speaks_into_the_goodbye_is_not_hung_up_on():
    async with running() as setting:
        setting.leg.audio.silent = False
        setting.desk.take(Word("hang_up"))
        await asyncio.sleep(0.1)
        setting.caller_speaks = setting.leg.audio.silent = (
            True  # "wait, one more thing": the agent is silent at once
        )
        answer = await setting.answer()
        assert (answer["ok"], setting.leg.ended) == (False, [])
        assert "answer them" in answer["error"]


async def test_a_line_that_is_never_quiet_is_hung_up_on_at_the_third_goodbye():
    async with running() as setting:
        setting.caller_speaks = True
        for _ in range(module.MOST_HEARD_OUT):
            setting.told.clear()
            setting.desk.take(Word("hang_up"))
            assert not (await setting.answer())["ok"]
        setting.desk.take(Word("hang_up"))
        await until(lambda: setting.leg.ended)


async def test_an_operators_hang_up_is_done_at_once_and_is_theirs_in_the_record():
    async with running() as setting:
        setting.leg.audio.silent = False
        setting.caller_speaks = True
        setting.desk.take(Word("hang_up", {"by": "ann", "reason": "fraud"}))
        assert await setting.answer() == {"ok": True}
        await until(lambda: setting.leg.ended)
        assert setting.leg.ended == [(HangUpBy.OPERATOR, 200, "fraud")]
        assert setting.notes == [
            ("command", {"kind": "hang_up", "by": "ann", "ok": True}),
            ("call.closing", {"by": "operator"}),
        ]


async def test_the_record_says_who_wanted_what_and_how_it_went():
    async with running() as setting:
        setting.desk.take(Word("transfer", {"by": "ann", "target": "nobody"}))
        error = (await setting.answer())["error"]
        words = {"kind": "transfer", "by": "ann", "target": "nobody", "ok": False, "error": error}
        assert setting.notes == [("command", words)]


async def test_an_operator_without_a_reason_ends_it_as_an_operator():
    async with running() as setting:
        setting.desk.take(Word("hang_up", {"by": "ann"}))
        await until(lambda: setting.leg.ended)
        assert setting.leg.ended == [(HangUpBy.OPERATOR, 200, "the operator ended it")]


async def test_a_transfer_goes_to_the_target_of_the_dialplan_and_ends_the_call_when_it_answered():
    async with running() as setting:
        setting.desk.take(Word("transfer", {"target": "sales"}))
        await until(lambda: setting.leg.referred)
        assert setting.leg.referred == ["sip:1@pbx"]
        setting.desk.transfer_progress(TransferProgress(100, "Trying", final=False))
        await until(setting.desk.progress.empty)
        await settle()
        assert setting.answers == []
        setting.desk.transfer_progress(TransferProgress(200, "OK", final=True))
        assert await setting.answer() == {"ok": True}
        await until(lambda: setting.leg.ended)


@pytest.mark.parametrize("target", ["sip:evil@example.com", "Sales", "", "+49900123"])
async def test_a_target_that_the_dialplan_does_not_name_is_never_dialled(target):
    async with running() as setting:
        setting.desk.take(Word("transfer", {"target": target}))
        answer = await setting.answer()
        assert (answer["ok"], setting.leg.referred) == (False, [])
        assert "there are: sales" in answer["error"]


async def test_a_target_that_is_busy_leaves_the_caller_with_the_agent():
    async with running() as setting:
        setting.desk.take(Word("transfer", {"target": "sales"}))
        await until(lambda: setting.leg.referred)
        setting.desk.transfer_progress(TransferProgress(486, "Busy Here", final=True))
        assert "486 Busy Here" in (await setting.answer())["error"]
        assert setting.leg.ended == []


async def test_a_target_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "TRANSFER_S", 0.05)
    async with running() as setting:
        setting.desk.take(Word("transfer", {"target": "sales"}))
        assert "in time" in (await setting.answer())["error"]


async def test_a_call_that_cannot_be_transferred_says_so():
    async with running(Leg(transferable=False)) as setting:
        setting.desk.take(Word("transfer", {"target": "sales"}))
        assert not (await setting.answer())["ok"]


async def test_digits_are_collected_up_to_their_number_or_the_terminator():
    async with running() as setting:
        for wanted, keys, got in ((4, "12345", "1234"), (9, "77#", "77")):
            setting.told.clear()
            setting.desk.take(Word("collect", {"digits": wanted, "terminator": "#", "timeout_s": 5}))
            await until(lambda: setting.caller.listening)
            used = [setting.caller.press(key) for key in keys]
            assert used[0]
            assert (await setting.answer())["digits"] == got
            assert not setting.caller.press("1")


async def test_a_caller_who_types_nothing_is_not_waited_for_longer():
    async with running() as setting:
        setting.desk.take(Word("collect", {"digits": 4, "terminator": "#", "timeout_s": 0.05}))
        assert "nothing" in (await setting.answer())["error"]


async def test_a_command_that_does_not_exist_is_answered():
    async with running() as setting:
        setting.desk.take(Word("explode"))
        assert not (await setting.answer())["ok"]


@pytest.mark.parametrize(("accepted", "ok"), [(True, True), (False, False)])
async def test_a_caller_who_goes_after_accepting_the_transfer_was_transferred(accepted, ok):
    async with running() as setting:
        setting.desk.take(Word("transfer", {"target": "sales"}))
        await until(lambda: setting.leg.referred)
        if accepted:
            setting.desk.transfer_progress(TransferProgress(100, "Trying", final=False))
            await until(setting.desk.progress.empty)
            await settle()  # the transfer's own task has it
        await setting.desk.call_over()
        assert (await setting.answer())["ok"] is ok
        assert len(setting.answers) == 1
