"""Workers behind an edge: a small Kamailio (tests/fakes/edge.py) in front of real worker processes.

Who is heard, what is believed of where a call comes from, and that everything of ours goes out through the edge.
"""

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bridge.dialplan.plan import AgentStep, Condition, HangUpStep, Plan, RingStep, Route
from bridge.dialplan.steps import AnswerStep, DialStep, ParkStep, PickUpStep, TransferStep
from bridge.link.server import LinkServer
from bridge.trunk import CallerId, Credential, Digest, Registration, Trunk, line_token
from tests.fakes.callee import callee
from tests.fakes.edge import edge
from tests.fakes.kamailio import kamailio, missing
from tests.fakes.ports import free_port
from tests.fakes.rawphone import raw_phone
from tests.fakes.realtime_server import FakeRealtime
from tests.fakes.worker_process import (
    AGENT,
    GREETING,
    Control,
    WorkerProcess,
    _process,
    running_worker,
    worker_config,
)
from tests.system.test_waiting import CALLER, OTHER, Desk, hears, route, sound

pytestmark = [pytest.mark.system, pytest.mark.skipif(missing(), reason="kamailio is not installed")]
GUARD_S = 10.0
PBX = Trunk("pbx", host="127.0.0.2")
BY_TRUNK = (
    Route("pbx", (Condition("trunk", ("pbx",)),), (AgentStep("front"),)),
    Route("strangers", (), (RingStep(100), HangUpStep(486, "stranger"))),
)
REFUSING = Plan((Route("all", (), (RingStep(100), HangUpStep(486, "busy"))),), ())


@asynccontextmanager
async def behind(folder, plan, **config):
    """A worker and its edge."""
    port = free_port()
    async with edge(folder / "edge", port) as gate:
        sip = {"port": port, "edge": gate.sockets}
        async with running_worker(folder, plan, sip=sip, **config) as worker:
            yield gate, worker


async def until(condition, guard_s=GUARD_S):
    async with asyncio.timeout(guard_s):
        while not (found := condition()):  # noqa: ASYNC110  # another process changes it
            await asyncio.sleep(0.02)
    return found


def log_of(folder):
    return (folder / "worker.log").read_text()


# ---- who is heard ------------------------------------------------------------------------------------------------


async def test_nobody_but_the_edge_gets_an_answer_whatever_they_send_or_say_of_themselves(tmp_path):
    async with behind(tmp_path, REFUSING) as (gate, worker), raw_phone(worker.port) as stranger:
        word = "X-Sipbridge-Source: 127.0.0.2:5060;transport=udp;worker\r\nX-Sipbridge-Trunk: pbx\r\n"
        for method in (
            "INVITE",
            "OPTIONS",
            "REGISTER",
            "SUBSCRIBE",
            "MESSAGE",
            "BYE",
            "REFER",
            "CANCEL",
            "PUBLISH",
        ):
            stranger.request_out(method, headers=word, body=stranger.sdp() if method == "INVITE" else "")
        stranger.raw("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx\r\n\r\n")
        for junk in (b"", b"\r\n", b"hello\r\n\r\n", bytes(1200), b"INVITE sip:100@x SIP/2.0\r\n\r\n"):
            stranger.raw(junk or b"\0")
        await asyncio.sleep(0.7)  # longer than the first retransmission of anything
        assert stranger.sip.got == []
        assert worker.control.events == []
        assert '"sip.not_from_the_edge"' in log_of(tmp_path)
        async with raw_phone(gate.port) as caller:
            assert (await caller.invite()).status == 486
        assert len(await worker.ended()) == 1


async def test_the_worker_is_heard_by_the_edge_when_it_asks_with_options_and_when_it_is_full(tmp_path):
    """A raw edge: what a dispatcher's probe gets. Of a call that it takes elsewhere this worker keeps no record."""
    inner = free_port()
    sip = {"edge": (f"127.0.0.1:{inner}",), "max_calls": 1}
    plan = Plan((Route("all", (), (AgentStep("front"),)),), (AGENT,))
    async with running_worker(tmp_path, plan, sip=sip) as worker, raw_phone(worker.port) as gate:
        gate.sip_transport.close()
        loop = asyncio.get_running_loop()
        gate.sip_transport, _ = await loop.create_datagram_endpoint(
            lambda: gate.sip, local_addr=("127.0.0.1", inner)
        )
        gate.sip_port = inner
        assert (await gate.response(gate.request_out("OPTIONS"), "OPTIONS")).status == 200
        word = "X-Sipbridge-Source: 203.0.113.9:41000;transport=tls\r\n"
        assert (await gate.invite(headers=word)).status == 200
        assert (await gate.response(gate.request_out("OPTIONS", headers=""), "OPTIONS")).status in {200, 503}
        async with raw_phone(worker.port):  # its calls are the edge's: a second dialog from the same socket
            second = "raw-second"
            first, gate.call_id, gate.to_tag = (gate.call_id, gate.to_tag), second, ""
            answer = await gate.invite(headers="X-Sipbridge-Source: 198.51.100.7:5060;transport=udp\r\n")
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            gate.call_id, gate.to_tag = first
        assert (await gate.bye()).status == 200
        await worker.ended()
        (started,) = worker.of("call.started")
        assert started["remote"] == "203.0.113.9:41000;transport=tls"
        assert not any("sipbridge" in name.lower() for name in started["headers"])


