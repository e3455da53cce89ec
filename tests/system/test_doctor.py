"""`sipbridge doctor` beside a running bridge: nothing to mend, a test call is heard; then a worker is frozen."""

import json
import os
import re
import signal

import pytest

from bridge.cli.demo import embedded_bridge, environment
from bridge.doctor.gather_network import ports
from bridge.doctor.gather_parts import sip_ports
from bridge.settings import load
from tests.fakes.realedge import ECHO_PLAN, TRUNKS, missing, running_edge
from tests.system.test_tools import sipbridge

pytestmark = pytest.mark.system


async def findings(environ, *words):
    status, output = await sipbridge(environ, "doctor", "--json", "--offline", *words)
    return status, json.loads(output)["findings"]


def worker_of(folder):
    """The process that has the SIP port of worker 0."""
    ((address, port),) = sip_ports(folder)
    (facts,) = ports([("worker", "udp", address, port)], None)
    return int(re.search(r"process (\d+)", facts.who)[1])


async def test_a_running_bridge_is_whole_and_a_frozen_worker_is_found(tmp_path):
    environ = environment(tmp_path, os.environ)
    async with embedded_bridge(tmp_path, environ):
        status, found = await findings(environ, "--call", "199")
        assert [one for one in found if one["level"] == "fail"] == []
        assert status == 0
        texts = "\n".join(one["text"] for one in found)
        assert re.search(
            r"a call to 199 was answered after \d+ ms and heard \d+ packets of PCMU from 127\.", texts
        )
        assert re.search(r"answers OPTIONS with 200 after \d+ ms", texts)
        assert "1 of 1 workers" in texts
        worker = worker_of(tmp_path)
        os.kill(worker, signal.SIGSTOP)
        try:
            status, found = await findings(environ)
        finally:
            os.kill(worker, signal.SIGCONT)
        assert status == 1
        assert any(one["section"] == "call" and "does not answer" in one["text"] for one in found)


@pytest.mark.skipif(missing(), reason="kamailio and rtpengine are not installed")
async def test_behind_the_edge_a_test_call_sees_the_edge_s_addresses(tmp_path):
    plan = ECHO_PLAN.format(trunks=TRUNKS)
    async with running_edge(tmp_path, plan=plan) as edge:
        config = ("--config", str(tmp_path / "bridge.yaml"))
        status, output = await sipbridge(
            edge.environ, "doctor", "--json", "--offline", "--call", "100", *config
        )
        found = json.loads(output)["findings"]
        assert [one for one in found if one["level"] == "fail"] == [], edge.log()[-2000:]
        assert status == 0
        texts = "\n".join(one["text"] for one in found)
        heard = re.search(r"heard \d+ packets of PCMU from 127\.0\.0\.1:(\d+)", texts)
        first, _, last = load(tmp_path / "bridge.yaml", {}).sip.rtp_ports.partition("-")
        assert int(first) <= int(heard[1]) <= int(last)  # rtpengine's, not the worker's
        assert re.search(r"4 ports are ours", texts), texts
