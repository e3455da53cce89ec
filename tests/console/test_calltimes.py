"""Times as people read them."""

import time

import pytest

from bridge.console.calltimes import ago, milliseconds, span


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (67, "1:07"), (3599, "59:59"), (3722, "1:02:02")]
)
def test_a_span(seconds, shown):
    assert span(seconds) == shown


@pytest.mark.parametrize(("ms", "shown"), [(38.4, "38 ms"), (999, "999 ms"), (3210, "3.2 s")])
def test_milliseconds(ms, shown):
    assert milliseconds(ms) == shown


def test_how_long_ago_is_never_in_the_future():
    assert ago(time.time() + 99) == 0
