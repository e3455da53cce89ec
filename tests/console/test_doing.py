"""What happens now, in the words of texts."""

import pytest

from bridge.console.doing import TELLING, doing
from bridge.console.texts import TEXTS


@pytest.mark.parametrize(
    ("event_type", "data", "word"),
    [
        ("agent.started", {}, "agent"),
        ("agent.finished", {"interrupted": True}, "caller"),
        ("agent.finished", {"interrupted": False}, "listening"),
        ("tool.state", {"state": "pending"}, "approval"),
        ("tool.state", {"state": "confirming"}, "confirming"),
        ("tool.state", {"state": ["pending"]}, "tool"),
        ("queue.position", None, "queue"),
        ("something.new", {}, ""),
    ],
)
def test_the_newest_telling_event_says_what_happens(event_type, data, word):
    assert doing(event_type, data) == word


def test_every_word_has_words():
    said = {tells({}) for tells in TELLING.values()} | {"approval", "confirming", "caller"}
    assert {f"doing.{word}" for word in said} <= {*TEXTS}
