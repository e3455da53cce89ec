import wave

import pytest
import structlog

from bridge.config import PathsConfig
from bridge.control_plan import PlanFiles, espeak, write_atomically
from bridge.dialplan.load import PromptText
from bridge.errors import MediaError

GOOD = """
version: 1
routes:
  - name: all
    do:
      - say: Good evening
      - hang_up: {}
"""


@pytest.fixture
def files(tmp_path):
    """Prompts are spoken by a voice that says one sample for each character."""
    paths = PathsConfig(
        str(tmp_path), str(tmp_path / "s"), str(tmp_path / "spool"), str(tmp_path / "prompts")
    )
    (tmp_path / "plans").mkdir()
    spoken = []

    def speak(prompt):
        spoken.append(prompt.text)
        return b"\1\0" * len(prompt.text)

    found = PlanFiles(tmp_path / "plans", ("local",), paths, speak)
    return found, tmp_path / "plans" / "a.yaml", spoken


def wavs(files):
    return sorted((files.dialplans.parent / "prompts").glob("*.wav"))


def test_a_good_plan_is_spoken_written_and_readable_by_workers(files):
    plans, file, _ = files
    file.write_text(GOOD)
    plan = plans.load()
    assert plans.last() == plan
    (path,) = wavs(plans)
    with wave.open(str(path)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 8000)
        assert sound.getnframes() == len("Good evening")
    assert str(path) == plans.paths.prompt(path.stem)


def test_a_prompt_is_spoken_once(files):
    plans, file, spoken = files
    file.write_text(GOOD)
    plans.load()
    plans.load()
    assert spoken == ["Good evening"]


def test_a_bad_file_leaves_the_plan_on_disk_and_every_mistake_is_logged(files):
    plans, file, _ = files
    file.write_text(GOOD)
    good = plans.load()
    file.write_text(GOOD.replace("routes", "rutes").replace("version: 1", "version: 1\nspeling: 2"))
    with structlog.testing.capture_logs() as logs:
        assert plans.load(good.version) is None
    assert plans.last() == good
    refused = [entry["problem"] for entry in logs if entry["event"] == "dialplan.refused"]
    assert {entry["in_force"] for entry in logs} == {good.version}
    assert any("rutes" in problem for problem in refused)
    assert any("speling" in problem for problem in refused)


def test_a_voice_that_fails_leaves_the_plan_on_disk(files, tmp_path):
    plans, file, _ = files
    file.write_text(GOOD)

    def broken(_prompt):
        raise MediaError("no voice")

    assert PlanFiles(plans.dialplans, plans.providers, plans.paths, broken).load() is None
    assert plans.last() is None


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"version":"x","routes":[],"agents":[]}'])
def test_a_broken_plan_on_disk_is_no_plan(files, content):
    plans, _, _ = files
    plans.plan_json.parent.mkdir()
    plans.plan_json.write_bytes(content)
    assert plans.last() is None


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    write_atomically(tmp_path / "deep" / "x", b"one")
    write_atomically(tmp_path / "deep" / "x", b"two")
    assert [path.read_bytes() for path in (tmp_path / "deep").iterdir()] == [b"two"]


def test_the_embedded_voice_speaks_and_falls_back_for_a_language_it_does_not_have():
    for language in ("en-us", "xx-nowhere"):
        pcm = espeak(PromptText("x", "hello", language))
        assert 0.2 < len(pcm) / 2 / 8000 < 2
