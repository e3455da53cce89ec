"""Every word is in one place, and every word there is used."""

import importlib
import re
from pathlib import Path

import pytest

from bridge.console.texts import TEXTS, text

FOLDER = Path(__file__).parents[2] / "bridge" / "console"
SOURCES = [*FOLDER.glob("*.py"), *FOLDER.glob("templates/*.html")]
GROUPS = sorted(path.stem for path in FOLDER.glob("words/*.py") if path.stem != "__init__")
COMPUTED = (
    *("nav.", "state.", "risk.", "clock.", "act.number", "act.json", "history.is.", "history.field."),
    *("plan.", "fact.", "change.", "done.re", "done.ro", "disk.wrong", "versions.", "explain.both"),
    *("factor.totp", "factor.passkey", "session.how.", "users.role.", "users.column.", "users.bad_", "oidc."),
    *("seat.is.", "seat.wrong."),
    *("health.", "doctor.", "pending."),
    *("ask.", "asked.", "done.", "areas.", "trail.", "statistics."),
    *("audit.field.", "audit.kinds.", "hooks.health.", "doing.", "call.ms.", "call.delay.", "call.state."),
    *("calls.from", "calls.to", "calls.agent", "calls.since", "calls.doing", "calls.node"),
)
"""Names made of a request's own words."""


def used():
    texts = "\n".join(path.read_text() for path in SOURCES if path.name != "texts.py")
    return set(re.findall(r"""\b(?:t|text)\(\s*["']([\w.]+)["']""", texts)), texts


def test_every_name_that_is_used_has_words():
    names, _ = used()
    assert {name for name in names if not name.endswith(".")} <= set(TEXTS)


def test_every_text_is_used():
    names, texts = used()
    left = {name for name in TEXTS if name not in names and not name.startswith(COMPUTED)}
    assert {name for name in left if f'"{name}"' not in texts} == set()


def test_templates_have_no_words_of_their_own():
    for path in FOLDER.glob("templates/*.html"):
        bare = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", path.read_text(), flags=re.DOTALL)
        bare = re.sub(r"<[^>]*>", " ", re.sub(r"""[\w-]+=("[^"]*"|'[^']*')""", "", bare))
        assert re.findall(r"[A-Za-z]{2,}", bare) == [], path.name


def test_no_two_groups_have_a_name_in_common():
    groups = [importlib.import_module(f"bridge.console.words.{name}").TEXTS for name in GROUPS]
    assert sum(len(group) for group in groups) == len(TEXTS)


def test_words_are_filled_in():
    assert text("nav.user", name="anna") == "Signed in as anna"
    with pytest.raises(KeyError):
        text("nothing")
