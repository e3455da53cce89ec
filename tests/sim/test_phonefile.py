"""Scripts of the phone: what is refused, and what a good one becomes."""

from pathlib import Path

import pytest

from bridge.cli.demo import SCRIPT
from bridge.errors import MediaError, ScenarioError
from bridge.media.frame import duration_ms
from bridge.media.offline import write_wav
from bridge.media.tones import beep
from bridge.sim.phonefile import PhoneFile, load, prepare
from bridge.sim.phonescript import AfterAgent, At, DuringAgent, Press, Say, UntilHungUp, Wait


def script(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "script.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_kind_of_step_becomes_what_the_machine_knows(tmp_path: Path) -> None:
    write_wav(tmp_path / "order.wav", beep(400), 8000)
    path = script(
        tmp_path,
        """
version: 1
quiet_ms: 500
patience_ms: 3000
steps:
  - after_agent: true
  - say: Hello.
  - during_agent_ms: 2000
  - play: order.wav
  - dtmf: "12#"
  - wait_ms: 300
  - at_ms: 9000
  - until_hung_up: true
""",
    )

    lines = prepare(load(path), tmp_path)

    spoken_ms = [duration_ms(pcm) for pcm in lines.utterances]
    assert lines.patience_ms == 3000
    assert spoken_ms[1] == 400
    first, second = (step for step in lines.steps if isinstance(step, Say))
    assert (first.index, second.index) == (0, 1)
    assert first.ms > spoken_ms[0] > 200
    assert [step for step in lines.steps if not isinstance(step, Say)] == [
        AfterAgent(500),
        DuringAgent(2000),
        Press("12#"),
        Wait(300),
        At(9000),
        UntilHungUp(),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version: 1\nsteps: []\n", "script.yaml:2:8: steps"),
        ("version: 1\nsteps:\n  - sing: la\n", "script.yaml:3:5: steps[0].sing"),
        ("version: 1\nsteps:\n  - {say: a, wait_ms: 1}\n", "needs exactly one of say, play, dtmf"),
        ("version: 1\nsteps:\n  - {}\n", "needs exactly one of"),
        ('version: 1\nsteps:\n  - dtmf: "12x"\n', "script.yaml:3:11: steps[0].dtmf"),
        ("version: 1\nwpm: 5\nsteps:\n  - say: a\n", "script.yaml:2:6: wpm"),
    ],
)
def test_a_mistake_names_its_place(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(script(tmp_path, text))

    assert problem in str(caught.value)


def test_a_wav_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = PhoneFile.model_validate({"steps": [{"play": "no.wav"}]})

    with pytest.raises(MediaError, match=r"no\.wav"):
        prepare(file, tmp_path)


@pytest.mark.parametrize("seconds", [0, 121])
def test_a_recording_that_is_empty_or_too_long_is_refused(tmp_path: Path, seconds: int) -> None:
    write_wav(tmp_path / "a.wav", bytes(16_000 * seconds), 8000)
    file = PhoneFile.model_validate({"steps": [{"play": "a.wav"}]})

    with pytest.raises(MediaError, match=f"a.wav: {seconds}\\.0 s of audio"):
        prepare(file, tmp_path)


def test_a_voice_that_does_not_exist_is_named(tmp_path: Path) -> None:
    file = PhoneFile.model_validate({"voice": "nobody", "steps": [{"say": "a"}]})

    with pytest.raises(MediaError, match="nobody"):
        prepare(file, tmp_path)


def test_the_demos_own_script_is_a_good_one() -> None:
    lines = prepare(load(SCRIPT), SCRIPT.parent)

    assert len(lines.utterances) == 4
    assert any(isinstance(step, DuringAgent) for step in lines.steps)
