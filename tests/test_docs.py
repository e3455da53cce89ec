"""README, CHANGELOG and ops/: their YAML loads, their commands exist, their links lead somewhere.

A block of YAML right after a line that is nothing but `NAME`: (or a block of another kind) is a file that the other
blocks of its section find beside them.
"""

import re
import shlex
import wave
from pathlib import Path

import pytest
import typer
import yaml
from typer.core import TyperGroup

from bridge import settings
from bridge.approval.policy_schema import RuleSpec
from bridge.cli.main import COMMANDS, app
from bridge.dialplan import cases
from bridge.dialplan.load import load
from bridge.dialplan.schema import Dialplan
from bridge.dialplan.schema_cases import CaseFile
from bridge.settings_model import Settings

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
MAP = ROOT / "ops" / "dialplan.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "ops").rglob("*.md"))]
WITH_ACTIONS_TESTS_OF_THEIR_OWN = "actions"  # tests/test_actions.py
FENCE = re.compile(
    r"(?:^`(?P<name>[\w./-]+)`:\n\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
AROUND = {
    "version": 1,
    "agents": {"front-desk": {"instructions": "Be kind.", "greeting": "Hello"}},
    "routes": [{"name": "everybody", "do": [{"reject": {"status": 480}}]}],
}
"""What an example of ops/ may leave out. Those of the README are whole."""


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def sections(page):
    return re.split(r"^## ", page.read_text(), flags=re.MULTILINE)


def examples():
    """(page, number of the section, number of the block, YAML) of every block that stands for itself."""
    for page in PAGES:
        if page.parent.name == WITH_ACTIONS_TESTS_OF_THEIR_OWN:
            continue
        for section, text in enumerate(sections(page)):
            for number, found in enumerate(FENCE.finditer(text)):
                if found["kind"] == "yaml" and "/" not in (found["name"] or ""):
                    yield pytest.param(page, section, found["text"], id=f"{name_of(page)}-{section}-{number}")


def put_files_beside(folder, page, section):
    """The section's files in `folder`. The environments that have an overlay there."""
    with wave.open(str(folder / "welcome.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(320))
    for found in FENCE.finditer(sections(page)[section]):
        if found["name"] and (found["kind"] != "yaml" or "/" in found["name"]):
            path = folder / found["name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(found["text"])
    return [path.stem for path in folder.glob("overlays/*.yaml")]


@pytest.mark.parametrize(("page", "section", "text"), list(examples()))
def test_every_yaml_example_loads(tmp_path, page, section, text):
    data = yaml.safe_load(text)
    environments = put_files_beside(tmp_path, page, section)
    path = tmp_path / "main.yaml"
    if isinstance(data, list):
        assert [RuleSpec.model_validate(rule) for rule in data]
    elif "tests" in data:
        assert CaseFile.model_validate(data).tests
    elif set(data) <= set(Settings.model_fields):
        path.write_text(text)
        assert settings.load(path, {})
    else:
        assert set(data) <= set(Dialplan.model_fields), "neither a dialplan, nor tests, settings or a policy"
        around = {} if page == README else AROUND
        path.write_text(yaml.safe_dump({**around, **data}, sort_keys=False) if around else text)
        for environment in (None, *environments):
            assert load(path, environment=environment).routes


def test_the_readme_s_test_passes_on_the_readme_s_plan(tmp_path):
    texts = [found["text"] for found in FENCE.finditer(README.read_text()) if found["kind"] == "yaml"]
    (tests,) = [text for text in texts if "tests" in yaml.safe_load(text)]
    route = yaml.safe_load(tests)["tests"][0]["expect"]["route"]
    (plan,) = [text for text in texts if f"name: {route}\n" in text]
    (tmp_path / "shop.yaml").write_text(plan)
    (tmp_path / "shop.test.yaml").write_text(tests)
    loaded = load(tmp_path / "shop.yaml")
    verdicts = list(cases.judge(cases.read(tmp_path / "shop.test.yaml", loaded), loaded))
    assert [verdict.misfits for verdict in verdicts] == [()]


# ---- commands ----------------------------------------------------------------------------------------------------


def lines(page):
    """Every command line of a page: in blocks, indented, or between backticks."""
    text = page.read_text().replace("\\|", "|")
    inline = re.findall(r"`((?:\.venv/bin/)?sipbridge [^`\n]+)`", text)
    blocks = re.findall(r"^ {0,12}(?:\w+=\S+ )?((?:\.venv/bin/)?sipbridge .*)$", text, re.MULTILINE)
    for line in (*inline, *blocks):
        for one in re.split(r"; | && ", re.sub(r"\s\|\s", "|", line)):
            if one.startswith(("sipbridge ", ".venv/bin/sipbridge ")):
                yield one.removeprefix(".venv/bin/")


def commands():
    return sorted({(name_of(page), line) for page in PAGES for line in lines(page)})


def named(group, words):
    """The sub-commands that a word (`list|show`) names; None: there is none."""
    context = typer.Context(group, resilient_parsing=True)
    return [group.resolve_command(context, [one])[1] for one in words.split("|")]


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_line_exists(page, line):
    words = shlex.split(re.sub(r"[\[\]…]", " ", line), comments=True)[1:]
    found = [typer.main.get_command(app)]
    while words and isinstance(found[0], TyperGroup) and not words[0].startswith("-"):
        found = named(found[0], words.pop(0))
        assert None not in found, f"{page}: {line}"
    known = {name for one in found for option in one.params for name in option.opts} | {"--help"}
    used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert used <= known, f"{page}: {line}"


def test_the_readme_names_every_command():
    table = README.read_text().partition("\n## Commands\n")[2].partition("\n## ")[0]
    assert [name for name in COMMANDS if f"`sipbridge {name}" not in table] == []


# ---- links -------------------------------------------------------------------------------------------------------


def anchor(heading):
    """GitHub's."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def anchors(page):
    bare = FENCE.sub("", page.read_text())
    return {anchor(found) for found in re.findall(r"^#+ (.+)$", bare, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_link_is_dead(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text())):
        if target.startswith(("https://", "http://")):
            continue
        path, _, part = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if part:
            assert part in anchors(there), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_merge_was_left_half_done(page):
    assert re.findall(r"^(?:<{7}|={7}$|>{7})", page.read_text(), re.MULTILINE) == []


def test_the_map_leads_to_every_page():
    links = set(re.findall(r"\]\(([\w./-]+\.md)", MAP.read_text()))
    assert {f"actions/{page.name}" for page in (ROOT / "ops" / "actions").glob("*.md")} <= links