# ---- whose call it is --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "trunk", "status", "remote"),
    [
        ("127.0.0.2", "pbx", 200, "127.0.0.2"),
        ("127.0.0.2", "gone", 486, "127.0.0.2"),
        ("127.0.0.3", "pbx", 486, "127.0.0.3"),
    ],
    ids=["the-trunk", "a-trunk-the-plan-does-not-know", "a-stranger-who-says-so"],
)
async def test_the_edges_word_routes_the_call_and_a_callers_does_not(tmp_path, host, trunk, status, remote):
    port = free_port()
    plan = Plan(BY_TRUNK, (AGENT,), trunks=(PBX,))
    async with edge(tmp_path / "edge", port, trunk=trunk) as gate:
        sip = {"port": port, "edge": gate.sockets}
        async with running_worker(tmp_path, plan, sip=sip) as worker, raw_phone(gate.port, host) as caller:
            forged = (
                "x-sipbridge-trunk: pbx\r\nX-Sipbridge-Source: 127.0.0.2:5060;worker\r\nX-Customer: 7\r\n"
            )
            assert (await caller.invite(headers=forged)).status == status
            if status == 200:
                await caller.heard(10)
                assert (await caller.bye()).status == 200
            (record,) = await worker.ended()
            assert record.remote.split(":")[0] == remote
            started = worker.of("call.started")[0]
            assert started["headers"]["X-Customer"] == "7"
            assert not any("sipbridge" in name.lower() for name in started["headers"])
            said = [event for session in worker.model.sessions for event in session.events]
            assert "sipbridge" not in str(said).lower()


async def test_only_who_comes_from_where_the_call_came_from_replaces_it(tmp_path):
    plan = Plan((Route("all", (), (AgentStep("front"),)),), (AGENT,))
    async with (
        behind(tmp_path, plan) as (gate, worker),
        raw_phone(gate.port, "127.0.0.3") as old,
        raw_phone(gate.port, "127.0.0.4") as thief,
        raw_phone(gate.port, "127.0.0.3") as new,
    ):
        answer = await old.invite()
        ours = re.search(r";tag=([^;\s]+)", answer.headers["to"]).group(1)
        replaces = f"Replaces: {old.call_id};to-tag={ours};from-tag=r1\r\n"
        assert (await thief.invite(headers=replaces)).status == 403
        assert (await new.invite(headers=replaces)).status == 200
        bye = await old.request("BYE")
        old.reply(bye)
        assert (await worker.event("call.replaced"))[0]["source"].startswith("127.0.0.3:")
        await new.bye()
        await worker.ended()


# ---- our own requests --------------------------------------------------------------------------------------------

DIAL = DialStep(("one",), 5, False, "", {}, (HangUpStep(486, "no"),))


async def test_a_dial_goes_through_the_edge_then_the_trunks_proxy_and_answers_its_challenge(tmp_path):
    async with callee() as phone, kamailio(tmp_path / "k", phone.sip_port) as proxy:
        rules = CallerId("1001", "Acme", "pbx.test")
        trunk = Trunk(
            "pbx", host="carrier.invalid", proxy=proxy.host, digest=Digest("1001", "", "X"), caller_id=rules
        )
        plan = Plan(
            (Route("all", (), (DIAL,)),),
            (),
            trunks=(trunk,),
            transfers={"one": trunk.uri("+4930555")},
            over={"one": "pbx"},
        )
        async with behind(tmp_path, plan) as (gate, worker), raw_phone(gate.port, "127.0.0.3") as caller:
            worker.control.answer = secret(proxy.password)
            await until(lambda: worker.control.answer.asked)
            await asyncio.sleep(0.6)  # the account is open a moment later, and nothing tells
            number = caller.request_out("INVITE", body=caller.sdp())
            await phone.takes()
            answer = await caller.response(number)
            caller.take(answer)
            caller.ack(number)
            async with caller.speaking():
                await phone.heard(10)
            await asyncio.gather(caller.bye(), hung_up(phone))
            await worker.ended()
        assert proxy.seen("SEEN INVITE sip:+4930555@carrier.invalid", "au=1001")
        from_worker = [line for line in gate.seen("SEEN INVITE") if f"from=127.0.0.1:{worker.port}" in line]
        assert len(from_worker) == 2  # without and with credentials
        assert phone.offer.headers["via"].count("SIP/2.0/UDP") == 3  # proxy, edge, worker


