"""How full disks are: one that does not answer is waited for by one thread, and holds nobody up."""

import os
import threading

from bridge.control_disks import Disks
from bridge.settings import load

RECORDED = "recording: {enabled: true, folder: recordings}"


def disks(folder, text=RECORDED, **more):
    (folder / "bridge.yaml").write_text(text)
    (folder / "state").mkdir()
    return Disks(load(folder / "bridge.yaml", {"SIPBRIDGE_STATE_DIR": str(folder / "state")}), **more)


async def test_a_folder_that_is_not_there_yet_is_left_out(tmp_path):
    looked = disks(tmp_path)
    assert [one.what for one in await looked.look()] == ["state"]
    (tmp_path / "recordings").mkdir()
    state, recordings = await looked.look()
    assert (recordings.what, recordings.path) == ("recordings", str(tmp_path / "recordings"))
    assert 0 < state.free < state.total


async def test_a_disk_that_does_not_answer_costs_one_thread_and_holds_nobody_up(tmp_path, monkeypatch):
    answers, asked, statvfs = threading.Event(), [], os.statvfs

    def dead(folder):
        asked.append(folder)
        answers.wait(20)
        return statvfs(folder)

    monkeypatch.setattr(os, "statvfs", dead)
    looked = disks(tmp_path, "workers: 1", ask_s=0.01)
    assert [await looked.look() for _ in range(3)] == [(), (), ()]
    assert len(asked) == 1
    answers.set()
    await looked._asked
    looked._ask_s = 10
    assert [one.what for one in await looked.look()] == ["state"]
