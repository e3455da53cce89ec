import pytest

from bridge.control_prompts import MARGIN_S, Prompts

A, B = "a" * 16, "b" * 16
WAIT_S = 100 + MARGIN_S


@pytest.fixture
def prompts(tmp_path):
    for name in (A, B, "not-ours"):
        (tmp_path / f"{name}.wav").write_bytes(b"")
    return Prompts(tmp_path, 100)


def here(prompts):
    return {path.stem for path in prompts.folder.iterdir()}


def test_a_prompt_nobody_refers_to_stays_as_long_as_a_call_may_last(prompts):
    assert prompts.tidy({A}, 0) == []
    assert prompts.tidy({A}, WAIT_S - 1) == []
    assert here(prompts) == {A, B, "not-ours"}
    assert prompts.tidy({A}, WAIT_S) == [B]
    assert here(prompts) == {A, "not-ours"}


def test_a_prompt_that_is_used_again_meanwhile_begins_anew(prompts):
    prompts.tidy({A}, 0)
    prompts.tidy({A, B}, 50)
    prompts.tidy({A}, 60)
    assert prompts.tidy({A}, WAIT_S) == []
    assert prompts.tidy({A}, WAIT_S + 60) == [B]


def test_a_folder_that_is_not_there_is_empty(tmp_path):
    assert Prompts(tmp_path / "nothing", 1).tidy(set(), 0) == []
