from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from bridge.dialplan.facts import Condition
from bridge.dialplan.steps import HangUpStep, PlayStep, SayStep, TransferStep
from bridge.dialplan.words import condition, label, outline, plain


@dataclass(frozen=True, slots=True)
class Later:
    """A step of a later day."""

    TAG: ClassVar = "later"
    tags: tuple
    options: Mapping
    limit: int | None = None


def test_a_step_is_its_action_and_its_settings():
    assert label(SayStep("We are\nclosed.", "en", "abc")) == "say: We are closed."
    assert label(HangUpStep(503, "Service Unavailable")) == "hang_up: 503, Service Unavailable"
    assert label(HangUpStep(None, "")) == "hang_up"


def test_where_a_file_lies_is_no_matter():
    assert label(PlayStep("/srv/plans/welcome.wav", "x")) == "play: welcome.wav"


def test_a_step_that_nobody_thought_of_has_words_too():
    step = Later(("a", "b"), {"1": (HangUpStep(486, ""),)})
    assert label(step) == "later: a, b"
    assert list(outline((step,))) == ["- later: a, b", "  options.1:", "    - hang_up: 486"]


def test_steps_inside_others_are_indented():
    lines = list(outline((TransferStep("desk", (HangUpStep(486, ""),)),)))
    assert lines == ["- transfer: desk", "  or_else:", "    - hang_up: 486"]


def test_a_condition_reads_as_a_sentence():
    assert condition(Condition("to", ("100", "+49*"))) == "to 100 or +49*"
    assert condition(Condition("header:x-lang", ("de",))) == "x-lang: de"
    assert condition(Condition("hours", ("a", "b", "c"))) == "within a, b or c"


def test_many_patterns_are_counted():
    assert condition(Condition("from", tuple("abcdef"))) == "from a, b, c or d (and 2 more)"


def test_values_of_any_shape_are_one_line():
    assert plain({"a": (1, 2), "b": "x\ny"}) == "a: 1, 2, b: x y"
    assert plain(Condition("to", ("1",))).startswith("field: to, patterns: 1")
