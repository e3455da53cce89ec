"""Trunks of a real worker: Kamailio as its registrar, a raw phone behind it; keep-alive, verstat."""

import asyncio
import hashlib
from contextlib import asynccontextmanager

import pytest

from bridge.dialplan.plan import HangUpStep, Plan, RingStep, Route
from bridge.trunk import CallerId, Digest, Registration, Trunk
from tests.fakes.kamailio import kamailio, missing
from tests.fakes.ladder import check, ladder
from tests.fakes.rawphone import raw_phone
from tests.fakes.wire import wire
from tests.fakes.worker_process import running_worker

pytestmark = pytest.mark.system
needs_kamailio = pytest.mark.skipif(missing(), reason="kamailio is not installed")
GUARD_S = 10.0


class Secrets:
    """control's answer to the worker's question for a password."""

    def __init__(self, value, *, realm="", ha1=False):
        self.answer = {"user": "1001", "realm": realm, "value": value, "ha1": ha1}
        self.asked = 0

    async def __call__(self, kind, data, hello):
        assert (kind, data) == ("trunk_secret", {"trunk": "pbx"})
        self.asked += 1
        return self.answer


def trunk_to(server, **changes):
    known = {
        "host": server.host,
        "register": Registration(server.host, server.user, 10),
        "digest": Digest(server.user, "", "PBX_PASSWORD"),
        "caller_id": CallerId(server.user, host="pbx.test"),
    }
    return Trunk("pbx", **known | changes)


def plan_with(*trunks):
    return Plan((Route("all", (), (RingStep(100), HangUpStep(486, "busy"))),), (), trunks=trunks)


@asynccontextmanager
async def office(folder, secrets, *plan_trunks, **config):
    """A worker whose control knows the trunk's password."""
    async with running_worker(folder, plan_with(*plan_trunks), **config) as worker:
        worker.control.answer = secrets
        yield worker


async def told(worker, wanted):
    """Wait until the worker's status says so of its trunks."""
    async with asyncio.timeout(GUARD_S):
        while True:
            for peer in worker.link.peers():
                if wanted(peer.status.get("trunks", {})):
                    return peer.status["trunks"]
            await asyncio.sleep(0.05)


async def logged(folder, word, count=1):
    """Wait until the worker has logged it so often."""
    async with asyncio.timeout(GUARD_S):
        while (folder / "worker.log").read_text().count(word) < count:  # noqa: ASYNC110  # another process's file
            await asyncio.sleep(0.05)


@needs_kamailio
async def test_a_worker_registers_and_a_call_through_the_registrar_is_the_trunks(tmp_path):
    async with raw_phone(0) as phone, kamailio(tmp_path / "k", phone.sip_port) as server, wire() as line:
        phone.port = server.port
        ha1 = hashlib.md5(f"{server.user}:{server.realm}:{server.password}".encode()).hexdigest()
        secrets = Secrets(ha1, realm=server.realm, ha1=True)
        async with office(tmp_path, secrets, trunk_to(server)) as worker:
            await server.until("SAVED sip:1001@", "expires=10")
            await logged(tmp_path, "trunk.registered")
            assert (await phone.invite(to="1001")).status == 486
            await server.until("SAVED sip:1001@", count=2)  # again before the ten seconds are over
            worker.link.push_plan(plan_with().to_json())
            await server.until("SEEN REGISTER", "expires=0")
            check("register", line.ladder(bridge=worker.port, registrar=server.port))
        assert server.password not in (tmp_path / "worker.log").read_text()
        assert ha1 not in (tmp_path / "worker.log").read_text()


@needs_kamailio
async def test_a_wrong_password_is_told_and_not_tried_at_once_again(tmp_path):
    async with (
        raw_phone(0) as phone,
        kamailio(tmp_path / "k", phone.sip_port) as server,
        office(tmp_path, Secrets("wrong"), trunk_to(server)) as worker,
    ):
        facts = await told(worker, lambda trunks: trunks.get("pbx", {}).get("problem", "").startswith("401"))
        assert facts["pbx"]["registered"] is False
        assert len(server.seen("SEEN REGISTER")) == 2  # without and with credentials
        assert "trunk.not_registered" in (tmp_path / "worker.log").read_text()


async def test_a_trunk_that_goes_away_and_comes_back_is_told(tmp_path):
    async with raw_phone(0) as carrier:
        trunk = Trunk("pbx", host=f"127.0.0.1:{carrier.sip_port}", options_every_s=1)
        answers = [True]

        def answer(message):
            if message.method == "OPTIONS" and answers[0]:
                carrier.reply(message)

        carrier.sip.hook = answer
        async with office(tmp_path, Secrets(""), trunk) as worker:
            carrier.port = worker.port
            await logged(tmp_path, '"trunk.reachable"')
            check("options-keep-alive", ladder(trunk=carrier))
            answers[0] = False
            await logged(tmp_path, '"trunk.unreachable"')
            answers[0] = True
            await logged(tmp_path, '"trunk.reachable"', count=2)
            assert worker.alive()
