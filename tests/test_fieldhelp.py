"""Words for mistakes."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Discriminator, Field, ValidationError

from bridge.fieldhelp import allowed_keys, explain, nearest


class Cat(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: Literal["dog"]
    tricks: dict[str, Cat] = Field(default_factory=dict)


class Home(BaseModel):
    pets: list[Annotated[Cat | Dog, Discriminator("type")]] = Field(alias="animals")
    size: int | None = None


def test_a_close_name_is_suggested_and_else_all_are_shown():
    assert nearest("prot", ["port", "bind"]) == "did you mean port?"
    assert nearest("zzz", ["port", "bind"]) == "allowed: bind, port"
    assert nearest("zzz", []) == ""
    assert nearest("zzz", [f"k{i:02d}" for i in range(30)]).endswith("k19, …")


def test_allowed_keys_follow_aliases_lists_tags_and_mappings():
    assert allowed_keys(Home, []) == ["animals", "size"]
    assert allowed_keys(Home, ["animals", 0, "dog"]) == ["type", "tricks"]
    assert allowed_keys(Home, ["animals", 0, "dog", "tricks", "sit"]) == ["type", "lives"]


def test_an_unknown_kind_of_mistake_keeps_pydantics_words():
    with pytest.raises(ValidationError) as caught:
        Home.model_validate({"animals": [{"type": "cat", "lives": "many"}]})
    message, hint = explain(caught.value.errors()[0], Home, "many")
    assert message.startswith("input should be a valid integer")
    assert hint == ""
