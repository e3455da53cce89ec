import re
from pathlib import Path

import pytest

from bridge.console.texts import TEXTS
from bridge.console.trail import KINDS, kind_words, told
from bridge.store.paststore import Trace


def trace(kind, actor="anna", personal=None, **facts):
    return Trace(1.0, kind, actor, facts, personal)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (trace("requested", "model", rule="big"), ("the model", "wants it run", ("rule big",), "")),
        (
            trace("requested", "model", rule=""),
            ("the model", "wants it run", ("rule none fits",), ""),
        ),
        (trace("denied", via="cli", personal={"reason": "no"}), ("anna", "denied", ("by cli",), "no")),
        (
            trace("escalated", "system", to="chiefs"),
            ("the bridge", "another group is asked too", ("chiefs",), ""),
        ),
        (trace("question", personal={"text": "Which?"}), ("anna", "wanted the caller asked", (), "Which?")),
        (
            trace("question_put", "system", outcome="not_asked", personal={"why": "over"}),
            ("the bridge", "says of the question", ("not asked",), "over"),
        ),
        (
            trace("question_put", "system", outcome="new"),
            ("the bridge", "says of the question", ("new",), ""),
        ),
        (trace("of a newer version"), ("anna", "of a newer version", (), "")),
    ],
)
def test_an_entry_is_told_in_words(given, shown):
    one = told(given, personal=True)
    assert (one.actor, one.what, one.parts, one.words) == shown


def test_what_was_changed_is_shown_to_who_may_see_it():
    entry = trace("approved", edited=True, personal={"arguments": {"amount": 35}, "reason": "half"})
    assert told(entry, personal=True).parts == ("in another form", '{"amount": 35}')
    assert told(entry, personal=True).words == "half"
    assert (told(entry, personal=False).parts, told(entry, personal=False).words) == (
        ("in another form",),
        "",
    )


def test_every_type_that_is_written_anywhere_has_words_and_can_be_looked_for():
    written = re.compile(r"""(?:Audit\(|deeds?(?:_of\([^)]*\)\))?\.note\(|_deeds\()\s*["'](\w+)["']""")
    bridge = Path(__file__).parents[2] / "bridge"
    names = {name for path in bridge.rglob("*.py") for name in written.findall(path.read_text())}
    assert {"requested", "held", "link_given", "calls_exported", "restored", "told_late"} <= names
    known = [kind for kinds in KINDS.values() for kind in kinds]
    assert names - set(known) == set()
    assert len(known) == len(set(known))
    assert [kind for kind in known if f"trail.{kind}" not in TEXTS] == []


def test_a_type_of_a_newer_version_is_named_as_it_is():
    assert kind_words("teleported") == "teleported"
