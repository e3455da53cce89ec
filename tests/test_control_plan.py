import dataclasses
import wave
from pathlib import Path

import pytest

from bridge.config import PathsConfig
from bridge.control_plan import PlanFiles, around, espeak, write_atomically
from bridge.dialplan.load import PromptText
from bridge.errors import DialplanError, MediaError
from bridge.settings import Settings

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
    plan = plans.read().plan
    assert plans.last() is None
    plans.put(plan)
    assert plans.last() == plan
    (path,) = wavs(plans)
    with wave.open(str(path)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 8000)
        assert sound.getnframes() == len("Good evening")
    assert str(path) == plans.paths.prompt(path.stem)


def test_a_prompt_is_spoken_once(files):
    plans, file, spoken = files
    file.write_text(GOOD)
    plans.read()
    plans.read()
    assert spoken == ["Good evening"]


def test_every_mistake_of_a_bad_file_is_told(files):
    plans, file, spoken = files
    file.write_text(GOOD.replace("routes", "rutes").replace("version: 1", "version: 1\nspeling: 2"))
    with pytest.raises(DialplanError) as refused:
        plans.read()
    told = str(refused.value)
    assert "rutes" in told
    assert "speling" in told
    assert spoken == []


def test_a_voice_that_fails_fails_the_plan(files):
    plans, file, _ = files
    file.write_text(GOOD)

    def broken(_prompt):
        raise MediaError("no voice")

    with pytest.raises(MediaError):
        PlanFiles(plans.dialplans, plans.providers, plans.paths, broken).read()


def test_a_sound_that_is_played_is_copied_so_that_the_plan_can_come_back_without_it(files):
    plans, file, _ = files
    sound = file.parent / "hello.wav"
    with wave.open(str(sound), "wb") as made:
        made.setnchannels(1)
        made.setsampwidth(2)
        made.setframerate(8000)
        made.writeframes(b"\1\0" * 80)
    file.write_text(GOOD.replace("say: Good evening", "play: hello.wav"))
    (step, _) = plans.read().plan.steps()
    assert Path(plans.paths.prompt(step.prompt_id)).read_bytes() == sound.read_bytes()


def test_the_texts_of_the_files_come_with_the_plan(files):
    plans, file, _ = files
    file.write_text(GOOD + "# a comment\n")
    assert plans.read().sources.texts == {"a.yaml": GOOD + "# a comment\n"}


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


def test_a_plan_is_checked_against_the_settings_and_what_can_be_heard(files):
    plans, file, _ = files
    settings = Settings.model_validate({"notify": {"channels": {"ops": {"apprise_env": "OPS_URL"}}}})
    known = dataclasses.replace(plans, providers=around(settings))
    file.write_text(GOOD.replace("say: Good evening", "voicemail: {mailbox: desk, to: opps, say: Speak}"))
    with pytest.raises(DialplanError, match=r"no channel opps \(did you mean ops\?\)"):
        known.read()
    menu = 'menu: {say: Sales?, options: {"1": {words: [sales, frobnitz], do: [{answer: {}}]}}}'
    file.write_text(GOOD.replace("say: Good evening", menu))
    (odd,) = known.read().warnings
    assert "frobnitz" in odd.message
