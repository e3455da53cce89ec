import asyncio

import pytest

from bridge.call.context import NotDoneError
from bridge.call.journal import Journal
from bridge.call.tooldesk import MAX_MISSED, Missed, ToolDesk
from bridge.errors import LinkError, LocalSessionError
from bridge.realtime.events import FunctionCall
from tests.fakes.line import settle
from tests.fakes.link import until

QUESTION = "Really?"


class FakeModelSession:
    """What the desk asks of a session: remembers it."""

    def __init__(self):
        self.told = []
        self.open = {"f1"}
        self.config = type("Config", (), {"turn_detection": {"type": "server_vad"}})()

    def function_output(self, call_id, output):
        if call_id not in self.open:
            raise LocalSessionError("not open")
        self.told.append(("output", output))

    def send_user_text(self, words, role):
        self.told.append((role, words))

    def say(self, order):
        self.told.append(("say", order))

    def request_response(self):
        self.told.append(("go_on", ""))

    def update(self, *, turn_detection):
        self.told.append(("create_response", turn_detection["create_response"]))

    def kinds(self):
        return [kind for kind, _ in self.told]


class Control:
    """Answers as told."""

    def __init__(self):
        self.asked = []
        self.answers = {}
        self.error = LinkError("control is away")

    async def request(self, kind, data, deadline_s):
        self.asked.append((kind, dict(data)))
        answer = self.answers.get(kind)
        if answer is None:
            raise self.error
        return answer


@pytest.fixture
async def desk():
    control, notes = Control(), []
    desk = ToolDesk(control.request, Journal("c1", lambda *note: notes.append(note)), {"caller": "+491"}, 1.0)
    desk.control, desk.notes, desk.session = control, notes, FakeModelSession()
    desk.bind(desk.session, lambda: None)
    control.answers["tool.offer"] = {"tools": [{"type": "function", "name": "refund"}]}
    await desk.offer("front-desk", ("refund",))
    control.asked.clear()
    running = asyncio.create_task(desk.run())
    yield desk
    running.cancel()


def call(call_id="f1"):
    return FunctionCall("resp", "item", call_id, "refund", '{"amount":40}')


async def test_a_call_is_put_to_control_with_who_is_calling(desk):
    desk.control.answers["tool.call"] = {"state": "succeeded", "output": '"done"', "request_id": "r1"}
    desk.called(call(), 0.0)
    await settle()
    kind, data = desk.control.asked[0]
    assert kind == "tool.call"
    assert data == {
        "call_id": "c1",
        "function_call_id": "f1",
        "tool": "refund",
        "arguments": '{"amount":40}',
        "agent": "front-desk",
        "caller": "+491",
    }
    assert desk.session.told == [("output", '"done"')]


@pytest.mark.parametrize(("unsure", "words"), [(False, "Do not say that it was done"), (True, "neither")])
async def test_control_being_away_is_told_as_far_as_it_is_known(desk, monkeypatch, unsure, words):
    monkeypatch.setattr("bridge.call.tooldesk.ASK_FOR_S", 0.0)
    desk.control.error = LinkError("no answer", unsure=unsure)
    desk.called(call(), 0.0)
    await settle()
    assert words in desk.session.told[0][1]


async def test_a_call_that_control_did_not_answer_is_put_to_it_again_under_its_id(desk, monkeypatch):
    monkeypatch.setattr("bridge.call.tooldesk.ASK_AGAIN_S", 0.01)
    desk.control.error = LinkError("it went away", unsure=True)
    desk.called(call(), 0.0)
    await until(lambda: len(desk.control.asked) >= 2)
    desk.control.answers["tool.call"] = {"state": "succeeded", "output": '"done"', "request_id": "r1"}
    await until(lambda: "output" in desk.session.kinds())
    assert [text for kind, text in desk.session.told if kind == "output"] == ['"done"']
    asked = [data["function_call_id"] for kind, data in desk.control.asked if kind == "tool.call"]
    assert len(asked) >= 2
    assert set(asked) == {"f1"}


async def test_a_yes_belongs_to_the_words_it_was_said_in(desk):
    desk.control.answers["tool.call"] = {"state": "confirming", "request_id": "r1", "question": QUESTION}
    desk.control.answers["tool.confirm"] = {"taken": True}
    desk.called(call(), 0.0)
    await settle()
    desk.agent_said("item", QUESTION)
    desk.speech_started("early", 0.0)
    desk.played("item", whole=True)
    desk.speech_started("late", 1e12)
    desk.heard("early", "yes")
    desk.heard("unknown", "yes")
    await settle()
    assert desk.confirming
    desk.heard("late", "yes")
    await settle()
    assert desk.control.asked[-1][1]["yes"] is True


async def test_tools_are_offered_by_control_and_none_while_it_is_away(desk):
    assert await desk.offer("a", ("refund",)) == ({"type": "function", "name": "refund"},)
    assert desk.control.asked == [("tool.offer", {"names": ["refund"]})]
    del desk.control.answers["tool.offer"]
    assert await desk.offer("a", ("refund",)) == ()
    assert await desk.offer("a", ()) == ()


async def test_a_function_that_was_not_offered_never_reaches_control(desk):
    desk.called(FunctionCall("resp", "item", "f1", "wipe", "{}"), 0.0)
    await settle()
    assert desk.control.asked == []
    assert "not available" in desk.session.told[0][1]


