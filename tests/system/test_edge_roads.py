"""Roads through the edge: digest, TLS with SRTP, TCP, registration, calls out, the PBX when all lines are taken."""

import asyncio
import contextlib
import hashlib
import re
import ssl

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bridge.media.tones import beep
from tests.edge.test_render import make_certificate
from tests.fakes.baresip import baresip, speech_file
from tests.fakes.kamailio import kamailio
from tests.fakes.rawphone import parse, raw_phone
from tests.fakes.realedge import EdgePhone, edge_phone, missing, running_edge
from tests.fakes.trunk import answers, fake_trunk

pytestmark = [
    pytest.mark.system,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(missing(), reason="kamailio and rtpengine-daemon are not installed"),
]
PLAN = """\
version: 1
trunks:
  lo: {{addresses: [127.0.0.1, 127.0.0.3]}}
  pbx: {{digest: {{user: alice, password_env: PBX_PASSWORD}}}}
  desk:
    register: {{registrar: "127.0.0.1:{registrar}", user: "1001", password_env: DESK_PASSWORD, expires_s: 60}}
transfers: {{boss: "sip:+4930555@127.0.0.1:{callee}"}}
agents:
  front: {{greeting: "Good morning, this is the front desk of the shop.", instructions: Be brief.}}
routes:
  - {{name: desk, when: {{trunk: desk}}, do: [{{hang_up: {{status: 486}}}}]}}
  - name: through
    when: {{to: "200"}}
    do: [{{dial: {{to: boss}}, or_else: [{{hang_up: {{status: 503}}}}]}}, {{hang_up: {{}}}}]
  - name: all
    do: [{{agent: front, or_else: [{{hang_up: {{status: 503}}}}]}}]
"""
PERSON = beep(30_000, 700.0)


class Roads:
    """The running edge and whoever is around it."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def roads(tmp_path_factory):
    """One worker, TLS, a registrar, somebody who can be called, a PBX to overflow to."""
    folder = tmp_path_factory.mktemp("roads")
    make_certificate(folder)
    async with (
        raw_phone(0) as onward,
        kamailio(folder / "registrar", onward.sip_port) as registrar,
        fake_trunk(default=answers(PERSON)) as callee,
        fake_trunk(default=answers(PERSON)) as queue,
    ):
        onward.port = registrar.port
        edge = (
            f"tls: {{{{port: {{tls}}, certificate: {folder}/cert.pem, key: {folder}/key.pem}}}}, "
            'websocket: {{port: {websocket}, origins: ["https://shop.example"]}}, '
            f'overflow: "sip:queue@127.0.0.1:{queue.port}"'
        )
        plan = PLAN.format(registrar=registrar.port, callee=callee.port)
        environ = {"PBX_PASSWORD": "s3cret", "DESK_PASSWORD": registrar.password}
        settings = "deadlines: {drain_s: 0.5}\n"
        async with running_edge(folder, plan=plan, edge=edge, environ=environ, settings=settings) as running:
            one = Roads()
            one.edge, one.registrar, one.callee, one.queue, one.onward = (
                running,
                registrar,
                callee,
                queue,
                onward,
            )
            one.folder = folder
            yield one


def authorization(challenge, user, password, uri):
    """RFC 2617 with qop=auth."""
    field = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))

    def md5(text):
        return hashlib.md5(text.encode()).hexdigest()

    ha1 = md5(f"{user}:{field['realm']}:{password}")
    answer = md5(f"{ha1}:{field['nonce']}:00000001:abcd:auth:{md5(f'INVITE:{uri}')}")
    return (
        f'Proxy-Authorization: Digest username="{user}", realm="{field["realm"]}", nonce="{field["nonce"]}", '
        f'uri="{uri}", qop=auth, nc=00000001, cnonce="abcd", response="{answer}"\r\n'
    )


async def logs_in(edge, password):
    """A call of a stranger who knows a password; the answers."""
    async with edge_phone(edge, "127.0.0.2") as phone:
        challenge = await phone.invite()
        assert challenge.status == 407
        assert 'realm="sipbridge"' in challenge.headers["proxy-authenticate"]
        uri = f"sip:100@127.0.0.1:{edge.port}"
        phone.to_tag = ""
        answer = await phone.invite(
            headers=authorization(challenge.headers["proxy-authenticate"], "alice", password, uri)
        )
        if answer.status == 200:
            await phone.bye()
        return answer


async def test_a_trunk_with_a_password_comes_from_anywhere_and_nobody_without(roads):
    assert (await logs_in(roads.edge, "s3cret")).status == 200
    await roads.edge.until_log("call.started")
    assert (await logs_in(roads.edge, "guess")).status == 407


async def test_a_call_by_tls_with_srtp_has_sound_both_ways(roads, tmp_path):
    speech = speech_file(tmp_path, hz=1600)
    secure = {"options": ";mediaenc=srtp-mand;transport=tls", "codecs": ("g711", "srtp")}
    async with baresip(tmp_path / "phone", speech, password="x", **secure) as phone:
        phone.tell("dial", f"sip:100@127.0.0.1:{roads.edge.ports['tls']};transport=tls")
        await phone.event("CALL_ESTABLISHED")
        phone.tell("sndcode", "")
        await asyncio.sleep(3)
        phone.tell("hangup")
        await phone.event("CALL_CLOSED")
    heard = phone.recorded("dec")
    assert max(map(abs, heard), default=0) > 1000, "the greeting"


async def test_plain_rtp_by_tls_is_taken_and_keys_in_the_clear_are_not(roads):
    crypto = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
    async with edge_phone(roads.edge) as phone:
        body = phone.sdp(extra=crypto).replace("RTP/AVP", "RTP/SAVP")
        assert (await phone.invite(body)).status == 488


@contextlib.asynccontextmanager
async def browser(edge, origin="https://shop.example"):
    """A WebSocket as a browser's SIP library opens it (RFC 7118)."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    uri = f"wss://127.0.0.1:{edge.ports['websocket']}/"
    async with asyncio.timeout(20), connect(uri, ssl=trust, subprotocols=["sip"], origin=origin) as socket:
        yield socket


