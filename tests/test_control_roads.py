"""Where nodes are reached: what no node said, or said of another one, leads nowhere."""

from bridge.control_roads import Roads, machine, read, told

KEY = bytes(32)
ROADS = Roads("https://a.example", "http://10.0.0.11:8080")


def test_what_a_node_says_is_read_by_who_has_the_common_key():
    assert read(KEY, "a", told(KEY, "a", ROADS)) == ROADS
    assert read(KEY, "a", told(KEY, "a", Roads("https://a.example"))) == Roads("https://a.example")
    assert told(KEY, "a", Roads()) == {}


def test_an_address_that_only_the_database_was_told_leads_nowhere():
    said = told(KEY, "a", ROADS)
    assert read(b"x" * 32, "a", said) == Roads()
    assert read(KEY, "b", said) == Roads()
    assert read(KEY, "a", {"roads": {**said["roads"], "console": "https://evil.example"}}) == Roads()
    for strange in ({}, {"roads": None}, {"roads": "x"}, {"roads": {}}, {"roads": {"seal": 1}}):
        assert read(KEY, "a", strange) == Roads()


def test_workers_on_loopback_are_reached_by_who_has_the_same_one():
    here = machine()
    assert here == machine() != ""
    assert not Roads(media="127.0.0.1", machine=here).deaf(here)
    assert Roads(media="127.0.0.1", machine="other").deaf(here)
    assert Roads(media="::1", machine="").deaf("")
    assert not Roads(media="10.0.0.5").deaf(here)
    assert not Roads().deaf(here), "an older version does not say: it is tried"
