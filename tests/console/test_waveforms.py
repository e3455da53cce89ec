"""Recordings for the pages: only files of this node's own folder, each read once."""

from dataclasses import replace

import numpy as np

from bridge.console.waveforms import MAX_KEPT, Waveforms
from bridge.records.cdr import CallRecord
from tests.media.test_peaks import write

RECORD = CallRecord("c1", "b1", 1000.0)


def recorded(path):
    return replace(RECORD, recording_path=str(path))


async def test_only_a_file_inside_of_the_folder_is_a_recording(tmp_path):
    folder = tmp_path / "recordings"
    (folder / "day").mkdir(parents=True)
    inside = write(folder / "day" / "a.wav", np.ones(80), np.ones(80))
    outside = write(tmp_path / "secret.wav", np.ones(80), np.ones(80))
    (folder / "link.wav").symlink_to(outside)
    forms = Waveforms(folder)
    assert await forms.file(recorded(inside)) == inside.resolve()
    for path in (outside, folder / "link.wav", folder / ".." / "secret.wav", folder, folder / "none.wav"):
        assert await forms.file(recorded(path)) is None, path
    assert await forms.file(RECORD) is None
    assert await Waveforms(None).file(recorded(inside)) is None


async def test_a_file_is_read_again_only_when_it_has_changed(tmp_path):
    forms, path = Waveforms(tmp_path), tmp_path / "a.wav"
    write(path, np.zeros(8000), np.zeros(8000))
    first = await forms.of(path)
    assert await forms.of(path) is first
    write(path, np.full(16_000, 9000), np.zeros(16_000))
    assert (await forms.of(path)).seconds == 2.0


async def test_what_cannot_be_read_costs_the_picture_only(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"no sound")
    assert await Waveforms(tmp_path).of(tmp_path / "a.wav") is None
    assert await Waveforms(tmp_path).of(tmp_path / "none.wav") is None


async def test_what_is_kept_has_a_bound(tmp_path):
    forms = Waveforms(tmp_path)
    for number in range(MAX_KEPT + 3):
        await forms.of(write(tmp_path / f"{number}.wav", np.ones(8), np.ones(8)))
    assert len(forms._kept) == MAX_KEPT