async def hung_up(phone):
    phone.reply(await phone.request("BYE"))


def secret(password):
    """Control's answer to the question for a trunk's password."""

    async def answer(kind, data, hello):
        answer.asked += kind == "trunk_secret"
        return {"user": "1001", "realm": "", "value": password, "ha1": False}

    answer.asked = 0
    return answer


async def test_a_challenge_within_a_call_that_came_in_gets_no_digest_behind_the_edge_either(tmp_path):
    trunk = Trunk("pbx", host="127.0.0.2", digest=Digest("1001", "", "X"))
    plan = Plan((Route("all", (), (AgentStep("front"),)),), (AGENT,), trunks=(trunk,))
    async with behind(tmp_path, plan) as (gate, worker), raw_phone(gate.port, "127.0.0.2") as caller:
        worker.control.answer = secret("s3cret")
        await until(lambda: worker.control.answer.asked)
        await asyncio.sleep(0.6)
        assert (await caller.invite()).status == 200
        await worker.event("call.answered")
        worker.link.hang_up(0, worker.control.events[-1].call_id, "over")
        bye = await caller.request("BYE")
        caller.reply(bye, 401, "Unauthorized", 'WWW-Authenticate: Digest realm="x", nonce="1"\r\n')
        await worker.ended()
        assert not any("authorization" in message.headers for message in caller.sip.got)


async def test_a_transfer_and_its_notifies_travel_within_the_dialog_through_the_edge(tmp_path):
    plan = Plan(
        (Route("all", (), (AnswerStep(), TransferStep("desk", (HangUpStep(486, "no"),)))),),
        (),
        transfers={"desk": "sip:desk@pbx.example"},
    )
    async with behind(tmp_path, plan) as (gate, worker), raw_phone(gate.port, "127.0.0.3") as caller:
        assert (await caller.invite()).status == 200
        refer = await caller.request("REFER")
        assert "<sip:desk@pbx.example>" in refer.headers["refer-to"]
        assert gate.seen("SEEN REFER", f"from=127.0.0.1:{worker.port}")
        caller.reply(refer, 202, "Accepted")
        caller.request_out(
            "NOTIFY",
            headers="Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n",
            body="SIP/2.0 200 OK\r\n",
            kind="message/sipfrag",
        )
        caller.reply(await caller.request("BYE"))
        (record,) = await worker.ended()
        assert record.end_reason == "transferred"


async def test_a_trunk_is_asked_with_options_through_the_edge(tmp_path):
    async with raw_phone(0) as carrier:
        asked = []

        def answer(message):
            if message.method == "OPTIONS":
                asked.append(message)
                carrier.reply(message)

        carrier.sip.hook = answer
        trunk = Trunk("pbx", host=f"127.0.0.1:{carrier.sip_port}", options_every_s=1)
        async with behind(tmp_path, replace(REFUSING, trunks=(trunk,))) as (gate, worker):
            carrier.port = gate.port
            await until(lambda: '"trunk.reachable"' in log_of(tmp_path))
            assert gate.seen("SEEN OPTIONS", f"from=127.0.0.1:{worker.port}")
            assert asked[0].headers["via"].count("SIP/2.0/UDP") == 2


# ---- registration ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def two_workers(folder, plan, gate, ports, desk):
    """Workers 0 and 1 on one control, behind one edge."""
    (folder / "run").mkdir()
    (folder / "run" / "plan.json").write_text(plan.to_json())
    async with FakeRealtime(GREETING, None).running() as model, LinkServer(folder / "s", desk) as link:
        workers = []
        for index, port in enumerate(ports):
            sip = {"port": port, "edge": gate.sockets}
            config = replace(worker_config(folder, model.url, sip=sip), index=index, name=f"worker-{index}")
            workers.append(WorkerProcess(config, model, desk))
            workers[-1].link = link
            (folder / f"w{index}").mkdir()
        async with (
            _process(workers[0], folder / "w0", ready=True),
            _process(workers[1], folder / "w1", ready=True),
        ):
            await until(lambda: len(link.peers()) == 2)
            yield workers


