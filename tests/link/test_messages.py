from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import LinkError
from bridge.link.messages import (
    Ack,
    Drain,
    Event,
    HangUp,
    Hello,
    PlanPush,
    Registrar,
    Reply,
    Request,
    Status,
    decode,
    encode,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
OBJECT = st.dictionaries(st.text(max_size=6), JSON, max_size=4)
TEXT, NUMBER = st.text(max_size=12), st.integers(0, 2**53)
FLOAT = st.floats(0, 1e12)
MESSAGES = st.one_of(
    st.builds(Hello, NUMBER, TEXT, NUMBER, NUMBER, TEXT, NUMBER),
    st.builds(Event, NUMBER, TEXT, TEXT, TEXT, FLOAT, FLOAT, OBJECT),
    st.builds(Request, NUMBER, TEXT, OBJECT),
    st.builds(Status, OBJECT),
    st.builds(Ack, NUMBER),
    st.builds(PlanPush, TEXT),
    st.builds(Reply, NUMBER, st.booleans(), OBJECT, TEXT),
    st.just(Drain()),
    st.builds(HangUp, TEXT, TEXT),
    st.builds(Registrar, st.booleans()),
)


@given(MESSAGES)
def test_every_message_survives_the_wire_as_one_line_of_ascii(message):
    text = encode(message)
    assert text.isascii()
    assert "\n" not in text
    assert decode(text) == message


@given(st.text(max_size=60) | st.binary(max_size=60) | JSON.map(str))
def test_garbage_is_a_link_error_and_nothing_else(garbage):
    with pytest.raises(LinkError):
        decode(garbage)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "not a JSON object"),
        ('{"message":"dance"}', "unknown link message 'dance'"),
        ('{"message":"ack"}', "incomplete"),
        ('{"message":"ack","seq":"1"}', "'seq' has the wrong type"),
        ('{"message":"ack","seq":true}', "'seq' has the wrong type"),
        ('{"message":"status","data":[]}', "'data' has the wrong type"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_wrong_message_says_what_is_wrong(text, says):
    with pytest.raises(LinkError, match=says):
        decode(text)


def test_a_key_of_a_newer_version_is_ignored():
    assert decode('{"message":"ack","seq":3,"colour":"red"}') == Ack(3)


def test_values_json_has_no_word_for_become_plain_ones():
    @dataclass
    class Facts:
        codec: str

    data = {"cost": Decimal("0.25"), "facts": Facts("PCMU"), "kinds": {"b", "a"}, "who": Facts, "raw": b"x"}
    got = decode(encode(Status(data))).data
    assert got["cost"] == 0.25
    assert got["facts"] == {"codec": "PCMU"}
    assert got["kinds"] == ["a", "b"]
    assert "Facts" in got["who"]
    assert got["raw"] == "b'x'"
