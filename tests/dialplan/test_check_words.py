"""Words of menus that cannot be heard: warned of, with what to do."""

import pytest

from bridge.dialplan import load as loading
from bridge.dialplan.around import Around

PLAN = """
version: 1
language: %s
routes:
  - name: first
    do:
      - menu:
          say: %s
          options:
            "1": {words: [sales, new orders], do: [{hang_up: {}}]}
            "2": {words: [Frobnitz-Desk], do: [{hang_up: {}}]}
            "3": [{hang_up: {}}]
      - hang_up: {}
"""


def unknown_words(phrases):
    words = {word for phrase in phrases for word in phrase.lower().replace("-", " ").split()}
    return sorted(words - {"sales", "new", "orders", "desk"})


@pytest.fixture
def warned(tmp_path):
    def warned(language="en", say="Sales?", known=unknown_words):
        path = tmp_path / "p.yaml"
        path.write_text(PLAN % (language, say))
        found = loading.inspect(path, Around(unknown_words=known)).warnings
        return [str(one).partition(":")[2] for one in found]

    return warned


def test_a_word_that_nobody_can_pronounce_is_told_with_its_place(warned):
    (told,) = warned()
    assert told == (
        "11:27: routes[0].do[0].menu.options.2.words[0]: nobody knows how this is pronounced: frobnitz "
        "(choose a common word, or spell it as words that sound the same)"
    )


@pytest.mark.parametrize(
    ("language", "say"), [("de", "Verkauf?"), ("en", "{text: Verkauf?, language: de-AT}")]
)
def test_words_of_another_language_cannot_be_heard(warned, language, say):
    (told,) = warned(language, say)
    assert told.startswith(
        "10:27: routes[0].do[0].menu.options.1.words[0]: only English can be understood, not de"
    )
    assert told.endswith("(remove words)")


def test_english_in_a_plan_of_another_language_is_heard(warned):
    assert len(warned("de", "{text: Sales?, language: en-GB}")) == 1


def test_where_the_recogniser_is_not_known_nothing_is_said(warned):
    assert warned(known=None) == []


def test_without_words_the_recogniser_is_not_asked(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("version: 1\nroutes: [{name: a, do: [{hang_up: {}}]}]\n")
    assert loading.inspect(path, Around(unknown_words=lambda _: 1 / 0)).warnings == ()
