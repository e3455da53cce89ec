"""Demands: issue 2, point 6 (what was not heard does not stay in the model's memory)."""

from bridge.realtime.responses import Created
from bridge.realtime.running import MAX_MESSAGES, HandedOn, Response


def running(*, muted: bool = False) -> Response:
    return Response("r", Created(None), 0.0, muted=muted)


def test_a_message_the_server_named_has_nothing_handed_on():
    response = running()
    response.saw({"type": "message", "id": "a"})
    response.saw({"type": "function_call", "id": "b"})
    assert response.messages(HandedOn.NOTHING) == ["a"]


def test_what_was_handed_on_stays_handed_on():
    response = running()
    response.handed_on("a")
    response.withheld("a")
    response.saw({"type": "message", "id": "a"})
    assert response.messages(HandedOn.SOME) == ["a"]
    assert response.messages(HandedOn.NOTHING) == []


def test_a_message_ends_once():
    response = running()
    response.handed_on("a")
    assert response.end("a")
    assert not response.end("a")


def test_an_interrupted_message_has_no_end():
    response = running(muted=True)
    response.withheld("a")
    assert not response.end("a")
    assert response.messages(HandedOn.NOTHING) == ["a"]


def test_messages_of_one_response_are_bounded():
    response = running()
    for index in range(MAX_MESSAGES + 1):
        response.handed_on(f"item_{index}")
    assert len(response.messages(HandedOn.SOME)) == MAX_MESSAGES
