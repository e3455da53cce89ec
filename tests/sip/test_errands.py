"""The way to the pj thread and back."""

import asyncio
import threading

import pytest

from bridge.sip.errands import Errands


@pytest.fixture
def errands():
    """A queue with a thread that works it off whenever it is woken."""
    bell, stop = threading.Event(), threading.Event()
    one = Errands(bell.set, 5.0)

    def run():
        while not stop.is_set():
            bell.wait()
            bell.clear()
            one.work_off()

    thread = threading.Thread(target=run)
    thread.start()
    yield one
    stop.set()
    bell.set()
    thread.join()


async def test_what_a_function_gives_comes_back_from_the_other_thread(errands):
    assert await errands.submit(threading.get_ident) != threading.get_ident()


async def test_what_it_raises_comes_back_without_its_frames(errands):
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        await errands.submit(fail)
    assert "fail" not in [entry.name for entry in caught.traceback]


async def test_a_function_whose_caller_went_away_runs_all_the_same(errands):
    gate, ran = threading.Event(), threading.Event()
    errands.post(lambda: gate.wait(5) and None)
    waiting = asyncio.ensure_future(errands.submit(ran.set))
    await asyncio.sleep(0)
    waiting.cancel()
    gate.set()
    assert await asyncio.to_thread(ran.wait, 5)


async def test_a_thread_that_does_not_answer_is_not_waited_for():
    with pytest.raises(TimeoutError):
        await Errands(lambda: None, 0.01).submit(int)
