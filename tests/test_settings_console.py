"""Where people reach the console."""

import pytest
from pydantic import ValidationError

from bridge.settings_console import Audio, Console, audio_rules


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


def test_proxies_are_addresses_or_networks_and_none_by_default():
    assert Console().proxies == ()
    read = Console(trusted_proxies=["10.0.0.2", "10.1.0.0/16", "fd00::/64"]).proxies
    assert [str(one) for one in read] == ["10.0.0.2/32", "10.1.0.0/16", "fd00::/64"]


@pytest.mark.parametrize("proxy", ["0.0.0.0/0", "::/0", "*", "proxy.example", "10.0.0.2/24", ""])
def test_nobody_trusts_everybody_nor_a_name(proxy):
    with pytest.raises(ValidationError):
        Console(trusted_proxies=[proxy])


@pytest.mark.parametrize("seconds", [0, 59, 604_801, float("nan")])
def test_a_session_lasts_a_minute_at_least_and_a_week_at_most(seconds):
    with pytest.raises(ValidationError):
        Console(session_s=seconds)


def test_ports_of_browsers_are_their_own_and_enough():
    audio = Audio(ports="30000-30009", seats=8)
    others = [("sip.rtp_ports", 20000, 29999), ("edge.inner_port", 30010, 30010)]
    assert list(audio_rules(audio, others)) == []
    ((mistake, _),) = audio_rules(audio, [*others, ("x", 30009, 30020)])
    assert mistake == "30000-30009 overlaps x (30009-30020)"
    ((mistake, _),) = audio_rules(audio.model_copy(update={"seats": 11}), others)
    assert "too few for 11 seats" in mistake
    assert list(audio_rules(Audio(), [("x", 1, 65535)])) == [], "any port: the kernel finds a free one"
