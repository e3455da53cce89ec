"""Copies of SIP messages as a capture server gets them, from a real worker process."""

import re

import pytest

from bridge.config import SipConfig
from bridge.errors import SipError
from bridge.sip.endpoint import EXTENSION
from bridge.sip.siptap import Tap
from tests.fakes.homer import homer
from tests.fakes.rawphone import raw_phone
from tests.fakes.worker_process import running_worker

pytestmark = pytest.mark.system


def first_line(copy):
    return copy["payload"].split(b"\r\n", 1)[0].decode()


async def test_every_message_of_a_call_is_copied_as_it_was_with_its_addresses(tmp_path):
    async with homer() as server:
        sip = {"hep": f"127.0.0.1:{server.port}", "hep_id": 77}
        async with running_worker(tmp_path, sip=sip) as worker, raw_phone(worker.port) as phone:
            assert (await phone.invite()).status == 200
            assert (await phone.bye()).status == 200
            await worker.ended()
            await server.until(lambda got: any("CSeq: 2 BYE" in str(one["payload"]) for one in got[-1:]))
            lines = [first_line(copy) for copy in server.got]
            incoming = [copy for copy in server.got if copy["target_port"] == worker.port]
            outgoing = [copy for copy in server.got if copy["source_port"] == worker.port]
            port = phone.sip_port
    assert [line.split(" ")[0] for line in lines].count("INVITE") == 1
    assert [line.split(" ")[1] for line in lines if line.startswith("SIP/2.0")] == [
        "100",
        "180",
        "200",
        "200",
    ]
    assert {line.split(" ")[0] for line in map(first_line, incoming)} == {"INVITE", "ACK", "BYE"}
    assert len(incoming) + len(outgoing) == len(server.got) == 7
    assert {(copy["source"], copy["source_port"]) for copy in incoming} == {("127.0.0.1", port)}
    assert {(copy["target"], copy["target_port"]) for copy in outgoing} == {("127.0.0.1", port)}
    assert {copy["agent"] for copy in server.got} == {77}
    answer = next(copy["payload"] for copy in outgoing if first_line(copy).startswith("SIP/2.0 200"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(re.search(rb"Content-Length: +(\d+)", head)[1]) == len(body)
    assert body.startswith(b"v=0")


async def test_what_the_doorman_turns_away_is_copied_too(tmp_path):
    async with homer() as server:
        sip = {"hep": f"127.0.0.1:{server.port}"}
        async with running_worker(tmp_path, sip=sip) as worker, raw_phone(worker.port) as phone:
            number = phone.request_out("MESSAGE")
            assert (await phone.response(number, "MESSAGE")).status == 405
            await server.until(lambda got: len(got) == 2)
    assert [first_line(copy).split(" ")[:2][-1] for copy in server.got][1] == "405"


async def test_a_capture_server_that_is_not_there_disturbs_nothing(tmp_path):
    async with running_worker(tmp_path, sip={"hep": "127.0.0.1:9"}) as worker:
        for _ in range(2):
            async with raw_phone(worker.port) as phone:
                assert (await phone.invite()).status == 200
                assert (await phone.bye()).status == 200
        assert {record.ended_by for record in await worker.ended(2)} == {"caller"}
        assert worker.alive()


@pytest.mark.parametrize("record", ["off", "lines", "whole"])
async def test_the_record_of_a_call_has_its_messages_as_far_as_the_settings_want_them(tmp_path, record):
    async with running_worker(tmp_path, sip={"record": record}) as worker, raw_phone(worker.port) as phone:
        assert (await phone.invite()).status == 200
        assert (await phone.bye()).status == 200
        await worker.ended()
        told = worker.of("sip.messages")
    lines = [line for data in told for line in data["messages"]]
    wanted = ["INVITE", "100 INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"]
    assert [line["what"] for line in lines] == ([] if record == "off" else wanted)
    assert {data["leg"] for data in told} <= {"caller"}
    assert [line["sent"] for line in lines[:2]] == ([] if record == "off" else [False, True])
    assert ["text" in line for line in lines] == [record == "whole"] * len(lines)
    assert [line["mono"] for line in lines] == sorted(line["mono"] for line in lines)


def test_without_a_capture_server_there_is_no_tap():
    assert Tap.of(EXTENSION, SipConfig()) is None
    assert Tap.of(EXTENSION, SipConfig(record="off"), lambda *_: None) is None


@pytest.mark.parametrize("where", ["homer:9060", "127.0.0.1", "192.0.2.1:0x"])
def test_an_address_that_is_none_is_refused(where):
    with pytest.raises(SipError):
        Tap.of(EXTENSION, SipConfig(hep=where))


def test_a_message_that_does_not_lie_where_it_should_ends_the_copies_and_nothing_else():
    tap = Tap.of(EXTENSION, SipConfig(hep="127.0.0.1:9"))

    def broken(_data):
        raise LookupError("elsewhere")

    try:
        assert tap._copy(broken, 0, sent=True) == 0
        assert tap.received(0) == tap.sent(0) == 0  # address 0 is not read any more
    finally:
        tap.close()
