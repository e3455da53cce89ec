"""The process itself is real in one test; the others put a small script in its place."""

import asyncio
import sys

import pytest

from bridge.control_hearing import MAX_WAITING, Hearing
from bridge.errors import LinkError
from bridge.media import g711
from tests.fakes.lines import frames, silence, speech

MENU = {"1": ["sales", "new orders"], "2": ["technical support"]}
ECHO = """
import json, os, sys
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"option": str(os.getpid()), "heard": " ".join(sorted(os.environ))}), flush=True)
"""
SLOW = "import sys, time; sys.stdin.readline(); time.sleep(60)"
DEAD = "import sys; sys.stdin.readline(); sys.exit(3)"
CROSS = """
import sys
for line in sys.stdin: print('{"error": "no pronunciation is known for xyzzy"}', flush=True)
"""
CHATTY = "import sys; sys.stdin.readline(); print('hello'); sys.stdout.flush(); sys.stdin.readline()"


def script(text, deadline_s=10.0):
    return Hearing(deadline_s, (sys.executable, "-c", text))


def said(text):
    return g711.pcmu_encode(b"".join(frames(silence(200), speech(text), silence(200))))


async def test_the_real_process_understands_a_choice_and_stays():
    async with Hearing(30.0) as hearing:
        assert await hearing.hear(said("technical support"), MENU) == {
            "option": "2",
            "heard": "technical support",
        }
        assert (await hearing.hear(said("new orders please"), MENU))["option"] == "1"
        with pytest.raises(LinkError, match="xyzzy") as caught:
            await hearing.hear(said("sales"), {"1": ["xyzzy"]})
        assert caught.value.fatal


async def test_one_process_answers_all_and_gets_no_secret(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    async with script(ECHO) as hearing:
        answers = await asyncio.gather(*(hearing.hear(b"", MENU) for _ in range(5)))
    assert len({answer["option"] for answer in answers}) == 1
    assert "OPENAI_API_KEY" not in answers[0]["heard"].split()


async def test_who_takes_too_long_is_ended_and_started_anew():
    async with script(SLOW, 1.0) as hearing:
        for _ in range(2):
            with pytest.raises(LinkError, match="too long") as caught:
                await hearing.hear(b"", MENU)
            assert not caught.value.fatal


@pytest.mark.parametrize("text", [DEAD, CHATTY])
async def test_a_process_that_dies_or_babbles_is_an_error_and_not_the_end(text):
    async with script(text) as hearing:
        for _ in range(2):
            with pytest.raises(LinkError, match="understood"):
                await hearing.hear(b"", MENU)


async def test_a_question_it_cannot_answer_is_fatal_and_keeps_the_process():
    async with script(CROSS) as hearing:
        for _ in range(2):
            with pytest.raises(LinkError, match="xyzzy") as caught:
                await hearing.hear(b"", MENU)
            assert caught.value.fatal


async def test_only_so_many_wait():
    async with script(SLOW, 2.0) as hearing:
        waiting = [asyncio.create_task(hearing.hear(b"", MENU)) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(LinkError, match="too many"):
            await hearing.hear(b"", MENU)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_program_that_is_not_there_says_so():
    async with Hearing(5.0, ("/nowhere/ears",)) as hearing:
        with pytest.raises(LinkError, match="understood"):
            await hearing.hear(b"", MENU)
