"""The page of every action: it is there, its YAML loads, its ladder is the one that was seen."""

import re
import wave
from pathlib import Path

import pytest
import yaml

from bridge.dialplan.load import load
from bridge.dialplan.schema_steps import VERBS, Step

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "ops" / "actions"
AROUND = {
    "version": 1,
    "agents": {"front-desk": {"instructions": "Be kind.", "greeting": "Hello"}},
    "transfers": {"reception": "sip:reception@pbx.example.com", "sales": "sip:sales@pbx.example.com"},
}


def blocks(page, kind):
    return re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)


@pytest.mark.parametrize("verb", VERBS)
def test_every_action_has_a_page_with_an_example_that_loads(tmp_path, verb):
    page = (PAGES / f"{verb}.md").read_text()
    (example,) = blocks(page, "yaml")
    data = yaml.safe_load(example)
    for key, value in AROUND.items():
        data[key] = {**value, **data.get(key, {})} if isinstance(value, dict) else value
    with wave.open(str(tmp_path / "welcome.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(320))
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    plan = load(tmp_path)
    assert verb in {step.TAG for step in plan.steps()}


@pytest.mark.parametrize("verb", VERBS)
def test_every_key_of_an_action_is_explained(verb):
    page = (PAGES / f"{verb}.md").read_text()
    (model,) = list(_models(Step.model_fields[verb].annotation)) or [None]
    for name in getattr(model, "model_fields", {}):
        assert re.search(rf"\b{name}\b", page), f"{verb}.md says nothing of {name}"


def _models(annotation):
    for one in getattr(annotation, "__args__", (annotation,)):
        if hasattr(one, "model_fields"):
            yield one
        elif hasattr(one, "__origin__") and hasattr(one.__origin__, "model_fields"):
            yield one.__origin__


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_ladders_in_the_pages_are_the_ones_that_were_seen(page):
    text = page.read_text()
    named = re.findall(r"\(tests/data/ladders/([a-z-]+)\.txt\)", text)
    shown = blocks(text, "text")
    assert len(named) == len(shown)
    for name, ladder in zip(named, shown, strict=True):
        assert ladder == (ROOT / "tests" / "data" / "ladders" / f"{name}.txt").read_text()
