"""Words of menus that cannot be understood when a caller says them. Warnings: the keys work all the same.

Pure: which words are known comes in. Not worker-safe. Called by bridge/dialplan/load.py.
"""

from collections.abc import Iterator, Sequence

from bridge.dialplan.around import UnknownWords
from bridge.dialplan.check import every_step
from bridge.dialplan.check_actions import phrase
from bridge.dialplan.schema_steps import Menu
from bridge.dialplan.source import Source
from bridge.errors import Problem
from bridge.yamlfile import KeyPath

UNDERSTOOD = "en"
"""The recogniser's only language (bridge/sim/choice.py)."""

Place = tuple[Source, KeyPath, str]


def warnings(sources: Sequence[Source], unknown_words: UnknownWords | None) -> Iterator[Problem]:
    """One for each menu in another language, and one for each word without a pronunciation."""
    heard: list[Place] = []
    for source in sources:
        for path, step in every_step(source):
            if step.menu is None:
                continue
            language = (step.menu.say.language if step.menu.say else None) or source.spec.language
            places = list(_words(source, step.menu, (*path, "menu", "options")))
            if language.lower().partition("-")[0] == UNDERSTOOD:
                heard += places
            elif places:
                message = f"only English can be understood, not {language}: callers have to press keys"
                yield source.document.problem(places[0][1], message, "remove words")
    if heard and unknown_words is not None:
        unknown = set(unknown_words([words for _, _, words in heard]))
        for source, path, words in heard:
            strange = [word for word in phrase(words).split() if word in unknown]
            if strange:
                hint = "choose a common word, or spell it as words that sound the same"
                message = f"nobody knows how this is pronounced: {', '.join(strange)}"
                yield source.document.problem(path, message, hint)


def _words(source: Source, menu: Menu, here: KeyPath) -> Iterator[Place]:
    for key, option in menu.options.items():
        for number, words in enumerate(option.words):
            yield source, (*here, key, "words", number), words
