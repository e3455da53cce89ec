"""A stand-in for Kamailio's datagram socket."""

import asyncio
import json
import os
import socket
import threading
from contextlib import asynccontextmanager

import pytest

from bridge.edge.rpc import FIFO, SOCKET, KamailioRpc
from bridge.errors import EdgeError


@asynccontextmanager
async def kamailio(folder, answer):
    """Answers each question with what `answer` makes of it; None: nothing."""
    asked = []

    class Protocol(asyncio.DatagramProtocol):
        def datagram_received(self, data, addr):
            asked.append(json.loads(data))
            if (text := answer(asked[-1])) is not None:
                transport.sendto(text.encode(), addr)

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind(str(folder / SOCKET))
        ours.setblocking(False)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Protocol, sock=ours)
        try:
            yield asked
        finally:
            transport.close()


async def test_a_question_gets_its_result_and_leaves_no_file(tmp_path):
    async with kamailio(tmp_path, lambda asked: json.dumps({"result": [asked["method"], *asked["params"]]})):
        assert await KamailioRpc(tmp_path).ask("dispatcher.set_state", "ap", 1, "sip:a") == [
            "dispatcher.set_state", "ap", 1, "sip:a",
        ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == [SOCKET]


async def test_a_refusal_says_kamailios_own_words(tmp_path):
    async with kamailio(tmp_path, lambda asked: '{"error": {"code": 500, "message": "Ongoing reload"}}'):
        with pytest.raises(EdgeError, match=r"refuses dispatcher\.reload: Ongoing reload"):
            await KamailioRpc(tmp_path).ask("dispatcher.reload")


@pytest.mark.parametrize("answer", ["no json", "[1]"])
async def test_nonsense_is_an_error(tmp_path, answer):
    async with kamailio(tmp_path, lambda asked: answer):
        with pytest.raises(EdgeError, match="not JSON"):
            await KamailioRpc(tmp_path).ask("core.uptime")


async def test_nobody_there_and_nobody_answering_are_told_apart(tmp_path):
    with pytest.raises(EdgeError, match="is not there"):
        await KamailioRpc(tmp_path).ask("core.uptime")
    async with kamailio(tmp_path, lambda asked: None):
        with pytest.raises(EdgeError, match=r"did not answer core\.uptime within"):
            await KamailioRpc(tmp_path, answer_s=0.05).ask("core.uptime")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("rpc-")]


@asynccontextmanager
async def fifo(folder, answer):
    """Kamailio's FIFO: one question, answered as Kamailio does, through the one that the question names."""
    os.mkfifo(folder / FIFO, 0o600)
    ours = os.open(folder / FIFO, os.O_RDWR | os.O_NONBLOCK)
    asked = []

    def serve():
        asked.append(json.loads(os.read(ours, 4096)))
        text = answer(asked[-1])
        if text is not None:
            with (folder / asked[-1]["reply_name"]).open("w") as theirs:  # blocks while the pipe is full
                theirs.write(text)

    loop = asyncio.get_running_loop()
    loop.add_reader(
        ours, lambda: (loop.remove_reader(ours), threading.Thread(target=serve, daemon=True).start())
    )
    try:
        yield asked
    finally:
        loop.remove_reader(ours)
        os.close(ours)


async def test_an_answer_of_any_length_comes_through_the_fifo(tmp_path):
    """A list of 2,500 workers: a datagram would have room for 36."""
    entries = [{"URI": f"sip:10.0.0.1:{port};g={life}"} for port in range(2500) for life in range(8)]
    async with fifo(tmp_path, lambda asked: json.dumps({"result": entries})) as asked:
        assert await KamailioRpc(tmp_path).ask_long("dispatcher.list", "x", 1) == entries
    assert (asked[0]["method"], asked[0]["params"]) == ("dispatcher.list", ["x", 1])
    assert not set(asked[0]["reply_name"]) & {".", "/"}  # Kamailio refuses such a name
    assert [path.name for path in tmp_path.iterdir()] == [FIFO]


async def test_a_fifo_that_nobody_reads_is_told_and_leaves_no_file(tmp_path):
    with pytest.raises(EdgeError, match="is not there"):
        await KamailioRpc(tmp_path).ask_long("dispatcher.list")
    os.mkfifo(tmp_path / FIFO)
    with pytest.raises(EdgeError, match="is not there"):
        await KamailioRpc(tmp_path).ask_long("dispatcher.list")
    assert [path.name for path in tmp_path.iterdir()] == [FIFO]


async def test_a_table_is_read_whole(tmp_path):
    slots = [{"name": "192.0.2.7", "value": 1, "type": "int"}, {"name": "x", "value": "y", "type": "str"}]
    answer = json.dumps({"result": [{"entry": 1, "size": 2, "slot": slots}, {"entry": 2}]})
    async with fifo(tmp_path, lambda asked: answer):
        assert await KamailioRpc(tmp_path).table("ban") == {"192.0.2.7": "1", "x": "y"}


async def test_an_empty_table_has_nothing(tmp_path):
    async with fifo(tmp_path, lambda asked: '{"result": null}'):
        assert await KamailioRpc(tmp_path).table("ban") == {}
