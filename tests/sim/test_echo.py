"""The echo script: appends come back as audio of a response, and nothing else does."""

import json
from base64 import b64decode, b64encode

import pytest

from bridge.realtime.wire import append_json
from bridge.sim.echo import QUIET_APPENDS, Echo
from tests.sim.test_server import client

SPEECH = bytes(range(1, 161))


def said(texts):
    return [json.loads(text) for text in texts]


def test_an_append_comes_back_in_a_response_that_stays_open():
    echo = Echo("x")
    created, added, first = said(echo.hear(append_json(SPEECH).encode()))
    (second,) = said(echo.hear(append_json(SPEECH[::-1]).encode()))
    assert [event["type"] for event in (created, added, first)] == [
        "response.created", "response.output_item.added", "response.output_audio.delta",
    ]  # fmt: skip
    assert b64decode(first["delta"]) == SPEECH
    assert b64decode(second["delta"]) == SPEECH[::-1]
    assert first["item_id"] == second["item_id"] == added["item"]["id"]
    assert first["response_id"] == created["response"]["id"]


@pytest.mark.parametrize("silence", [b"\xff" * 160, b"\xd5" * 160, bytes(960)])
def test_silence_is_not_said_back_and_closes_the_response_after_a_moment(silence):
    echo = Echo("x")
    quiet = append_json(silence).encode()
    assert echo.hear(quiet) == []
    echo.hear(append_json(SPEECH).encode())
    assert [echo.hear(quiet) for _ in range(QUIET_APPENDS - 1)] == [[]] * (QUIET_APPENDS - 1)
    done = said(echo.hear(quiet))
    assert [event["type"] for event in done] == [
        "response.output_audio.done", "response.output_audio_transcript.done", "response.done",
    ]  # fmt: skip
    assert echo.hear(quiet) == []
    assert len(echo.hear(append_json(SPEECH).encode())) == 3
    assert echo.responses == 2


def test_audio_with_one_loud_sample_is_no_silence():
    assert len(Echo("x").hear(append_json(bytes(479) + b"\x40" + bytes(480)).encode())) == 3


@pytest.mark.parametrize("piece", [SPEECH, bytes(range(1, 241)) * 4])
def test_appends_are_gathered_into_one_delta_and_the_rest_goes_with_the_first_silence(piece):
    echo = Echo("x", appends=3)
    heard = [echo.hear(append_json(piece).encode()) for _ in range(4)]
    assert [len(texts) for texts in heard] == [0, 0, 3, 0]
    assert b64decode(json.loads(heard[2][-1])["delta"]) == piece * 3
    (rest,) = said(echo.hear(append_json(bytes([0xFF]) * 160).encode()))
    assert b64decode(rest["delta"]) == piece


@pytest.mark.parametrize(
    "text",
    [b'{"type":"session.update","session":{}}', b'{"type":"input_audio_buffer.append","audio":"', b"", b"{"],
)
def test_what_is_no_append_is_left_to_the_conversation(text):
    assert Echo("x").hear(text) is None


async def test_the_engine_echoes_beside_its_usual_conversation():
    async with client({"echo": 1}) as peer:
        await peer.until("session.created")
        await peer.send("session.update", session={"type": "realtime"})
        await peer.until("session.updated")
        await peer.socket.send(append_json(SPEECH * 6))
        *_, delta = await peer.until("response.output_audio.delta")
        assert b64decode(delta["delta"]) == SPEECH * 6
        await peer.send("conversation.item.retrieve", item_id="nothing")
        *_, refused = await peer.until("error")
        assert refused["error"]["type"] == "invalid_request_error"
        assert b64encode(SPEECH * 6).decode() == delta["delta"]
