import asyncio
from contextlib import asynccontextmanager

from bridge import control_watch
from bridge.control_watch import watch
from tests.fakes.link import until


class Told:
    """Counts what it is told."""

    def __init__(self):
        self.times = 0

    async def changed(self):
        self.times += 1


@asynccontextmanager
async def watching(path):
    told = Told()
    task = asyncio.create_task(watch(path, told.changed))
    try:
        await until(lambda: told.times == 2)  # once at the start, once when the kernel watches
        yield told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_looks_after_each_change(tmp_path):
    (tmp_path / "sub").mkdir()
    async with watching(tmp_path) as told:
        (tmp_path / "sub" / "a.yaml").write_text("x")
        await until(lambda: told.times == 3)


async def test_a_save_in_several_steps_is_told_once(tmp_path):
    async with watching(tmp_path) as told:
        for number in range(5):
            (tmp_path / "new").write_text(str(number))
            (tmp_path / "new").replace(tmp_path / "a.yaml")
            await asyncio.sleep(0.02)
        await until(lambda: told.times == 3)


async def test_a_file_is_watched_by_its_folder_so_that_a_new_one_in_its_place_is_seen(tmp_path):
    (tmp_path / "a.yaml").write_text("x")
    async with watching(tmp_path / "a.yaml") as told:
        (tmp_path / "new").write_text("y")
        (tmp_path / "new").replace(tmp_path / "a.yaml")
        await until(lambda: told.times == 3)


async def test_a_folder_that_is_not_there_is_looked_for_again(tmp_path, monkeypatch):
    monkeypatch.setattr(control_watch, "RETRY_S", 0.01)
    async with watching(tmp_path / "gone" / "plans") as told:
        await until(lambda: told.times > 4)