async def test_while_the_caller_is_asked_the_model_does_not_answer_by_itself(desk):
    desk.control.answers["tool.call"] = {
        "state": "confirming",
        "request_id": "r1",
        "question": QUESTION,
        "key": "1",
    }
    desk.control.answers["tool.confirm"] = {"taken": True}
    desk.called(call(), 0.0)
    await settle()
    assert desk.confirming
    assert desk.session.kinds() == ["system", "create_response", "say"]
    desk.agent_said("item", QUESTION)
    desk.played("item", whole=True)
    desk.speech_started("u1", 1e12)
    desk.heard("u1", "yes")
    await settle()
    assert desk.session.told[-1] == ("create_response", True)
    assert desk.control.asked[-1] == (
        "tool.confirm",
        {"call_id": "c1", "request_id": "r1", "yes": True, "how": "voice"},
    )


async def test_a_key_is_an_answer_too(desk):
    desk.control.answers["tool.call"] = {
        "state": "confirming",
        "request_id": "r1",
        "question": QUESTION,
        "key": "5",
    }
    desk.control.answers["tool.confirm"] = {"taken": True}
    desk.called(call(), 0.0)
    await settle()
    desk.agent_said("item", QUESTION)
    desk.played("item", whole=True)
    desk.pressed("5")
    await settle()
    assert desk.control.asked[-1][1]["how"] == "key"


async def test_an_outcome_that_comes_while_the_session_is_lost_reaches_the_next_one_as_a_fact(desk):
    desk.control.answers["tool.call"] = {"state": "pending", "request_id": "r1"}
    desk.called(call(), 0.0)
    await settle()
    desk.unbind()
    desk.update("f1", {"state": "succeeded", "output": '"refunded"', "request_id": "r1"})
    session = FakeModelSession()
    session.open = set()
    desk.bind(session, lambda: None)
    assert session.kinds() == ["system", "go_on"]
    assert "refunded" in session.told[0][1]


async def test_a_session_without_turn_detection_is_left_as_it_is(desk):
    desk.session.config.turn_detection = None
    desk.control.answers["tool.call"] = {
        "state": "confirming",
        "request_id": "r1",
        "question": QUESTION,
        "key": "1",
    }
    desk.called(call(), 0.0)
    await settle()
    assert desk.session.kinds() == ["system", "say"]


async def test_arguments_that_a_tool_hides_are_not_in_the_record(desk):
    desk.control.answers["tool.offer"] |= {"hidden": {"refund": ["pin"]}}
    await desk.offer("a", ("refund",))
    assert desk.shown("refund", '{"pin": "4711", "amount": 4}') == '{"pin": "\\u2026", "amount": 4}'
    assert "4711" not in desk.shown("refund", '{"pin": "4711')
    assert "4711" not in desk.shown("refund", '["4711"]')
    assert desk.shown("other", '{"pin": 1}') == '{"pin": 1}'


def test_a_call_that_control_knows_nothing_of_any_more_is_lost_after_a_while():
    missed = Missed()
    for _ in range(MAX_MISSED - 1):
        assert missed.update(["f1", "f2"], {"f2": {}}) == []
    assert missed.update(["f1", "f2"], {"f1": {}, "f2": {}}) == []
    for _ in range(MAX_MISSED - 1):
        assert missed.update(["f1"], {}) == []
    assert missed.update(["f1"], {}) == ["f1"]


async def waiting_desk(desk):
    desk.control.answers["tool.call"] = {"state": "pending", "request_id": "r1"}
    desk.called(call(), 0.0)
    await settle()
    desk.session.told.clear()
    words = {"function_call_id": "f1", "text": 'Which "order"?', "by": "anna"}
    asking = asyncio.create_task(desk.ask_caller(words))
    await settle()
    return asking


async def test_an_approver_s_question_is_said_word_for_word_and_claims_nothing(desk):
    asking = await waiting_desk(desk)
    (role, fact), (kind, order) = desk.session.told
    assert (role, kind) == ("system", "say")
    assert "has NOT been done" in fact
    assert "order" not in fact.replace("ordered", ""), "what an approver typed is no instruction"
    assert order.endswith("""Say exactly the following words, nothing else: "Which 'order'?\"""")
    noted = [data for _, kind, data in desk.notes if kind == "tool.question"]
    assert noted == [{"call_id": "f1", "by": "anna", "text": 'Which "order"?'}]
    desk.agent_said("q", "Which order?")
    desk.played("q", whole=False)
    assert await asking == {"interrupted": True}


async def test_a_second_question_has_to_wait_and_without_an_agent_none_is_asked(desk):
    asking = await waiting_desk(desk)
    with pytest.raises(NotDoneError, match="something else"):
        await desk.ask_caller({"function_call_id": "f1", "text": "And?"})
    desk.caller_changed("+492")
    with pytest.raises(NotDoneError, match="another caller"):
        await asking
    with pytest.raises(NotDoneError, match="no agent waits"):
        await desk.ask_caller({"function_call_id": "f9", "text": "And?"})
    desk.unbind()
    with pytest.raises(NotDoneError, match="no agent talks"):
        await desk.ask_caller({"function_call_id": "f1", "text": "And?"})
