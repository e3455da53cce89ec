"""The recording of a call: begun once, paused with everything that could keep what was said."""

import pytest

from bridge.call.journal import Journal
from bridge.call.recording import CallRecording
from bridge.config import RecordingConfig
from bridge.media.recorder import RecorderThread


class Audio:
    recording_dropped_ms = 0

    def __init__(self):
        self.taps = []

    def record(self, tap):
        self.taps.append(tap)


@pytest.fixture
def setting(tmp_path):
    events, audio = [], Audio()
    journal = Journal("c1", lambda call_id, kind, data: events.append((kind, data)))
    with RecorderThread(flush_s=0.01) as recorder:
        config = RecordingConfig(enabled=True, folder=str(tmp_path))
        yield CallRecording(config, recorder, audio, journal), audio, journal, events


async def test_it_begins_once_and_is_closed_with_its_facts(setting):
    recording, audio, _, events = setting
    recording.begin()
    recording.begin()
    assert len(audio.taps) == 1
    await recording.close()
    assert [kind for kind, _ in events] == ["recording", "recording"]


async def test_words_digits_and_arguments_of_a_pause_are_not_in_the_record(setting):
    recording, _, journal, events = setting
    recording.begin()
    journal.note("speech.started", item_id="u1")
    recording.pause("tool")
    journal.note("dtmf", digit="4")
    journal.note("transcript", item_id="u2", text="four one one one")
    recording.resume("tool")
    journal.note("transcript", item_id="u1", text="begun before, ended in the pause")
    journal.note("transcript", item_id="u3", text="after")
    shown = [data.get("digit") or data.get("text") for kind, data in events if kind in {"dtmf", "transcript"}]
    assert shown == ["…", "…", "…", "after"]
    assert [kind for kind, _ in events if kind.startswith("recording.")] == [
        "recording.paused",
        "recording.resumed",
    ]


async def test_a_pause_lasts_until_everybody_who_wanted_it_resumes(setting):
    recording, _, journal, events = setting
    recording.begin()
    recording.pause("agent", hide=False)
    assert recording.command({"action": "pause"}) == {"recording": True, "paused": True, "changed": True}
    assert recording.command({"action": "pause"})["changed"] is False
    assert recording.resume("agent")
    journal.note("dtmf", digit="4")
    assert events[-1][1]["digit"] == "…"
    assert recording.command({"action": "resume"}) == {"recording": True, "paused": False, "changed": True}
    assert recording.command({"action": "resume"})["changed"] is False


def test_another_action_is_refused(setting):
    with pytest.raises(ValueError, match="pause or resume"):
        setting[0].command({"action": "stop"})


def test_a_folder_that_cannot_be_written_costs_the_recording_not_the_call(setting, tmp_path):
    _, audio, journal, events = setting
    (tmp_path / "file").write_text("")
    with RecorderThread() as recorder:
        broken = CallRecording(
            RecordingConfig(enabled=True, folder=str(tmp_path / "file")), recorder, audio, journal
        )
        broken.begin()
    assert not broken.running
    assert events[-1][1]["code"] == "unwritable"


def test_what_one_operator_pauses_another_resumes_and_a_tools_pause_stays(setting):
    recording, _, _, events = setting
    recording.begin()
    recording.command({"action": "pause", "by": "ann"})
    recording.command({"action": "pause"})
    assert recording.command({"action": "resume", "by": "bob"}) == {
        "recording": True,
        "paused": True,
        "changed": True,
    }
    assert recording.command({"action": "resume", "by": "tool"})["changed"] is False
    assert recording.command({"action": "resume"})["paused"] is False
    assert [data["by"] for kind, data in events if kind == "recording.paused"] == ["operator", "tool"]
