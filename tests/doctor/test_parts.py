from dataclasses import replace

import pytest

from bridge.doctor import flawtable, parts
from bridge.doctor.finding import Level
from bridge.doctor.parts import (
    Flaw,
    McpFacts,
    NodeFacts,
    ProcessFacts,
    ProviderFacts,
    StoreFacts,
    dialplan,
    flaws,
    mcp,
    nodes,
    processes,
    providers,
    settings,
    store,
    versions,
)
from bridge.errors import Problem

PROBLEM = Problem("bridge.yaml", 3, 1, "sip.port", "must be a number")
STORE = StoreFacts("sqlite:///x.db", "", "0008", "0008", ("0007", "0008"), "0008", 0.2, 10_000_000)
HEALTH = {"problems": [], "notes": [], "plan": "abc", "workers": {"0": {"link": {"backlog_bytes": 0}}}}
RUNS = ProcessFacts(77, 200, HEALTH, workers=1)
PROVIDER = ProviderFacts("live", "api.openai.com:443", "done", "", 200, 80.0, 20.0)
FLAW = Flaw("kamailio", "CVE-1", "5.7.0", "it breaks", "open", "update it")


def red(found):
    return [(one.level, one.text) for one in found if one.level >= Level.WARN]


def judged(found, level, words):
    bad = red(found)
    assert [one for one in bad if one[0] is level and words in one[1]], bad
    return True


def test_a_healthy_installation_has_nothing_red():
    assert red(settings((), (), (), "bridge.yaml")) == []
    assert red(dialplan((), (), 4, rolled_back=True)) == []
    assert red(processes(RUNS)) == []
    assert red(processes(ProcessFacts())) == []
    assert red(store(STORE, running=True)) == []
    assert red(store(replace(STORE, revision=None), running=False)) == []
    assert red(versions({"python": "3.11.9", "kamailio": None}, ())) == []
    assert (
        red(providers([PROVIDER, ProviderFacts("local", "", "embedded"), ProviderFacts("a", "b", "skipped")]))
        == []
    )
    assert red(mcp([McpFacts("git", "mcp-git", accepted=3)])) == []


def test_mistakes_and_missing_secrets_are_told():
    missing = Problem("environment", 0, 0, "providers.live", "KEY is not set", "export KEY")
    found = list(settings([PROBLEM], [missing], ["/k (KEY) can be read by every account: chmod 600 /k"], "x"))
    assert [one.level for one in found] == [Level.FAIL, Level.FAIL, Level.WARN]
    assert (found[1].text, found[1].do) == ("providers.live: KEY is not set", "export KEY")
    assert found[2].do == "chmod 600 /k"
    assert judged(dialplan([PROBLEM] * 9, [PROBLEM], 0, rolled_back=False), Level.FAIL, "bridge.yaml:3:1")
    assert len(red(dialplan([PROBLEM] * 9, (), 0, rolled_back=False))) == 5


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        (ProcessFacts(77, error="refused"), Level.FAIL, "control does not answer: refused"),
        (
            replace(RUNS, health={**HEALTH, "problems": ["no plan is in force"]}),
            Level.FAIL,
            "no plan is in force",
        ),
        (
            replace(RUNS, health={**HEALTH, "workers": {"0": {"link": {"backlog_bytes": 5_000_000}}}}),
            Level.WARN,
            "5.0 MB of events",
        ),
        (
            replace(RUNS, health={**HEALTH, "workers": {"3": {"clock_restarts": 2}}}),
            Level.WARN,
            "worker 3: the media",
        ),
    ],
)
def test_a_bridge_that_is_not_well_says_so(facts, level, words):
    assert judged(processes(facts), level, words)


NODE = NodeFacts("a", "live", 0.5, "0.1.0", "abc")


@pytest.mark.parametrize(
    ("other", "level", "words"),
    [
        ({"state": "lost", "age_s": 70.0}, Level.FAIL, "b has not been seen for 70 s"),
        ({"plan": "def"}, Level.WARN, "differ in their plan: abc, def"),
        ({"version": "0.2.0"}, Level.WARN, "differ in their version"),
        ({"problems": ("no plan is in force",)}, Level.WARN, "b: no plan is in force"),
    ],
)
def test_a_node_that_is_lost_or_differs_is_told(other, level, words):
    assert judged(nodes([NODE, replace(NODE, name="b", **other)]), level, words)


def test_nodes_that_agree_or_drain_or_left_are_right():
    both = [
        NODE,
        replace(NODE, name="b", state="draining"),
        replace(NODE, name="c", state="left", plan="old"),
    ]
    found = list(nodes(both))
    assert red(found) == []
    assert [one.level for one in found] == [Level.NOTE, Level.OK]
    assert list(nodes([])) == []


