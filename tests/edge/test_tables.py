import hashlib

from bridge.edge.tables import (
    GENERATIONS,
    address_list,
    dispatcher_list,
    entries,
    htable,
    lines,
    logins,
    table_versions,
)
from bridge.trunk import Credential, Digest, Registration, Trunk


def test_every_place_has_its_generations_in_both_pools_and_only_those_in_use_get_calls():
    every = entries([("sip:127.0.0.1:15060", 4)])
    assert len(every) == 2 * GENERATIONS
    text = dispatcher_list(every, [("narrow", "sip:127.0.0.1:15060;g=1")])
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    assert [row[:3] for row in rows if row[2] == "0"] == [["1", "sip:127.0.0.1:15060;g=1", "0"]]
    assert {row[2] for row in rows} == {"0", "1"}
    assert len({row[4] for row in rows}) == len(rows), "each counts for itself"
    assert all(row[4].endswith(";maxload=4") for row in rows)


def test_smaller_networks_stand_before_the_larger_ones_they_lie_in():
    text = address_list(
        [
            ("10.0.0.0/8", "big"),
            ("10.1.0.0/16", "small"),
            ("10.1.2.3/32", "one"),
            ("2001:db8::/32", "six"),
            ("10.1.2.3/32", "later"),
        ],
        [("127.0.0.1", 15060), ("fd00::1", 15060)],
        ["203.0.113.0/24"],
    )
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    assert [row[-1] for row in rows if row[0] == "1"] == ["one", "six", "small", "big"]
    assert ["2", "127.0.0.1", "32", "15060"] in rows
    assert ["2", "fd00::1", "128", "15060"] in rows
    assert rows[-1] == ["3", "203.0.113.0", "24", "0", "denied"]


def test_a_login_is_the_hash_of_its_password_and_without_a_password_nobody_is_let_in():
    trunks = [
        Trunk("pbx", login=Digest("alice", "", "PBX")),
        Trunk("other", login=Digest("bob", "", "GONE")),
        Trunk("plain", addresses=("10.0.0.1/32",)),
    ]
    found = logins(trunks, "sipbridge", {"PBX": "s3cret", "GONE": ""})
    ha1 = hashlib.md5(b"alice:sipbridge:s3cret").hexdigest()
    assert found == {"users": {"alice": ha1}, "logins": {"alice": "pbx", "*": "1"}}
    star = [Trunk("star", login=Digest("*", "", "PBX"))]
    assert logins(star, "sipbridge", {"PBX": "x"})["logins"] == {"*": "star"}
    assert logins(trunks[2:], "sipbridge", {}) == {"users": {}, "logins": {}}, "nobody is challenged"


def test_a_registration_is_known_by_the_token_that_workers_make_too():
    trunk = Trunk("pbx", register=Registration("pbx.test", "1001"))
    assert lines([trunk], {}) == {}
    (token,) = lines([trunk], {"pbx": Credential("1001", "", "s3cret")})
    assert len(token) == 32


def test_a_colon_in_a_value_stays_in_its_column():
    assert htable({"a:b": "c\\d"}).splitlines()[1] == "a\\:b:0:0:c\\\\d:0"
    assert table_versions().splitlines()[1:] == ["users:2", "logins:2", "wide:2", "lines:2"]
