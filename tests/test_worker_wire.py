import asyncio
import os

import pytest

from bridge.worker_wire import MAX_WORD_BYTES, SupervisorWire, read_config


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def wire(rest=b""):
    said = []
    return said, SupervisorWire(
        {word: lambda word=word: said.append(word) for word in ("retire", "pause")}, rest
    )


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # the pipe tells nobody
            await asyncio.sleep(0)


def test_the_configuration_is_the_first_line_and_what_follows_is_kept(pipe):
    os.write(pipe[1], b'{"index": 3}\nretire\npau')
    assert read_config(pipe[0]) == ('{"index": 3}', b"retire\npau")


def test_no_configuration_is_an_empty_one(pipe):
    os.close(pipe[1])
    assert read_config(pipe[0]) == ("", b"")


async def test_words_are_obeyed_also_those_that_came_with_the_configuration_or_in_pieces(pipe):
    said, supervisor = wire(b"retire\npau")
    supervisor.listen(pipe[0])
    assert said == ["retire"]
    os.write(pipe[1], b"se\nnonsense\n\xff\nretire\n")
    await until(lambda: len(said) == 3)
    assert said == ["retire", "pause", "retire"]
    supervisor.leave(pipe[0])


async def test_the_end_of_the_input_and_words_without_end_are_no_trouble(pipe):
    said, supervisor = wire()
    supervisor.listen(pipe[0])
    os.write(pipe[1], b"x" * 3 * MAX_WORD_BYTES)
    os.close(pipe[1])
    await until(lambda: not asyncio.get_running_loop().remove_reader(pipe[0]))
    assert said == []
    assert len(supervisor._rest) <= MAX_WORD_BYTES


async def test_a_file_instead_of_a_pipe_has_no_words(tmp_path):
    (tmp_path / "config").write_text("retire\n")
    said, supervisor = wire()
    with (tmp_path / "config").open() as file:
        supervisor.listen(file.fileno())
    assert said == []


def test_what_is_carried_is_said_once_for_each_change(pipe):
    _, supervisor = wire()
    for calls, taken in ((1, 1), (1, 1), (0, 1)):
        supervisor.status(calls, taken, pipe[1])
    assert os.read(pipe[0], 4096) == b"status calls=1 taken=1\nstatus calls=0 taken=1\n"


def test_a_supervisor_that_reads_nothing_blocks_nothing(pipe):
    _, supervisor = wire()
    for taken in range(5000):
        supervisor.status(0, taken, pipe[1])
    assert len(os.read(pipe[0], 1 << 20)) <= 65536
