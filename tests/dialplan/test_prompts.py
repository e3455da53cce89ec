"""Prompt files used by agents, as ops live them: through the loaded plan, with every mistake in its place."""

from datetime import UTC, datetime

import pytest

from bridge.call.agentsession import session_config
from bridge.config import MediaConfig, ProviderConfig
from bridge.dialplan import load as loading
from bridge.dialplan.facts import CallFacts
from bridge.dialplan.plan import Plan
from bridge.dialplan.variables import Scene
from bridge.errors import DialplanError

PROMPT = """\
---
id: front-desk
version: "3"
description: The front desk.
language: de
greeting: Hello, this is {{ company }}.
variables:
  company: {type: text, description: Name of the shop.}
  days: {type: list, default: [Mon]}
  vip: {type: bool, required: false}
examples:
  - variables: {company: Acme, vip: true}
    caller: {name: Ann}
    expect_contains: ["front desk of Acme", "Mon", "Ann"]
    expect_not_contains: ["{{"]
---
You are the front desk of {{ company }}, open on {{ days }}.
{% if vip %}
Be brief.
{% endif %}
{% include "_manners.md" %}
"""
MANNERS = 'Be kind to "{{ caller.name }}".\n'
PLAN = """\
version: 1
agents:
  desk:
    prompt: {id: front-desk, version: 3, variables: {company: Acme}}
routes:
  - name: all
    do: [{agent: desk}]
"""
NOW = datetime(2026, 11, 20, 9, 5, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "front.md").write_text(PROMPT)
    (tmp_path / "prompts" / "_manners.md").write_text(MANNERS)
    (tmp_path / "plan.yaml").write_text(PLAN)
    return tmp_path


def change(folder, old, new, name="prompts/front.md"):
    path = folder / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def session_of(plan, name="Ann"):
    scene = Scene(CallFacts("100", "+4930", name), NOW)
    return session_config(plan.agents[0], ProviderConfig(), MediaConfig(), scene)


def problems(folder):
    with pytest.raises(DialplanError) as caught:
        loading.load(folder)
    return [f"{p.file.removeprefix(f'{folder}/')}:{p.line}:{p.column} {p.key}: {p.message} | {p.hint}"
            for p in caught.value.problems]  # fmt: skip


def test_an_agent_speaks_by_its_prompt_file(folder):
    plan = Plan.from_json(loading.load(folder).to_json())
    session = session_of(plan, 'Eve" {{ company }}')
    assert session.instructions == (
        'You are the front desk of Acme, open on Mon.\nBe kind to "Eve\' (( company ))".'
    )
    assert session.greeting == "Hello, this is Acme."
    assert (plan.agents[0].prompt, plan.agents[0].language) == ("front-desk@3", "de")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("prompts/front.md", "open on", "closed on"),
        ("prompts/_manners.md", "kind", "kinder"),
        ("plan.yaml", "Acme", "Emca"),
    ],
)
def test_another_text_snippet_or_value_is_another_plan(folder, file, old, new):
    before = loading.load(folder).version
    change(folder, old, new, file)
    assert loading.load(folder).version != before


