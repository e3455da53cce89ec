"""The keys of the settings file. Values are tried in tests/test_settings.py, through the file."""

from dataclasses import fields

import pytest
from pydantic import BaseModel

from bridge import config
from bridge.settings_model import Deadlines, Limits, Log, Media, Section, Settings


def sections(model):
    yield model
    for info in model.model_fields.values():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from sections(info.annotation)


@pytest.mark.parametrize("model", list(sections(Settings)), ids=lambda model: model.__name__)
def test_every_key_is_described_and_every_section_is_strict(model):
    assert issubclass(model, Section)
    assert all(info.description for info in model.model_fields.values())


@pytest.mark.parametrize(
    ("model", "plain"),
    [
        (Media, config.MediaConfig),
        (Limits, config.LimitsConfig),
        (Deadlines, config.DeadlinesConfig),
        (Log, config.LogConfig),
    ],
)
def test_the_workers_defaults_are_the_settings_defaults(model, plain):
    told = {field.name for field in fields(plain)}  # the log's file is named to processes in another way
    assert plain(**model().model_dump(include=told)) == plain()
