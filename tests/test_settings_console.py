"""Where people reach the console."""

import pytest
from pydantic import ValidationError

from bridge.settings_console import Console


def test_people_reach_it_where_it_says_or_where_it_listens():
    assert Console(url="https://bridge.example").base(1) == "https://bridge.example"
    assert Console().base(8081) == "http://127.0.0.1:8081"
    assert Console(bind="::1").base(80) == "http://[::1]:80"
    assert Console(bind="0.0.0.0").base(80) == "http://127.0.0.1:80"


def test_the_name_in_the_url_is_one_of_ours():
    assert Console(url="https://Bridge.example:8443", hosts=["b"]).names == (
        "127.0.0.1",
        "b",
        "bridge.example",
    )


@pytest.mark.parametrize(
    "url", ["bridge.example", "https://bridge.example/", "ftp://x", "https://a b", "https://"]
)
def test_a_url_is_scheme_and_host_only(url):
    with pytest.raises(ValidationError):
        Console(url=url)


@pytest.mark.parametrize("seconds", [0, 59, 604_801, float("nan")])
def test_a_session_lasts_a_minute_at_least_and_a_week_at_most(seconds):
    with pytest.raises(ValidationError):
        Console(session_s=seconds)
