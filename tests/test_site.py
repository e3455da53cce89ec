"""Which requests are ours to take; how a whole request fares: tests/test_control_api.py, tests/console/test_web.py."""

import pytest

from bridge.site import foreign, names, stranger

HOSTS = names(["Bridge.example"])


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({}, True),
        ({"host": "BRIDGE.example:8080"}, True),
        ({"host": "localhost"}, True),
        ({"host": "[::1]:80"}, True),
        ({"host": "10.0.0.1"}, True),
        ({"host": "evil.example"}, False),
        ({"host": "[broken"}, False),
        ({"host": "10.0.0.1.evil.example"}, False),
    ],
)
def test_we_are_asked_by_an_address_or_a_name_of_ours(headers, taken):
    assert (stranger(headers, HOSTS) == "") is taken


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({"host": "localhost:1", "origin": "http://localhost:1"}, True),
        ({"host": "localhost:1", "origin": "http://localhost:2"}, False),
        ({"host": "localhost", "origin": "null"}, False),
        ({"host": "localhost", "origin": "http://[x"}, False),
        ({"host": "inside", "origin": "https://bridge.example"}, True),
        ({"host": "inside", "origin": "http://bridge.example"}, False),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"host": "localhost", "sec-fetch-site": "cross-site"}, False),
    ],
)
def test_what_another_site_s_page_sends_is_not_taken(headers, taken):
    assert (foreign(headers, None, "https://bridge.example") == "") is taken


def test_where_names_count_a_stranger_is_refused_first():
    assert "not called 'evil.example'" in foreign({"host": "evil.example"}, HOSTS)
