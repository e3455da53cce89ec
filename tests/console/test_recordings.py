"""Where a recording is played from: this node's folder first, then whoever else can be asked."""

from dataclasses import replace

import numpy as np
import pytest
from starlette.responses import PlainTextResponse

from bridge.console.recordings import Recordings
from bridge.console.waveforms import Waveforms
from bridge.media.peaks import Peaks
from bridge.records.cdr import CallRecord
from tests.media.test_peaks import write

RECORD = CallRecord("c1", "b1", 1000.0, node="b", recording_path="/elsewhere/c1.wav")
PEAKS = Peaks(1.0, (1,), (2,))


class OtherNodes:
    def reached(self, node):
        return node == "b"

    def console(self, node):
        return f"https://{node}.example"

    def answer(self, record, disposition):
        return PlainTextResponse(f"{record.call_id} {disposition}")

    async def peaks(self, record):
        return PEAKS if record.call_id == "c1" else None


@pytest.fixture
def recordings(tmp_path):
    return Recordings(Waveforms(tmp_path), "a", OtherNodes())


async def test_a_file_of_this_node_is_this_node_s_business(recordings, tmp_path):
    path = write(tmp_path / "c1.wav", np.ones(80), np.ones(80))
    here = replace(RECORD, recording_path=str(path))  # on shared storage it may be another node's call
    assert await recordings.find(here) == "there"
    assert (await recordings.answer(here)).media_type == "audio/wav"
    state, peaks = await recordings.look(here)
    assert state == "there"
    assert peaks not in {None, PEAKS}


async def test_a_file_of_another_node_is_asked_for_where_that_can_be_reached(recordings):
    assert await recordings.find(RECORD) == "there"
    assert (await recordings.answer(RECORD, "inline")).body == b"c1 inline"
    assert await recordings.look(RECORD) == ("there", PEAKS)
    far = replace(RECORD, node="c")
    assert (await recordings.find(far), await recordings.answer(far)) == ("elsewhere", None)
    assert await recordings.look(far) == ("elsewhere", None)
    assert recordings.console(far) == "https://c.example"


async def test_a_file_of_this_node_that_is_gone_is_nowhere(recordings):
    for node in ("", "a"):
        gone = replace(RECORD, node=node)
        assert (await recordings.find(gone), await recordings.answer(gone)) == ("gone", None)
        assert await recordings.look(gone) == ("gone", None)
    assert recordings.console(replace(RECORD, node="a")) == ""


async def test_a_node_that_says_nothing_of_a_recording_has_no_player_here(recordings):
    silent = replace(RECORD, call_id="c2")
    assert await recordings.find(silent) == "there"
    assert await recordings.look(silent) == ("elsewhere", None)


async def test_without_other_nodes_there_is_nobody_to_ask(tmp_path):
    alone = Recordings(Waveforms(tmp_path), "a")
    assert (await alone.find(RECORD), await alone.answer(RECORD)) == ("elsewhere", None)
    assert (await alone.look(RECORD), alone.console(RECORD)) == (("elsewhere", None), "")


async def test_a_call_without_a_recording_is_asked_of_nobody(recordings):
    assert await recordings.answer(replace(RECORD, recording_path=None)) is None
