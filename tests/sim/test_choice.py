"""Grammar and dictionary without a decoder; a few real utterances with it."""

import functools
import json
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media import g711
from bridge.media.tones import dtmf
from bridge.sim.choice import Chooser, answer, grammar, option_of, unknown_words, words_of
from tests.fakes.lines import frames, samples, silence, speech, with_noise

SHOP = {
    "1": ["sales", "new orders"],
    "2": ["support", "technical support"],
    "3": ["billing"],
    "0": ["operator"],
}


@functools.cache
def chooser():
    return Chooser()


def line(*parts, noise_dbfs=-60):
    sound = [part for piece in parts for part in (silence(200), piece, silence(200))]
    whole = frames(*[with_noise(one, noise_dbfs, seed) for seed, one in enumerate(sound)])
    return g711.pcmu_encode(b"".join(whole))


@pytest.mark.parametrize(
    ("text", "voice", "option"),
    [
        ("new orders", "en-us", "1"),
        ("technical support", "en-gb-x-rp", "2"),
        ("i would like technical support please", "en-us", "2"),
        ("billing please", "en-us+m3", "3"),
        ("operator", "en-us", "0"),
    ],
)
def test_a_phrase_is_its_option(text, voice, option):
    got, heard = chooser().choose(line(speech(text, voice)), SHOP)
    assert got == option
    assert heard


@pytest.mark.parametrize(
    "text",
    [
        "my dog ate the newspaper",
        "the weather is nice today",
        "hello",
        "wait a moment please",
        "chicken soup",
    ],
)
def test_other_words_are_no_option(text):
    assert chooser().choose(line(speech(text)), SHOP) == ("", "")


def test_what_is_no_speech_is_no_option():
    assert chooser().choose(line(silence(1500), noise_dbfs=-40), SHOP) == ("", "")
    assert chooser().choose(line(samples(dtmf("1234"))), SHOP) == ("", "")
    assert chooser().choose(b"", SHOP) == ("", "")


def test_yes_and_no_are_told_apart():
    menu = {"1": ["yes"], "2": ["no"]}
    assert [chooser().choose(line(speech(text)), menu)[0] for text in ("yes", "no")] == ["1", "2"]


def test_a_word_without_a_pronunciation_is_an_error_and_not_the_end():
    with pytest.raises(ValueError, match="xyzzy"):
        chooser().choose(line(speech("sales")), {"1": ["xyzzy"]})
    assert chooser().choose(line(speech("new orders")), SHOP)[0] == "1"


def test_words_of_the_grammars_own_language_are_words():
    menu = {"1": ["public transport"], "2": ["import the grammar"]}
    assert chooser().choose(line(speech("public transport")), menu)[0] == "1"


def test_unknown_words_are_found_without_loading_the_recogniser():
    code = (
        "import sys; from bridge.sim.choice import unknown_words; "
        "print(unknown_words(['New orders!', \"I'd like\", '24 hours', 'xyzzy']), 'pocketsphinx' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True)
    assert run.stdout == "['24', 'xyzzy'] False\n"
    assert unknown_words([]) == []
    assert unknown_words(["...", ""]) == []


@given(st.dictionaries(st.text(max_size=3), st.lists(st.text(max_size=30), max_size=4), max_size=5))
def test_no_phrase_can_write_grammar(options):
    said = grammar(options).split(" ( ", 1)[-1]
    assert not re.search(r"[<>{}\[;=/\"\\]", said.rpartition(")")[0].rpartition(")")[0])


@given(st.text(max_size=60))
def test_a_phrase_is_spelt_the_same_again(text):
    assert words_of(words_of(text)) == words_of(text)


def test_the_longest_phrase_decides():
    assert option_of("um technical support please", SHOP) == "2"
    assert option_of("new orders", {"1": ["orders"], "2": ["new orders"]}) == "2"
    assert option_of("newer ordersome", SHOP) == ""


@pytest.mark.parametrize(
    "question", [b"", b"{}", b"[]", b'{"audio": "%", "options": {}}', b'{"audio": 1, "options": 2}', b"\xff"]
)
def test_a_question_that_is_none_gets_an_answer_that_says_so(question):
    assert set(answer(question, chooser())) == {"error"}


def test_an_answer_is_one_line_of_json():
    asked = json.dumps({"audio": "", "options": {"1": ["sales"]}}).encode()
    assert answer(asked, chooser()) == {"option": "", "heard": ""}