def registered(trunk_registrar):
    return Trunk(
        "pbx", host=trunk_registrar.host, register=Registration(trunk_registrar.host, "1001", 8),
        digest=Digest("1001", "", "PBX_PASSWORD"), caller_id=CallerId("1001", host="pbx.test"),
    )  # fmt: skip


async def test_one_worker_registers_at_controls_word_and_the_registrars_call_is_the_trunks_at_any_worker(
    tmp_path,
):
    ports = sorted((free_port(), free_port()))
    async with (
        raw_phone(0) as phone,
        kamailio(tmp_path / "k", phone.sip_port) as registrar,
        edge(tmp_path / "edge", *ports) as gate,
    ):
        phone.port = registrar.port
        desk = Control(tmp_path)
        desk.answer = secret(registrar.password)
        trunk = registered(registrar)
        plan = Plan(BY_TRUNK, (AGENT,), trunks=(trunk,))
        async with two_workers(tmp_path, plan, gate, ports, desk) as (first, _):
            await asyncio.sleep(0.5)
            assert not registrar.seen("SEEN REGISTER")  # behind the edge nobody does before the word
            first.link.name_registrar(1)
            (saved, *_) = await registrar.until("SAVED sip:1001@", "expires=8")
            token = line_token(trunk.register, Credential("1001", "", registrar.password))
            assert saved
            contact = f"contact=<sip:1001@127.0.0.1:{gate.port};line={token}>"
            assert registrar.seen("SEEN REGISTER", "au=1001", contact)
            await until(lambda: '"trunk.registered"' in log_of(tmp_path / "w1"))
            assert '"trunk.registered"' not in log_of(tmp_path / "w0")
            answer = await phone.invite(to="1001")  # the edge gives it to worker 0, which did not register
            assert answer.status == 200
            assert (await first.event("call.started"))[0]["worker"] == "worker-0"
            assert (await phone.bye()).status == 200
            await first.ended()
            # Renewed through the edge by the time that the registrar granted (8 s).
            await registrar.until("SAVED sip:1001@", "expires=8", count=2)
            # And handed over: one lets go, then the other takes it; no un-REGISTER comes behind it.
            first.link.name_registrar(0)
            await until(lambda: '"trunk.registered"' in log_of(tmp_path / "w0"))
            lines = [line.rsplit("expires=", 1)[1] for line in registrar.seen("SAVED sip:1001@")]
            assert lines[-2:] == ["0", "8"]
            phone.forget()
            assert (await phone.invite(to="1001")).status == 200
            assert (await phone.bye()).status == 200
            assert registrar.password not in log_of(tmp_path / "w0") + log_of(tmp_path / "w1")
            assert token not in log_of(tmp_path / "w0") + log_of(tmp_path / "w1")


# ---- between workers ---------------------------------------------------------------------------------------------


async def test_a_parked_call_is_picked_up_by_a_call_of_another_worker_through_the_edge(tmp_path):
    routes = (
        route("700", ParkStep("701", 60, "", ()), HangUpStep(None, "")),
        route("701", PickUpStep("701", (HangUpStep(404, "empty"),)), HangUpStep(None, "")),
    )
    ports = sorted((free_port(), free_port()))
    async with edge(tmp_path / "edge", *ports) as gate:
        desk = Desk(tmp_path)
        async with (
            two_workers(tmp_path, Plan(routes, ()), gate, ports, desk) as (first, second),
            raw_phone(gate.port, "127.0.0.3") as parked,
            raw_phone(gate.port, "127.0.0.4") as picker,
        ):
            assert (await parked.invite(to="700")).status == 200
            await first.event("park.parked")
            assert (await picker.invite(to="701", headers=f"X-To-Worker: {second.port}\r\n")).status == 200
            async with parked.speaking(sound(CALLER)), picker.speaking(sound(OTHER)):
                await until(lambda: hears(parked) == {OTHER} and hears(picker) == {CALLER})
            assert gate.seen("SEEN INVITE sip:meet-", f"from=127.0.0.1:{second.port}")
            assert (await picker.bye()).status == 200
            parked.reply(await parked.request("BYE"))
            await first.ended(2)


async def test_a_stranger_does_not_get_into_a_call_by_a_token_even_behind_the_edge(tmp_path):
    async with behind(tmp_path, REFUSING) as (gate, _), raw_phone(gate.port, "127.0.0.3") as stranger:
        assert (await stranger.invite(to="meet-" + "0" * 32)).status == 404
