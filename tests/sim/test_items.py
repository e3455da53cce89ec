"""Items on the server side: order, tokens, audio, truncation."""

import base64
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sim import items as module
from bridge.sim.items import (
    MAX_AUDIO_BYTES,
    Item,
    Items,
    Tokens,
    caller_item,
    new_item,
    text_tokens,
    transcription,
)
from bridge.sim.protocol import Refusal
from bridge.sim.protocol import new_item as shape

numbers = itertools.count()


def ids(prefix):
    return f"{prefix}{next(numbers)}"


def text(words, item_id=None):
    data = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}
    return new_item(shape(data | ({"id": item_id} if item_id else {})), ids, "audio/pcmu")


def agents(item_id, ms, transcript="hello"):
    wire = {
        "id": item_id,
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_audio", "transcript": transcript}],
    }
    return Item(wire, ms, 8, bytearray(ms * 8))


def test_items_keep_the_order_the_client_asked_for():
    items = Items()
    assert items.last_id() is None
    assert items.add(text("a", "a")) is None
    assert items.add(text("c", "c")) == "a"
    assert items.add(text("b", "b"), "a") == "a"
    assert items.add(text("z", "z"), "root") is None
    assert [item.id for item in items] == ["z", "a", "b", "c"]
    assert items.last_id() == "c"


def test_what_cannot_be_is_refused():
    items = Items()
    items.add(text("a", "a"))
    for order, code in (
        (lambda: items.add(text("x", "a")), "item_create_duplicate_item_id"),
        (lambda: items.add(text("x"), "nope"), "item_not_found"),
        (lambda: items.delete("nope"), "item_not_found"),
        (lambda: items.truncate("a", 0), "invalid_value"),
    ):
        with pytest.raises(Refusal) as refused:
            order()
        assert refused.value.code == code


def test_a_conversation_is_bounded():
    items = Items()
    for _ in range(module.MAX_ITEMS):
        items._items.append(text("x"))
    with pytest.raises(Refusal, match="holds"):
        items.add(text("one more"))


def test_the_oldest_audio_goes_first():
    items = Items()
    items.add(agents("old", 1000))
    items.add(agents("middle", 1000))
    big = agents("big", 1)
    big.audio = bytearray(MAX_AUDIO_BYTES - 8000)
    items.add(big)
    assert [len(item.audio) for item in items] == [0, 8000, MAX_AUDIO_BYTES - 8000]
    items.add(text("x"))
    assert len(items.get("middle").audio) == 8000


@given(st.integers(1, 5000), st.integers(0, 6000))
def test_truncation_keeps_exactly_what_was_heard(ms, end_ms):
    items = Items()
    items.add(agents("a", ms))
    if end_ms > ms:
        with pytest.raises(Refusal, match="already shorter"):
            items.truncate("a", end_ms)
        return
    items.truncate("a", end_ms)
    item = items.get("a")
    assert (item.audio_ms, len(item.audio), item.text()) == (end_ms, end_ms * 8, "")


def test_a_response_picks_its_own_context():
    items = Items()
    items.add(text("a", "a"))
    own = {"type": "function_call_output", "call_id": "c", "output": "x"}
    picked = items.pick([{"type": "item_reference", "id": "a"}, own], ids, "audio/pcm")
    assert [item.text() for item in picked] == ["a", "x"]
    with pytest.raises(Refusal, match="nope"):
        items.pick([{"type": "item_reference", "id": "nope"}], ids, "audio/pcm")


def test_a_count_of_tokens_has_a_total():
    assert Tokens(2, 3).total == 5


def test_tokens_of_the_caller_and_of_the_agent():
    caller = caller_item("u", bytes(8 * 950), "audio/pcmu")
    assert caller.tokens() == Tokens(audio=10)
    assert agents("a", 950, "four").tokens() == Tokens(text=1, audio=19)
    assert text("abcde").tokens() == Tokens(text=2)
    call = new_item(shape({"type": "function_call", "name": "refund", "arguments": "{}"}), ids, "audio/pcm")
    assert call.tokens() == Tokens(text=text_tokens("refund {}"))
    assert call.wire["call_id"]


def test_context_caches_what_an_earlier_response_read():
    items, prompt = Items(), Tokens(text=10)
    items.add(text("abcd", "a"))
    assert items.context(prompt) == (Tokens(11), Tokens())
    items.add(text("abcd", "b"))
    assert items.context(prompt) == (Tokens(12), Tokens(11))
    items.add(text("abcd", "c"), "a")
    assert items.context(prompt) == (Tokens(13), Tokens(11))
    items.delete("a")
    assert items.context(prompt) == (Tokens(12), Tokens(10))
    items.prompt_changed()
    assert items.context(prompt) == (Tokens(12), Tokens())
    items.add(agents("agent", 100))
    items.context(prompt)
    items.truncate("agent", 50)
    assert items.context(prompt)[1] == Tokens(12)


def test_retrieved_items_carry_their_audio():
    wire = agents("a", 1).with_audio()
    assert base64.b64decode(wire["content"][0]["audio"]) == bytes(8)
    output = new_item(
        shape({"type": "function_call_output", "call_id": "c", "output": "x"}), ids, "audio/pcm"
    )
    assert "content" not in output.with_audio()
    assert text("plain").with_audio()["content"] == [{"type": "input_text", "text": "plain"}]


def test_content_must_suit_its_role():
    for role, content, param in (
        ("assistant", {"type": "output_audio", "audio": "AAAA"}, "item.content[0].type"),
        ("system", {"type": "input_audio", "audio": "AAAA"}, "item.content[0].type"),
        ("user", {"type": "input_audio", "audio": "?"}, "item.content[0].audio"),
    ):
        with pytest.raises(Refusal) as refused:
            new_item(shape({"type": "message", "role": role, "content": [content]}), ids, "audio/pcmu")
        assert refused.value.param == param


def test_a_transcription_is_told_with_its_usage():
    item = caller_item("u", bytes(8 * 1000), "audio/pcmu")
    assert item.text() == ""
    item.heard = "hello"
    assert item.text() == "hello"
    event = transcription(item, "hello")
    assert (event["transcript"], event["usage"]["total_tokens"]) == ("hello", 12)
    assert transcription(item, "")["transcript"] == "[unclear]"
    assert item.wire["content"][0]["transcript"] == "[unclear]"
