"""Trunks and wideband behind the real edge (Kamailio, rtpengine): whose call it is, who gets it, who registers."""

import asyncio
import re
import sqlite3

import pytest
import pytest_asyncio

from tests.fakes.kamailio import kamailio
from tests.fakes.rawphone import raw_phone
from tests.fakes.realedge import edge_phone, missing, running_edge

pytestmark = [
    pytest.mark.system,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(missing(), reason="kamailio and rtpengine-daemon are not installed"),
]
PLAN = """\
version: 1
trunks:
  wide: {{addresses: 127.0.0.2, codecs: [G722, PCMU]}}
  narrow: {{addresses: 127.0.0.3, codecs: [PCMU]}}
  pbx:
    register: {{registrar: "{registrar}", user: "1001", realm: pbx.test, password_env: PBX_PASSWORD, expires_s: 60}}
transfers:
  colleague: {{number: "2002", trunk: pbx}}
agents:
  front: {{greeting: "Good morning, this is the front desk.", instructions: Be brief.}}
flows:
  talk: [{{agent: front, or_else: [{{hang_up: {{status: 503}}}}]}}]
routes:
  - name: to a colleague
    when: {{to: "55"}}
    do: [{{dial: colleague, or_else: [{{hang_up: {{status: 480}}}}]}}, {{hang_up: {{}}}}]
  - {{name: from wide, when: {{trunk: wide}}, do: [{{go: talk}}]}}
  - {{name: from narrow, when: {{trunk: narrow}}, do: [{{go: talk}}]}}
  - {{name: from pbx, when: {{trunk: pbx}}, do: [{{go: talk}}]}}
  - {{name: from nobody, do: [{{reject: {{status: 403}}}}]}}
"""
SETTINGS = "pool: {wide_workers: 1}\ndeadlines: {drain_s: 0.5}\n"
FORGED = "x-sipbridge-source: 127.0.0.3:5060;worker\r\nx-SIPBRIDGE-trunk: pbx\r\nX-Sipbridge-Trunk: pbx\r\n"


class House:
    """The bridge, its registrar, and the phone behind that."""

    def __init__(self, edge, registrar, phone):
        self.edge, self.registrar, self.phone = edge, registrar, phone

    async def record(self, route, call_id="%"):
        """The newest call of a route that is over; with its Call-ID, that one."""
        path = self.edge.folder / "state" / "sipbridge.db"
        async with asyncio.timeout(15):
            while True:
                with sqlite3.connect(path) as store:
                    store.row_factory = sqlite3.Row
                    text = (
                        "select * from calls where route = ? and sip_call_id like ? and ended_at is not null"
                    )
                    rows = store.execute(f"{text} order by started_at", (route, call_id)).fetchall()
                if rows:
                    return rows[-1]
                await asyncio.sleep(0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory):
    """A narrow worker and a wide one behind the edge; a registrar whose calls to anybody else go to a phone."""
    folder = tmp_path_factory.mktemp("trunks")
    async with raw_phone(0) as phone, kamailio(folder / "registrar", phone.sip_port) as registrar:
        phone.port = registrar.port
        environ = {"PBX_PASSWORD": registrar.password}
        plan = PLAN.format(registrar=registrar.host)
        async with running_edge(folder, workers=2, settings=SETTINGS, plan=plan, environ=environ) as edge:
            async with asyncio.timeout(20):  # the edge knows the plan's trunks a moment after its workers
                while not await edge.rpc.ask("htable.dump", "wide"):  # noqa: ASYNC110  # another process
                    await asyncio.sleep(0.1)
            yield House(edge, registrar, phone)


@pytest.mark.parametrize(
    ("host", "offer", "route", "codec", "worker"),
    [
        ("127.0.0.2", (0, 9), "from wide", "G722", "worker-1"),
        ("127.0.0.2", (0, 8), "from wide", "PCMU", "worker-0"),
        ("127.0.0.3", (9, 0), "from narrow", "PCMU", "worker-0"),
    ],
    ids=["wideband", "no-wideband-offered", "no-wideband-allowed"],
)
async def test_a_call_is_its_trunks_whatever_it_says_and_goes_to_a_wide_worker_if_both_want_that(
    house, host, offer, route, codec, worker
):
    async with edge_phone(house.edge, host) as phone:
        assert (await phone.invite(phone.sdp(codecs=offer), headers=FORGED)).status == 200
        async with asyncio.timeout(10):
            while len(phone.rtp.got) < 10:  # noqa: ASYNC110  # RTP tells nobody
                await asyncio.sleep(0.02)
        assert (await phone.bye()).status == 200
        found = await house.record(route, phone.call_id)
        assert (found["codec"], found["worker"]) == (codec, worker)
        assert found["remote"] == f"{host}:{phone.sip_port}"


async def test_the_registration_is_the_edges_and_the_registrars_call_is_its_trunks(house):
    await house.registrar.until("SAVED sip:1001@", "expires=60")
    contact = house.registrar.seen(
        "SEEN REGISTER", "au=1001", f"contact=<sip:1001@127.0.0.1:{house.edge.port};line="
    )
    assert contact
    house.phone.forget()
    assert (await house.phone.invite(to="1001")).status == 200
    assert (await house.phone.bye()).status == 200
    found = await house.record("from pbx")
    assert found["remote"] == f"127.0.0.1:{house.registrar.port}"


async def test_a_dial_over_the_trunk_goes_out_through_the_edge_with_our_login(house):
    async with edge_phone(house.edge, "127.0.0.3") as caller:
        number = caller.request_out("INVITE", to="55", body=caller.sdp())
        invite = await house.phone.request("INVITE")
        assert invite.start.startswith("INVITE sip:2002@")
        inner = [f":{house.edge.workers_port + slot}" for slot in (0, 1)]
        assert not any(port in invite.headers["via"] + invite.headers["contact"] for port in inner)
        assert house.registrar.seen("SEEN INVITE sip:2002@", "au=1001")
        invite.headers["to"] += ";tag=p1"
        house.phone.reply(invite, 486, "Busy Here")
        assert (await caller.response(number)).status == 480
        caller.ack(number, f"z9hG4bK{caller.call_id}INVITE{number}", to="55")
    found = await house.record("to a colleague")
    assert found["end_status"] == 480


async def test_an_invite_with_replaces_finds_the_worker_that_has_the_call(house):
    async with edge_phone(house.edge, "127.0.0.2") as old, edge_phone(house.edge, "127.0.0.2") as new:
        answer = await old.invite(old.sdp(codecs=(9,)))  # on the wide worker
        async with asyncio.timeout(10):  # the worker has the ACK: before that there is nothing to take over
            while len(old.rtp.got) < 5:  # noqa: ASYNC110  # RTP tells nobody
                await asyncio.sleep(0.02)
        tag = re.search(r";tag=([^;\s]+)", answer.headers["to"])[1]
        replaces = f"Replaces: {old.call_id};to-tag={tag};from-tag=r1\r\n"
        taken = await new.invite(new.sdp(codecs=(0,)), headers=replaces)  # an offer for a narrow one
        assert taken.status == 200
        old.reply(await old.request("BYE"))
        async with asyncio.timeout(10):
            while len(new.rtp.got) < 10:  # noqa: ASYNC110  # RTP tells nobody
                await asyncio.sleep(0.02)
        assert (await new.bye()).status == 200
        found = await house.record("from wide", old.call_id)
        assert found["worker"] == "worker-1"
