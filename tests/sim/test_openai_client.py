"""The `openai` package, a peer nobody here wrote, holds a conversation with the local engine over a real socket."""

import asyncio
import base64
import contextlib
import json

import pytest
from openai import AsyncOpenAI

from bridge.media import g711
from bridge.media.resample import Resampler
from bridge.sim import scenario, voice
from bridge.sim.script import Script
from bridge.sim.server import Engine, listen

GUARD_S = 20
TOOL = {
    "type": "function",
    "name": "refund",
    "description": "Refund money to the caller",
    "parameters": {"type": "object", "properties": {"amount": {"type": "integer"}}},
}
ENCODE = {"audio/pcmu": g711.pcmu_encode, "audio/pcma": g711.pcma_encode}


@pytest.fixture
async def url():
    async with listen(Engine(scenario.load(), Script()), "127.0.0.1", 0) as address:
        yield address


@contextlib.asynccontextmanager
async def session(url, **fields):
    """A configured session of the openai client."""
    base = url.removesuffix("/realtime")
    client = AsyncOpenAI(api_key="unused", base_url=base.replace("ws", "http", 1), websocket_base_url=base)
    async with (
        asyncio.timeout(GUARD_S),
        client,
        client.realtime.connect(model="gpt-realtime-2.1") as connection,
    ):
        assert (await connection.recv()).type == "session.created"
        await connection.session.update(session={"type": "realtime", **fields})
        assert (await connection.recv()).type == "session.updated"
        yield connection


def audio(format_in, format_out):
    kinds = {"audio/pcm": {"type": "audio/pcm", "rate": 24000}}
    return {
        "input": {
            "format": kinds.get(format_in, {"type": format_in}),
            "transcription": {"model": "gpt-transcribe"},
        },
        "output": {"format": kinds.get(format_out, {"type": format_out})},
    }


async def until_done(connection):
    """Events up to response.done."""
    events = []
    async for event in connection:
        assert event.type != "error", event
        events.append(event)
        if event.type == "response.done":
            return events
    raise AssertionError("closed before response.done")


async def speak(connection, text, audio_format):
    """Stream spoken text in 20 ms appends, then silence, faster than real time."""
    encode, rate = ENCODE.get(audio_format, bytes), 24_000 if audio_format == "audio/pcm" else 8000
    pcm = g711.pcmu_decode(g711.pcmu_encode(voice.speak(text, rate_hz=8000)))
    if rate != 8000:
        pcm = Resampler(3, 1).push(pcm)
    payload = encode(bytes(rate // 2 * 2) + pcm + bytes(rate * 2))
    step = len(encode(bytes(rate // 25)))
    for at in range(0, len(payload), step):
        await connection.input_audio_buffer.append(audio=base64.b64encode(payload[at : at + step]).decode())


def said(events):
    return "".join(event.delta for event in events if event.type == "response.output_audio_transcript.delta")


def heard(events):
    name = "conversation.item.input_audio_transcription.completed"
    return next(event.transcript for event in events if event.type == name)


@pytest.mark.parametrize(
    ("format_in", "format_out"), [("audio/pcmu", "audio/pcm"), ("audio/pcm", "audio/pcma")]
)
async def test_spoken_words_are_understood_and_answered_in_speech(url, format_in, format_out):
    async with session(url, audio=audio(format_in, format_out)) as connection:
        await connection.response.create()
        assert said(await until_done(connection)).startswith("Hello, this is the front desk")
        await speak(connection, "what are your opening hours", format_in)
        events = await until_done(connection)
        assert heard(events) == "what are your opening hours"
        assert said(events).startswith("We are open from nine")
        sound = b"".join(
            base64.b64decode(event.delta) for event in events if event.type == "response.output_audio.delta"
        )
        seconds = len(sound) / (48_000 if format_out == "audio/pcm" else 8000)
        assert 4 < seconds < 12
        assert abs(events[-1].response.usage.output_token_details.audio_tokens - seconds * 20) <= 1


async def test_a_spoken_refund_becomes_a_function_call(url):
    async with session(url, audio=audio("audio/pcmu", "audio/pcmu"), tools=[TOOL]) as connection:
        await speak(connection, "i want a refund of twenty dollars", "audio/pcmu")
        call = (await until_done(connection))[-1].response.output[0]
        assert (call.name, json.loads(call.arguments)["amount"]) == ("refund", 20)
        output = {"type": "function_call_output", "call_id": call.call_id, "output": '{"status": "refunded"}'}
        await connection.conversation.item.create(item=output)
        await connection.response.create()
        assert said(await until_done(connection)) == "Done. I have refunded twenty dollars to your card."


async def test_the_bridges_own_line_is_spoken_word_for_word(url):
    async with session(url) as connection:
        await connection.response.create(response={"instructions": 'Say exactly this: "One moment, please."'})
        assert said(await until_done(connection)) == "One moment, please."


async def test_a_key_pressed_is_acknowledged(url):
    async with session(url) as connection:
        text = {"type": "input_text", "text": "The caller pressed 5 on the keypad."}
        await connection.conversation.item.create(item={"type": "message", "role": "user", "content": [text]})
        await connection.response.create()
        assert said(await until_done(connection)) == "You pressed 5. Thank you."


async def test_a_long_story_is_cut_by_the_caller(url):
    async with session(url, audio=audio("audio/pcmu", "audio/pcmu")) as connection:
        text = {"type": "input_text", "text": "tell me a long story"}
        await connection.conversation.item.create(item={"type": "message", "role": "user", "content": [text]})
        await connection.response.create()
        async for event in connection:
            if event.type == "response.output_audio.delta":
                break
        await speak(connection, "when are you open", "audio/pcmu")
        done = (await until_done(connection))[-1].response
        assert (done.status, done.status_details.reason) == ("cancelled", "turn_detected")
        await connection.conversation.item.truncate(
            item_id=done.output[0].id, content_index=0, audio_end_ms=200
        )
        events = await until_done(connection)
        assert "conversation.item.truncated" in [event.type for event in events]
        assert said(events).startswith("We are open")
