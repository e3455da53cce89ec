"""Whether what was said is what was to be said: a model's transcript has its own way of writing. Pure."""

import re
from difflib import SequenceMatcher

SAME_WORDS = 0.85
_TELLING = re.compile(r"\d+|\bno\b|\bnot\b|\bnever\b|n't\b")
_CURRENCIES = {"$": "dollars", "€": "euros", "£": "pounds"}


def same_words(text: str, wanted: str) -> bool:
    """Whether a transcript is these words: the same numbers in the same order, and nearly the same words."""
    said, wanted = _plain(text), _plain(wanted)
    if wanted in said:
        return True
    telling = [_TELLING.findall(one) for one in (said, wanted)]
    return telling[0] == telling[1] and SequenceMatcher(None, said, wanted).ratio() >= SAME_WORDS


def _plain(text: str) -> str:
    """Words only, currency signs as words, so that a transcript's way of writing makes no difference."""
    text = re.sub(
        r"([$€£])\s?(\d[\d,.]*\d|\d)", lambda found: f"{found[2]} {_CURRENCIES[found[1]]}", text.lower()
    )
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    text = re.sub(r"(?<=\d)\.0+(?!\d)", "", text)
    return " ".join(re.findall(r"[\w']+", text))