def test_odd_words_of_health_are_no_reason_to_fall():
    odd = {"problems": ["x"], "workers": {"0": 7, "1": {"link": "no", "clock_restarts": "many"}}}
    assert len(red(processes(replace(RUNS, health=odd)))) == 1
    assert red(processes(replace(RUNS, health={"workers": None}))) == []


@pytest.mark.parametrize(
    ("changes", "running", "level", "words"),
    [
        ({"error": "refused"}, False, Level.FAIL, "refused"),
        ({"revision": "0099", "works_from": None}, False, Level.FAIL, "knows up to 0008"),
        ({"revision": "0099", "works_from": "0099"}, False, Level.FAIL, "knows up to 0008"),
        ({"revision": "0007"}, True, Level.WARN, "at revision 0007"),
        ({"latency_ms": 80.0}, True, Level.WARN, "80 ms"),
    ],
)
def test_a_store_that_cannot_be_used_or_is_slow_is_told(changes, running, level, words):
    assert judged(store(replace(STORE, **changes), running=running), level, words)


def test_a_newer_database_that_can_be_used_and_an_older_one_before_the_start_are_notes():
    for changes in ({"revision": "0099", "works_from": "0007"}, {"revision": "0007"}, {"open_calls": 2}):
        found = list(store(replace(STORE, **changes), running=False))
        assert Level.NOTE in [one.level for one in found]
        assert red(found) == []


def test_a_program_that_the_settings_need_has_to_be_there():
    assert judged(versions({"kamailio": None}, ["kamailio"]), Level.FAIL, "kamailio is not installed")


@pytest.mark.parametrize(
    ("version", "told"),
    [("5.6.3", True), ("5.7.0", False), ("5.10.1", False), (None, False), ("5.6.9-rc1", True)],
)
def test_a_flaw_is_told_of_versions_before_its_fix(version, told):
    found = list(flaws([FLAW], {"kamailio": version}, edge=True, loopback=True, as_of="2026-11-20"))
    assert bool(red(found)) == told


def test_a_flaw_that_the_edge_closes_is_a_note_behind_it_and_a_warning_without():
    closed = [replace(FLAW, reach="edge", fixed=""), replace(FLAW, reach="off", flaw_id="CVE-2")]
    for around in ({"edge": True, "loopback": False}, {"edge": False, "loopback": True}):
        (note,) = flaws(closed, {"kamailio": "5.6.3"}, as_of="2026-11-20", **around)
        assert (note.level, "CVE-1, CVE-2" in note.text) == (Level.NOTE, True)
    found = list(flaws(closed, {"kamailio": "5.6.3"}, edge=False, loopback=False, as_of="2026-11-20"))
    assert judged(found, Level.WARN, "CVE-1, it breaks")


def test_old_openssl_is_older_than_new():
    ancient = replace(FLAW, component="openssl-of-pjproject", fixed="1.1.1")
    there = {"openssl-of-pjproject": "1.0.2k"}
    assert red(flaws([ancient], there, edge=True, loopback=True, as_of="x"))


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"stage": "dns", "error": "no such name"}, Level.FAIL, "the name is not found"),
        ({"stage": "connect", "error": "refused"}, Level.FAIL, "no connection: refused"),
        ({"stage": "tls", "error": "expired"}, Level.FAIL, "TLS fails: expired"),
        ({"auth": 401}, Level.FAIL, "refuses the key (401)"),
        ({"auth": 429}, Level.WARN, "429"),
        ({"certificate_days": 2.0}, Level.WARN, "ends in 2 days"),
    ],
)
def test_a_provider_that_calls_would_not_reach_is_told(changes, level, words):
    assert judged(providers([replace(PROVIDER, **changes)]), level, words)


def test_an_mcp_server_that_is_away_or_of_which_nothing_is_accepted_is_told():
    assert judged(mcp([McpFacts("git", "x", "the program x is not found")]), Level.FAIL, "is not found")
    assert judged(mcp([McpFacts("git", "x")]), Level.WARN, "none of its tools was accepted")


def test_the_table_of_flaws_is_dated_and_whole():
    as_of, table = flawtable.read()
    assert as_of == "2026-11-20"
    assert len({(one.component, one.flaw_id) for one in table}) == len(table) > 20
    assert {one.reach for one in table} <= {"off", "edge", "open"}
    assert all(one.why and one.what for one in table)


@pytest.mark.parametrize(
    ("provider", "error", "local", "level"),
    [
        ("", "", True, Level.OK),
        ("https://id.example", "", True, Level.OK),
        ("https://id.example", "503", True, Level.WARN),
        ("https://id.example", "503", False, Level.FAIL),
    ],
)
def test_a_provider_that_does_not_answer_is_worse_where_there_are_no_passwords(provider, error, local, level):
    (found,) = parts.sign_in(provider, error, local=local, asked=True)
    assert found.level is level
    (unasked,) = parts.sign_in("https://id.example", "", local=True, asked=False)
    assert unasked.level is Level.NOTE