def by_websocket(phone, method, **fields):
    """The phone's message as it goes over a WebSocket."""
    text = phone.message(method, **fields).replace("SIP/2.0/UDP", "SIP/2.0/WSS")
    return re.sub(r"(Contact: <sip:raw@)[^>]+", r"\1nowhere.invalid;transport=ws", text)


async def until_final(socket):
    """The first final answer."""
    while True:
        message = parse(str(await socket.recv()).encode(), 0.0)
        if message.status >= 200:
            return message


async def test_a_browser_calls_over_a_websocket_and_only_from_our_pages(roads):
    phone = EdgePhone(roads.edge.port)
    await phone.open()
    try:
        async with browser(roads.edge) as socket:
            await socket.send(by_websocket(phone, "INVITE", body=phone.sdp(), number=1))
            answer = await until_final(socket)
            assert answer.status == 200
            phone.take(answer)
            await socket.send(by_websocket(phone, "ACK", number=1))
            async with phone.speaking():
                await phone.heard(10)
            await socket.send(by_websocket(phone, "BYE", number=2))
            assert (await until_final(socket)).status == 200
    finally:
        phone.close()
    with pytest.raises(InvalidStatus):
        async with browser(roads.edge, "https://evil.example"):
            pass


async def test_the_registrars_calls_come_to_the_edge_and_are_the_trunks(roads):
    await roads.registrar.until("SAVED sip:1001@", guard_s=30)
    contact = roads.registrar.seen("SEEN REGISTER")[-1]
    assert f"@127.0.0.1:{roads.edge.port}" in contact
    assert str(roads.edge.workers_port) not in contact
    assert (await roads.onward.invite(to="1001")).status == 486, "the route of trunk desk"


async def test_a_worker_calls_out_through_the_edge_and_the_callee_sees_only_it(roads):
    async with edge_phone(roads.edge) as phone:
        assert (await phone.invite(to="200")).status == 200
        (call,) = roads.callee.calls.values()
        text = repr((call.invite.start, call.invite.headers, call.invite.body))
        for port in (roads.edge.inner_port, roads.edge.workers_port):
            assert not re.search(rf"\b{port}\b", text)
        assert "sipbridge-" not in text.lower()
        async with phone.speaking():
            await phone.heard(20)
        assert (await phone.bye()).status == 200


async def test_when_all_lines_are_taken_calls_go_to_the_pbx(roads):
    phones = []
    try:
        for _ in range(5):
            phone = EdgePhone(roads.edge.port)
            await phone.open()
            phones.append(phone)
            assert (await phone.invite()).status == 200
        (call,) = roads.queue.calls.values()
        port = int(re.search(r"m=audio (\d+)", call.invite.body)[1])
        assert port in range(roads.edge.rtp_last - 199, roads.edge.rtp_last), "rtpengine's"
        async with phones[4].speaking():
            await phones[4].heard(10)
        assert (await phones[4].bye()).status == 200
    finally:
        for phone in phones[:4]:
            await phone.bye()
        for phone in phones:
            phone.close()
