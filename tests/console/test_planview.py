"""What the pages show of a plan: where things stand, what is left out of a file, and how two plans differ."""

import dataclasses

import pytest

from bridge.console import planview
from bridge.console.planview import HIDDEN, PAGE_LINES, Spot, masked
from bridge.dialplan.load import load
from bridge.errors import DialplanError, Problem

TEXT = """version: 1
agents:
  desk: {instructions: Be kind., greeting: Hello, tools: [hang_up]}
transfers:
  sales: sip:sales@pbx.example.com
flows:
  closed:
    - say: We are closed.
    - hang_up: {}
routes:
  - name: front
    when: {to: "100"}
    do:
      - agent: desk
  - name: rest
    do:
      - say: Nobody is here.
      - hang_up: {}
"""


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "shop.yaml").write_text(TEXT)
    return load(tmp_path)


def test_each_route_agent_flow_and_target_has_the_line_it_stands_on(plan):
    texts = {"shop.yaml": TEXT}
    rows, count = planview.routes(plan, texts, planview.places(texts))
    assert (count, [row.name for row in rows]) == (2, ["front", "rest"])
    assert (rows[0].spot, rows[0].facts) == (Spot("shop.yaml", 11), (("when", "to 100"),))
    assert rows[0].lines == (("- agent: desk", Spot("shop.yaml", 3)),), "a step leads to what it names"
    assert rows[1].lines[0] == ("- say: Nobody is here.", Spot())
    found = planview.sections(plan, planview.places(texts))
    assert found["agents"][0].spot == Spot("shop.yaml", 3)
    assert dict(found["agents"][0].facts)["tools"] == "hang_up"
    (agent,) = plan.agents
    spoken = dataclasses.replace(agent, provider="openai", model="gpt-realtime", voice="marin")
    plan_of_it = dataclasses.replace(plan, agents=(spoken,))
    facts = dict(planview.sections(plan_of_it, {})["agents"][0].facts)
    assert (facts["model"], facts["voice"]) == ("openai gpt-realtime", "marin")
    assert found["flows"][0].spot == Spot("shop.yaml", 7)
    assert found["transfers"][0].facts == (("to", "sip:sales@pbx.example.com"),)


def test_routes_are_found_by_what_is_in_them_and_bounded(plan):
    assert [row.name for row in planview.routes(plan, {}, {}, "NOBODY")[0]] == ["rest"]
    rows, count = planview.routes(plan, {}, {}, "", most=1)
    assert (len(rows), count) == (1, 2)


def test_a_mistake_is_shown_with_its_line_and_those_around_it(tmp_path):
    bad = TEXT.replace("- agent: desk", "- agent: dask")
    (tmp_path / "shop.yaml").write_text(bad)
    with pytest.raises(DialplanError) as refused:
        load(tmp_path)
    (found, *_) = planview.findings(refused.value.problems, {"shop.yaml": bad})
    assert found.where.startswith("shop.yaml:14:")
    assert found.spot == Spot("shop.yaml", 14)
    assert found.lines == (
        (13, "    do:", False),
        (14, "      - agent: dask", True),
        (15, "  - name: rest", False),
    )


def test_a_mistake_in_a_file_that_is_not_shown_has_no_link():
    (found,) = planview.findings([Problem("/else/where.csv", 3, 1, "", "wrong")], {"shop.yaml": TEXT})
    assert (found.where, bool(found.spot), found.lines) == ("/else/where.csv:3:1", False, ())


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("  password: hunter2", f"  password: {HIDDEN}"),
        ("  - api_key: 'sk-123'", f"  - api_key: {HIDDEN}"),
        ("  sip_password: x", f"  sip_password: {HIDDEN}"),
        ("  to: sip:bob:hunter2@pbx.example.com", f"  to: sip:bob:{HIDDEN}@pbx.example.com"),
        ("  password_env: TRUNK_PASSWORD", "  password_env: TRUNK_PASSWORD"),
        ("  max_tokens: 100", "  max_tokens: 100"),
        ("  - say: The password is on the letter.", "  - say: The password is on the letter."),
    ],
)
def test_what_looks_like_a_secret_is_not_shown(line, shown):
    assert masked(line) == shown


def test_a_file_is_shown_by_the_page_on_which_a_line_is():
    text = "\n".join(f"line {number}" for number in range(1, 2 * PAGE_LINES + 3)) + "\n"
    first, third = planview.window(text), planview.window(text, at=2 * PAGE_LINES + 1)
    assert (first.page, first.pages, first.first, len(first.lines)) == (1, 3, 1, PAGE_LINES)
    assert (third.page, third.lines) == (3, (f"line {2 * PAGE_LINES + 1}", f"line {2 * PAGE_LINES + 2}"))
    assert planview.window(text, page=99).page == 3
    assert planview.window("").total == 0


def test_texts_that_differ_are_shown_line_by_line_without_secrets():
    old, new = (
        {"a.yaml": "x: 1\npassword: a\n", "b.yaml": "y\n"},
        {"a.yaml": "x: 2\npassword: a\n", "b.yaml": "y\n"},
    )
    (found,) = planview.file_diffs(old, new)
    assert (found.name, found.lines) == (
        "a.yaml",
        ("@@ -1,2 +1,2 @@", "-x: 1", "+x: 2", f" password: {HIDDEN}"),
    )
    assert [planview.tone(line) for line in found.lines] == ["hunk", "del", "add", ""]
    (long,) = planview.file_diffs({"a.yaml": "x\n" * 15_000}, {"a.yaml": "y\n" * 15_000})
    assert (long.lines, long.cut) == ((), True)


@pytest.mark.parametrize(
    "line",
    [
        "  - {name: main, password: hunter2, host: x}",
        "x: {'api_key': 'hunter2, hunter2'}",
        '{token: "hunter2}"}',
        "password: hunter2",
    ],
)
def test_a_secret_is_hidden_wherever_it_stands_in_a_line(line):
    assert "hunter2" not in masked(line)
    assert HIDDEN in masked(line)