def test_versions_stand_side_by_side_and_the_agent_says_which(folder):
    (folder / "prompts" / "front-4.md").write_text(
        PROMPT.replace('"3"', '"4"').replace("open on", "there on")
    )
    assert "open on" in session_of(loading.load(folder)).instructions
    change(folder, "version: 3", "version: 4", "plan.yaml")
    assert "there on" in session_of(loading.load(folder)).instructions
    change(folder, "version: 4, ", "", "plan.yaml")
    assert "several versions | version: 3 or 4" in problems(folder)[0]


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        ("plan.yaml", "id: front-desk", "id: front-dsk", "plan.yaml:4:18 agents.desk.prompt.id: no prompt front-dsk"),
        ("plan.yaml", "version: 3", "version: 9", "plan.yaml:4:39 agents.desk.prompt.version: prompt"),
        ("plan.yaml", "company: Acme", "compny: Acme", "the prompt has no variable compny | did you mean company?"),
        ("plan.yaml", "{company: Acme}", "{}", "the prompt's variable company has no value | Name of the shop."),
        ("plan.yaml", "company: Acme", "company: 5", "the variable company is a text"),
        ("plan.yaml", "    prompt", "    instructions: x\n    prompt", "instructions and prompt | keep one"),
        ("prompts/front.md", "{{ days }}", "{{ dayz }}", "prompts/front.md:17:1 : no such variable: dayz"),
        ("prompts/front.md", "{% endif %}", "", "prompts/front.md:18:1 : Unexpected end of template"),
        ("prompts/_manners.md", "caller.name", "caller.nam", "prompts/_manners.md:1:1 : no such variable: caller.nam"),
        ("prompts/front.md", "_manners.md", "_maners.md", "prompts/front.md:21:1 : _maners.md cannot be read"),
        ("prompts/front.md", "_manners.md", "../plan.yaml", "prompts/front.md:21:1 : ../plan.yaml is not a snippet"),
        ("prompts/front.md", "_manners.md", "front.md", "is not a snippet"),
        ("prompts/front.md", "front desk of Acme", "back desk", "prompts/front.md:14:23 examples[0].expect"),
        ("prompts/front.md", '{{"]', 'Acme"]', "examples[0].expect_not_contains[0]: the text has this"),
        ("prompts/front.md", "company: Acme, vip: true", "vip: 3", "variables.vip: the variable vip is a bool"),
        ("prompts/front.md", "  vip:", "  vipp: {default: x}\n  vip:", "variables.vipp: nothing uses this variable"),
        ("prompts/front.md", "[Mon]", "Mon", "variables.days.default: the default is not a list"),
        ("prompts/front.md", "  vip:", "  caller: {}\n  vip:", "variables.caller: the name caller is taken"),
        ("prompts/front.md", "this is {{ company }}", "this is {{ cmpany }}", "greeting: no such variable: cmpany"),
        ("prompts/front.md", "version:", "verzion:", "perhaps it is in this file"),
        ("prompts/front.md", "---\nid", "--\nid", "there is no front matter"),
        ("prompts/_manners.md", "Be", '{% include "_manners.md" %}\nBe', "_manners.md includes itself"),
        ("prompts/front.md", "type: list", "type: lst", "perhaps it is in this file"),
    ],
)  # fmt: skip
def test_each_mistake_is_told_with_its_file_and_line(folder, file, old, new, found):
    change(folder, old, new, file)
    assert any(found in one for one in problems(folder)), problems(folder)


def test_a_snippet_that_leads_out_of_the_folder_is_not_read(folder):
    (folder / "secret.txt").write_text("the secret")
    (folder / "prompts" / "_manners.md").unlink()
    (folder / "prompts" / "_manners.md").symlink_to(folder / "secret.txt")
    assert "leads out of the folder" in problems(folder)[0]


def test_a_mistake_in_a_prompt_nobody_uses_is_a_warning(folder):
    (folder / "prompts" / "other.md").write_text("---\nid: other\nversion: 1\n---\n{{ nothing }}\n")
    found = loading.inspect(folder).warnings
    assert [(one.line, one.message) for one in found if one.file.endswith("other.md")] == [
        (5, "no such variable: nothing")
    ]


def test_two_files_with_the_same_version_are_a_mistake(folder):
    (folder / "prompts" / "copy.md").write_text(PROMPT)
    assert "is in several files: copy.md, front.md" in problems(folder)[0]


def test_a_prompt_of_the_servers_own_is_passed_through_with_the_callers_facts_as_data(tmp_path):
    (tmp_path / "p.yaml").write_text(
        "version: 1\nagents:\n  a:\n    stored_prompt:\n      id: pmpt_1\n      version: 2\n"
        "      variables: {who: '{{ caller.name }}'}\nroutes: [{name: r, do: [{agent: a}]}]\n"
    )
    found = loading.inspect(tmp_path / "p.yaml")
    session = session_of(found.plan, "Ann {{ x }}").to_session()
    assert session["prompt"] == {"id": "pmpt_1", "version": "2", "variables": {"who": "Ann (( x ))"}}
    assert "instructions" not in session
    assert any("must keep this prompt" in one.message for one in found.warnings)
