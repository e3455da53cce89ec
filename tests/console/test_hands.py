"""Forms become the API's commands."""

import pytest

from bridge.console.hands import HANDS, done_words
from bridge.control_hands import KINDS, checked

FORMS = [
    ("whisper", {"text": "Offer\nten percent."}, ("whisper", {"text": "Offer ten percent."})),
    ("whisper", {"text": "Now", "now": "yes"}, ("whisper", {"text": "Now", "now": True})),
    ("transfer", {"target": "sales", "summary": "x"}, ("transfer", {"target": "sales"})),
    (
        "transfer",
        {"target": "sales", "warm": "yes", "summary": ""},
        ("warm_transfer", {"target": "sales"}),
    ),
    (
        "hand_off",
        {"agent": "billing", "note": "an invoice"},
        ("hand_off", {"agent": "billing", "note": "an invoice"}),
    ),
    ("hand_back", {"note": ""}, ("hand_back", {})),
    ("recording", {"action": "pause"}, ("recording", {"action": "pause"})),
    ("hang_up", {"reason": " fraud "}, ("hang_up", {"reason": "fraud"})),
]


@pytest.mark.parametrize(("name", "form", "order"), FORMS)
def test_a_form_is_an_order_that_the_bridge_takes(name, form, order):
    made = HANDS[name].order({**form, "csrf": "x"})
    assert made == order
    assert checked(*made) == made[1]


def test_the_page_waits_as_long_as_the_call_may_take():
    for name, form, (kind, _) in FORMS:
        assert HANDS[name].longest_s >= KINDS[kind].deadline_s, (name, form)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"done": "hang_up"}, "Hung up."),
        ({"done": "recording", "recording": True, "paused": True}, "Done: the recording is paused."),
        ({"done": "recording", "recording": False}, "Done: no recording runs."),
    ],
)
def test_what_was_done_is_said(answer, words):
    assert done_words(answer) == words
